"""The terms of a token when it is presented; rotation; and people who have not logged in for too long."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.auth.accounts import MOST_LIVE, AccountError
from server.auth.tokens import Memory
from server.single_flight import Away
from server.store.base import Caller, Person, Store, StoreError, TokenTerms
from server.wire.errors import AccountingUnavailable
from tests.accounts import DAY, HOME, AccountsFactory, Times, a_person, ada, bearer, no_store, refused

CAMPUS = TokenTerms(networks=("192.0.2.0/24", "2001:db8::/32"))
AWAY = "198.51.100.7"
SEMESTER = Memory(5.0, affiliation_days=180)


# Networks and addresses


@pytest.mark.gen_test
async def test_a_token_for_a_network_is_none_anywhere_else(store: Store, make_accounts: AccountsFactory) -> None:
    async with store:
        accounts = make_accounts()
        _, secret = await ada(accounts, terms=CAMPUS)
        assert (await bearer(accounts, secret)).terms == CAMPUS
        await refused(bearer(accounts, secret, AWAY))
        await refused(bearer(accounts, secret, "unknown"))
        assert (await bearer(accounts, secret, "2001:db8::7")).person_name == "Ada"


@pytest.mark.gen_test
async def test_a_refusal_for_the_network_asks_the_store_like_every_other_one(
    store: Store, make_accounts: AccountsFactory
) -> None:
    async with store:
        accounts = make_accounts()
        _, secret = await ada(accounts, terms=CAMPUS)
        await bearer(accounts, secret)
        await no_store(store)
        assert (await bearer(accounts, secret)).person_name == "Ada"
        with pytest.raises(AccountingUnavailable):
            await bearer(accounts, secret, AWAY)


@pytest.mark.gen_test
async def test_a_token_for_two_addresses_is_none_at_the_third(
    store: Store, make_accounts: AccountsFactory, times: Times
) -> None:
    async with store:
        accounts, elsewhere = make_accounts(), make_accounts()
        _, secret = await ada(accounts, terms=TokenTerms(addresses=2))
        await bearer(accounts, secret, "192.0.2.1")
        await bearer(elsewhere, secret, "192.0.2.2")
        for each in (accounts, elsewhere):
            await refused(bearer(each, secret, "192.0.2.3"))
        times.advance(3600)
        for address in ("192.0.2.1", "192.0.2.2", "::ffff:192.0.2.1"):
            assert (await bearer(accounts, secret, address)).person_name == "Ada"


@pytest.mark.gen_test
async def test_a_known_address_is_remembered_for_an_outage_and_a_new_one_has_to_wait(
    store: Store, make_accounts: AccountsFactory, times: Times
) -> None:
    async with store:
        accounts = make_accounts(memory=Memory(5.0, outage_seconds=600.0))
        _, secret = await ada(accounts, terms=TokenTerms(addresses=2))
        await bearer(accounts, secret)
        await no_store(store)
        times.advance(300)
        assert (await bearer(accounts, secret)).person_name == "Ada"
        with pytest.raises(AccountingUnavailable):
            await bearer(accounts, secret, AWAY)


@pytest.mark.gen_test
async def test_no_address_is_in_the_database(store: Store, make_accounts: AccountsFactory, tmp_path: Path) -> None:
    async with store:
        accounts = make_accounts()
        _, secret = await ada(accounts, terms=TokenTerms(addresses=2))
        await bearer(accounts, secret, "198.51.100.231")
    for file in tmp_path.iterdir():
        assert b"198.51.100.231" not in file.read_bytes()


# Making tokens


@pytest.mark.gen_test
async def test_terms_that_make_no_sense_make_no_token(
    store: Store, make_accounts: AccountsFactory, times: Times
) -> None:
    async with store:
        accounts = make_accounts()
        await accounts.create_person("Ada")
        for terms, about in (
            (TokenTerms("guest"), "kind"),
            (TokenTerms("temporary"), "expiry"),
            (TokenTerms(networks=("x",)), "networks"),
        ):
            with pytest.raises(AccountError, match=about):
                await accounts.create_token("Ada", "laptop", terms=terms)
        assert await accounts.tokens() == []
        token, secret = await accounts.create_token("Ada", "talk", times.wall + DAY, TokenTerms("temporary"))
        assert (await bearer(accounts, secret)).token_id == token.id
        times.advance(DAY / 1000)
        await refused(bearer(accounts, secret))


async def himself(store: Store) -> Person:
    return await a_person(store, "Bob")


@pytest.mark.gen_test
@pytest.mark.slow
async def test_people_make_their_own_tokens_but_none_without_limits_and_not_without_end(
    store: Store, make_accounts: AccountsFactory, times: Times
) -> None:
    async with store:
        accounts, bob = make_accounts(), await himself(store)
        with pytest.raises(AccountError, match="administrator"):
            await accounts.create_own_token(bob, "mine", terms=TokenTerms("special"))
        made = [await accounts.create_own_token(bob, f"nr {n}", times.wall + 1_000) for n in range(MOST_LIVE)]
        with pytest.raises(AccountError, match="at most 50"):
            await accounts.create_own_token(bob, "one more")
        await accounts.revoke(made[0][0].id, bob.id)
        await accounts.create_own_token(bob, "one more")
        times.advance(1)  # the others end
        await accounts.create_own_token(bob, "another one")


# Rotation


@pytest.mark.gen_test
async def test_a_rotated_token_is_a_new_secret_on_the_old_terms(
    store: Store, make_accounts: AccountsFactory, times: Times
) -> None:
    async with store:
        accounts = make_accounts()
        old, secret = await ada(accounts, times.wall + DAY, CAMPUS)
        times.advance(10)
        new, another = await accounts.rotate(old.id, old.person_id)
        assert (new.name, new.terms, new.expires_at, new.person_id) == (old.name, CAMPUS, old.expires_at, old.person_id)
        assert (new.id, new.created_at) == (f"{old.id}-2", times.wall)
        assert new.hint != old.hint
        await refused(bearer(accounts, secret))
        assert (await bearer(accounts, another)).token_id == new.id
        newest, _ = await accounts.rotate(new.id)
        assert newest.id == f"{old.id}-3"


@pytest.mark.gen_test
async def test_the_old_token_may_work_on_for_a_grace_and_then_retires_for_good(
    store: Store, make_accounts: AccountsFactory, times: Times
) -> None:
    async with store:
        accounts = make_accounts()
        old, secret = await ada(accounts)
        _, another = await accounts.rotate(old.id, grace_seconds=3600)
        times.advance(3599)
        assert await accounts.retire() == 0
        await bearer(accounts, secret)
        times.advance(1)
        assert await make_accounts().retire() == 1  # another process may be the one that sees to it
        assert await accounts.retire() == 0
        times.advance(5)
        await refused(bearer(accounts, secret))
        await bearer(accounts, another)


@pytest.mark.gen_test
async def test_a_grace_can_be_cut_short(store: Store, make_accounts: AccountsFactory) -> None:
    async with store:
        accounts = make_accounts()
        old, secret = await ada(accounts)
        await accounts.rotate(old.id, grace_seconds=3600)
        await accounts.revoke(old.id, old.person_id)
        await refused(bearer(accounts, secret))


@pytest.mark.gen_test
async def test_a_rotation_does_not_forget_from_where_a_token_was_used(
    store: Store, make_accounts: AccountsFactory
) -> None:
    async with store:
        accounts = make_accounts()
        old, secret = await ada(accounts, terms=TokenTerms(addresses=1))
        await bearer(accounts, secret)
        _, another = await accounts.rotate(old.id)
        await refused(bearer(accounts, another, AWAY))
        await bearer(accounts, another, HOME)


@pytest.mark.gen_test
async def test_what_has_ended_or_was_rotated_is_not_rotated_again(
    store: Store, make_accounts: AccountsFactory, times: Times
) -> None:
    async with store:
        accounts = make_accounts()
        old, _ = await ada(accounts, times.wall + 1_000)
        await accounts.rotate(old.id, grace_seconds=10)
        with pytest.raises(AccountError, match="took its place"):
            await accounts.rotate(old.id)
        with pytest.raises(AccountError, match="30 days"):
            await accounts.rotate(old.id, grace_seconds=31 * 86_400)
        times.advance(1)
        for token in await accounts.tokens("Ada"):
            with pytest.raises(AccountError, match="ended"):
                await accounts.rotate(token.id)


@pytest.mark.gen_test
async def test_another_persons_token_is_not_there(store: Store, make_accounts: AccountsFactory) -> None:
    async with store:
        accounts = make_accounts()
        token, secret = await ada(accounts)
        bob = await himself(store)
        for attempt in (accounts.rotate(token.id, bob.id), accounts.revoke(token.id, bob.id)):
            with pytest.raises(AccountError, match="no such token"):
                await attempt
        assert (await bearer(accounts, secret)).token_id == token.id
        assert await accounts.tokens("Bob") == []


# People who have left


@pytest.mark.gen_test
async def test_who_has_not_logged_in_for_too_long_loses_their_tokens_until_they_do(
    store: Store, make_accounts: AccountsFactory, times: Times
) -> None:
    async with store:
        accounts = make_accounts(memory=SEMESTER)
        bob = await a_person(store, "Bob", login="idp bob", last_login_at=times.wall)
        _, secret = await accounts.create_own_token(bob, "laptop")
        times.advance(180 * 86_400)
        await bearer(accounts, secret)
        times.advance(1)
        await refused(bearer(accounts, secret))  # though it is remembered
        times.advance(5)
        await refused(bearer(accounts, secret))
        await store.update_person(bob.id, {"last_login_at": times.wall})
        assert (await bearer(accounts, secret)).person_name == "Bob"


@pytest.mark.gen_test
async def test_who_has_no_login_elsewhere_need_not_renew_it(
    store: Store, make_accounts: AccountsFactory, times: Times
) -> None:
    async with store:
        accounts = make_accounts(memory=SEMESTER)
        _, secret = await ada(accounts)
        times.advance(10 * 365 * 86_400)
        assert (await bearer(accounts, secret)).person_name == "Ada"


@pytest.mark.gen_test
async def test_every_refusal_has_asked_the_store_once(
    store: Store, make_accounts: AccountsFactory, times: Times
) -> None:
    """So that no refusal is quicker than another one: what is remembered only opens."""
    async with store:
        accounts = make_accounts(memory=SEMESTER)
        bob = await a_person(store, "Bob", login="idp bob", last_login_at=times.wall)
        _, resting = await accounts.create_own_token(bob, "laptop")
        _, campus = await ada(accounts, terms=CAMPUS)
        expiring = (await accounts.create_token("Ada", "short", times.wall + 181 * DAY))[1]
        for secret in (resting, campus, expiring):
            await bearer(accounts, secret)
        times.advance(181 * 86_400)
        for secret in (resting, expiring):
            await refused(bearer(accounts, secret))
        await refused(bearer(accounts, campus, AWAY))
        await no_store(store)
        for secret, address in ((resting, HOME), (expiring, HOME), (campus, AWAY)):
            with pytest.raises(AccountingUnavailable):
                await bearer(accounts, secret, address)


# Tokens of others


class Provider:
    """An identity provider with one answer for every token; `asked` are the tokens that it was asked about."""

    def __init__(self, answer: Caller | Exception | None) -> None:
        self._answer = answer
        self.asked: list[str] = []

    async def caller_of(self, token: str) -> Caller | None:
        self.asked.append(token)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    def forget(self) -> None:
        """Nothing is remembered."""


@pytest.mark.gen_test
async def test_a_providers_own_tokens_are_accepted_where_that_is_wanted(
    store: Store, make_accounts: AccountsFactory
) -> None:
    async with store:
        bob, token = Caller("usr_bob", "Bob", None), "eyJ.eyJ.sig"
        await refused(bearer(make_accounts(), token))
        provider = Provider(bob)
        accounts = make_accounts(provider=provider)
        assert await bearer(accounts, token) == bob
        _, secret = await ada(accounts)
        await bearer(accounts, secret)
        assert provider.asked == [token]
        await refused(bearer(make_accounts(provider=Provider(None)), token))


@pytest.mark.gen_test
@pytest.mark.parametrize("error", [Away("its keys were never learnt"), StoreError("away")])
async def test_a_provider_that_is_away_is_never_a_refusal(make_accounts: AccountsFactory, error: Exception) -> None:
    with pytest.raises(AccountingUnavailable):
        await bearer(make_accounts(provider=Provider(error)), "eyJ.eyJ.sig")
