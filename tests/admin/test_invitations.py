"""Invitations: each opens one door once, and nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from server.admin.commands.invitations import DAYS, KIND, InvitationCommands, forget_invitations
from server.admin.makers import THE_OPERATOR, Maker
from server.auth.token_format import new_token
from server.policy.authority import Means, authority_of
from server.policy.commands import CommandError
from server.store.base import Record, Store
from server.store.sqlite.store import SqliteStore
from server.wire.errors import InvalidKey, RateLimited
from tests.accounts import DAY, HOME, PEPPER, AccountsFactory, Times, a_person


@pytest.fixture
def invitations(store: Store, times: Times) -> InvitationCommands:
    factory = AccountsFactory(store, times)
    return InvitationCommands(store, factory.changes(), factory(), PEPPER, lambda: times.clock, lambda: times.wall)


@pytest.mark.gen_test
async def test_an_invitation_gives_one_token_once_and_is_no_token_itself(
    store: Store, times: Times, invitations: InvitationCommands
) -> None:
    async with store:
        ada = await a_person(store, "ada")
        made = await invitations.invite(THE_OPERATOR, "operator", ada.id)
        accounts = AccountsFactory(store, times)()
        with pytest.raises(InvalidKey):
            raise accounts.denial(
                await accounts.authenticate(f"Bearer {made.secret}", None, HOME), f"Bearer {made.secret}", None, HOME
            )
        assert (await invitations.look(made.secret, HOME), await invitations.look(made.secret, HOME)) == (ada, ada)
        times.advance(1)
        person, token, secret = await invitations.accept(made.secret, HOME)
        assert (person, token.person_id, token.expires_at) == (ada, ada.id, None)
        assert (await accounts.authenticate(f"Bearer {secret}", None, HOME)).person_id == ada.id
        for ask in (invitations.look, invitations.accept):
            with pytest.raises(CommandError, match="has been used, has expired"):
                await ask(made.secret, HOME)
        assert (len(await store.tokens(ada.id)), await store.records(KIND)) == (1, [])
        assert [(each.actor, each.action) for each in await store.audits(None, 2)] == [
            (ada.id, "token.create"),
            ("operator", "invitation.make"),
        ]


@pytest.mark.gen_test
async def test_of_several_who_accept_at_the_same_time_one_gets_a_token(
    store: Store, invitations: InvitationCommands
) -> None:
    async with store:
        ada = await a_person(store, "ada")
        made = await invitations.invite(THE_OPERATOR, "operator", ada.id)
        answers = await asyncio.gather(
            *(invitations.accept(made.secret, HOME) for _ in range(5)), return_exceptions=True
        )
        assert sum(isinstance(each, tuple) for each in answers) == 1
        assert sum(isinstance(each, CommandError) for each in answers) == 4
        assert len(await store.tokens(ada.id)) == 1


@pytest.mark.gen_test
async def test_an_invitation_ends_by_its_time_by_a_newer_one_and_by_a_word(
    store: Store, times: Times, invitations: InvitationCommands
) -> None:
    async with store:
        ada = await a_person(store, "ada")
        first = await invitations.invite(THE_OPERATOR, "operator", ada.id)
        second = await invitations.invite(THE_OPERATOR, "operator", ada.id)
        assert await invitations.pending() == {ada.id: times.wall + DAYS * DAY}
        with pytest.raises(CommandError):
            await invitations.accept(first.secret, HOME)
        await invitations.withdraw("operator", ada.id)
        with pytest.raises(CommandError):
            await invitations.accept(second.secret, HOME)
        with pytest.raises(CommandError, match="has no invitation"):
            await invitations.withdraw("operator", ada.id)
        third = await invitations.invite(THE_OPERATOR, "operator", ada.id)
        times.advance(DAYS * 86_400)
        with pytest.raises(CommandError):
            await invitations.accept(third.secret, HOME)
        assert (await invitations.pending(), await store.tokens(ada.id)) == ({}, [])


@pytest.mark.parametrize("change", [{"disabled": True}, {"admin": True}])
@pytest.mark.gen_test
async def test_who_is_closed_out_or_has_become_an_administrator_does_not_come_in_by_an_invitation(
    change: dict[str, bool], store: Store, invitations: InvitationCommands
) -> None:
    async with store:
        ada = await a_person(store, "ada")
        made = await invitations.invite(THE_OPERATOR, "operator", ada.id)
        await store.update_person(ada.id, change)
        with pytest.raises(CommandError):
            await invitations.accept(made.secret, HOME)
        with pytest.raises(CommandError, match="no administrator is invited"):
            await invitations.invite(THE_OPERATOR, "operator", ada.id)


@pytest.mark.gen_test
async def test_a_credential_with_an_end_or_a_bound_invites_no_one(
    store: Store, invitations: InvitationCommands
) -> None:
    async with store:
        ada = await a_person(store, "ada")
        weak = Maker(authority_of(Means.SESSION, admin=True, narrowed=True, limited=True))
        with pytest.raises(CommandError):
            await invitations.invite(weak, "usr_boss", ada.id)
        assert await store.records(KIND) == []


@pytest.mark.gen_test
async def test_guesses_are_slowed_down_and_the_right_one_opens_all_the_same(
    store: Store, invitations: InvitationCommands
) -> None:
    async with store:
        ada = await a_person(store, "ada")
        made = await invitations.invite(THE_OPERATOR, "operator", ada.id)
        for guess in ("", "x" * 5000, "é", made.secret[:-1], *(new_token() for _ in range(26))):
            with pytest.raises(CommandError):
                await invitations.accept(guess, HOME)
        with pytest.raises(RateLimited):
            await invitations.look(new_token(), HOME)
        assert (await invitations.look(made.secret, HOME)).id == ada.id


class OneByOne(SqliteStore):
    """A store that lists no records: what a stranger can have done as often as they like must not grow with them."""

    lists = True

    async def records(self, kind: str) -> list[Record]:
        assert self.lists, "all records are read for one secret"
        return await super().records(kind)


@pytest.mark.gen_test
async def test_a_guess_costs_one_look_up_however_many_are_invited(tmp_path: Path, times: Times) -> None:
    async with OneByOne(f"sqlite:///{tmp_path}/fairgate.db") as store:
        factory = AccountsFactory(store, times)
        invitations = InvitationCommands(
            store, factory.changes(), factory(), PEPPER, lambda: times.clock, lambda: times.wall
        )
        people = [await a_person(store, f"p{number}") for number in range(3)]
        made = await invitations.invite_each(THE_OPERATOR, "operator", people)
        store.lists = False
        with pytest.raises(CommandError):
            await invitations.look(new_token(), HOME)
        assert [(await invitations.look(each.secret, HOME)).name for each in made] == ["p0", "p1", "p2"]


@pytest.mark.gen_test
async def test_what_is_kept_opens_nothing(store: Store, invitations: InvitationCommands) -> None:
    async with store:
        ada = await a_person(store, "ada")
        made = await invitations.invite(THE_OPERATOR, "operator", ada.id)
        (record,) = await store.records(KIND)
        assert made.secret not in repr((made, record, await store.audits(None, 9)))
        with pytest.raises(CommandError):
            await invitations.accept(record.id, HOME)


@pytest.mark.gen_test
async def test_of_who_is_erased_no_invitation_is_left(store: Store, invitations: InvitationCommands) -> None:
    async with store:
        ada, bob = await a_person(store, "ada"), await a_person(store, "bob")
        for person in (ada, bob):
            await invitations.invite(THE_OPERATOR, "operator", person.id)
        await forget_invitations(store, ada.id)
        assert set(await invitations.pending()) == {bob.id}
