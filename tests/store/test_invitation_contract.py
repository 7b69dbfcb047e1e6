"""An invitation makes one token on every kind of store, however many accept it at the same time."""

from __future__ import annotations

import asyncio

import pytest

from server.admin.commands.invitations import KIND, InvitationCommands
from server.admin.makers import THE_OPERATOR
from server.policy.commands import CommandError
from tests.accounts import HOME, PEPPER, AccountsFactory, Times, a_person
from tests.store.conftest import Fresh


@pytest.mark.gen_test
async def test_of_several_who_accept_an_invitation_at_two_gateways_one_gets_a_token(fresh: Fresh) -> None:
    times = Times()

    def gateway() -> InvitationCommands:
        factory = AccountsFactory(store, times)
        return InvitationCommands(store, factory.changes(), factory(), PEPPER, lambda: times.clock, lambda: times.wall)

    async with fresh() as store:
        ada, first, second = await a_person(store, "ada"), gateway(), gateway()
        made = await first.invite(THE_OPERATOR, "operator", ada.id)
        tries = [each.accept(made.secret, HOME) for each in (first, second, first)]
        answers = await asyncio.gather(*tries, return_exceptions=True)
        assert sum(isinstance(each, tuple) for each in answers) == 1
        assert sum(isinstance(each, CommandError) for each in answers) == 2
        assert (len(await store.tokens(ada.id)), await store.records(KIND)) == (1, [])
