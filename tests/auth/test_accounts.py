"""Which callers are authenticated, and that all others get the same answer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from server.auth.accounts import AccountError, Accounts, Mode
from server.auth.token_format import new_token
from server.policy.authority import Means
from server.store.base import Caller, Store
from server.wire.errors import AccountingUnavailable, InvalidKey, RateLimited
from tests.accounts import HOME, PROXY_KEY, AccountsFactory, Times, ada, bearer, refused

YEAR_3000 = 32_503_680_000_000


# Letting in


@pytest.mark.gen_test
async def test_a_token_opens_the_door_in_either_header_or_in_both(store: Store, make_accounts: AccountsFactory) -> None:
    async with store:
        accounts = make_accounts()
        token, secret = await ada(accounts)
        caller = Caller(token.person_id, "Ada", token.id, weight=1.0)
        assert await accounts.authenticate(f"Bearer {secret}", None, HOME) == caller
        assert await accounts.authenticate(f"bearer   {secret}", None, HOME) == caller
        assert await accounts.authenticate(None, secret, HOME) == caller
        assert await accounts.authenticate(f"Bearer {secret}", secret, HOME) == caller


@pytest.mark.gen_test
async def test_the_secret_is_nowhere_in_the_database(
    store: Store, make_accounts: AccountsFactory, tmp_path: Path
) -> None:
    async with store:
        token, secret = await ada(make_accounts())
        assert token.hint == f"fg_…{secret[-4:]}"
    assert secret[3:-4].encode() not in (tmp_path / "fairgate.db").read_bytes()


@pytest.mark.gen_test
async def test_with_another_pepper_no_token_is_known(store: Store, make_accounts: AccountsFactory) -> None:
    async with store:
        _, secret = await ada(make_accounts())
        await refused(bearer(make_accounts(pepper=b"another"), secret))


# Keeping out


@pytest.mark.gen_test
async def test_unknown_revoked_expired_and_disabled_are_refused_alike(
    store: Store, make_accounts: AccountsFactory, times: Times
) -> None:
    async with store:
        accounts = make_accounts()
        await refused(bearer(accounts, new_token()))

        revoked, secret = await ada(accounts)
        await accounts.revoke(revoked.id)
        await refused(bearer(accounts, secret))

        _, secret = await accounts.create_token("Ada", "phone", times.wall + 1_000)
        times.advance(1)
        await refused(bearer(accounts, secret))

        _, secret = await accounts.create_token("Ada", "desk")
        await make_accounts.disable("Ada", accounts)
        await refused(bearer(accounts, secret))


MALFORMED = {
    "nothing": (None, None),
    "an empty header": ("", None),
    "an empty bearer": ("Bearer ", None),
    "a bearer without a blank": ("Bearer", None),
    "an empty api key": (None, ""),
    "basic": ("Basic dXNlcjpwYXNz", None),
    "a token without its scheme": (new_token(), None),
    "SQL": ("Bearer ' OR '1'='1", None),
    "a query operator": ('Bearer {"$ne":null}', None),
    "NUL": ("Bearer fg_\x00", None),
    "a token and NUL": (f"Bearer {new_token()}\x00", None),
    "10 KB": ("Bearer " + "A" * 10_240, None),
    "not ASCII": ("Bearer fg_é" + "A" * 48, None),
    "a lone surrogate": (None, "\ud800"),
}


@pytest.mark.gen_test
@pytest.mark.parametrize(("authorization", "api_key"), MALFORMED.values(), ids=MALFORMED.keys())
@pytest.mark.parametrize("mode", ["user_token", "shared"])
async def test_what_is_no_token_is_refused_without_asking_the_store(
    make_accounts: AccountsFactory, mode: Mode, authorization: str | None, api_key: str | None
) -> None:
    # The store is not even open: asking it would be AccountingUnavailable.
    await refused(make_accounts(mode).authenticate(authorization, api_key, HOME))


@pytest.mark.gen_test
async def test_a_providers_key_is_refused_as_ever_with_a_hint_where_tokens_are_wanted(
    make_accounts: AccountsFactory,
) -> None:
    key = "Bearer sk-proj-" + "A" * 48
    await refused(make_accounts("shared").authenticate(key, None, HOME))
    with pytest.raises(InvalidKey, match="InvalidKey") as caught:
        await make_accounts("user_token").authenticate(key, None, HOME)
    assert caught.value.message.startswith("Invalid or missing API key. A key that begins with sk- is a provider's")


@pytest.mark.gen_test
async def test_two_headers_that_disagree_are_refused_though_each_is_right(
    store: Store, make_accounts: AccountsFactory
) -> None:
    async with store:
        accounts = make_accounts()
        _, one = await ada(accounts)
        _, other = await accounts.create_token("Ada", "phone")
        await refused(accounts.authenticate(f"Bearer {one}", other, HOME))
        await refused(accounts.authenticate(f"Bearer {one}", "", HOME))
        await refused(accounts.authenticate("Basic dXNlcjpwYXNz", one, HOME))


@pytest.mark.gen_test
async def test_the_31st_failure_in_a_minute_from_one_address_is_rate_limited(
    store: Store, make_accounts: AccountsFactory, times: Times
) -> None:
    async with store:
        accounts = make_accounts()
        _, secret = await ada(accounts)
        for _ in range(30):
            await refused(accounts.authenticate(None, "wrong", HOME))
        times.advance(20)
        with pytest.raises(RateLimited) as caught:
            await bearer(accounts, new_token())
        assert caught.value.retry_after == 40.0
        assert (await bearer(accounts, secret)).person_name == "Ada"  # the neighbours are not locked out
        await refused(accounts.authenticate(None, "wrong", "192.0.2.2"))
        times.advance(40)
        await refused(accounts.authenticate(None, "wrong", HOME))


# What is remembered


@pytest.mark.gen_test
async def test_a_known_token_is_remembered_for_five_seconds_of_an_outage(
    store: Store, make_accounts: AccountsFactory, times: Times
) -> None:
    async with store:
        accounts = make_accounts()
        _, secret = await ada(accounts)
        await bearer(accounts, secret)
    times.advance(4.9)
    assert (await bearer(accounts, secret)).person_name == "Ada"
    times.advance(0.1)
    with pytest.raises(AccountingUnavailable):
        await bearer(accounts, secret)


@pytest.mark.gen_test
async def test_an_outage_is_never_a_refusal_and_counts_as_no_failure(make_accounts: AccountsFactory) -> None:
    accounts = make_accounts()
    for _ in range(40):
        with pytest.raises(AccountingUnavailable):
            await bearer(accounts, new_token())
    await refused(accounts.authenticate(None, "wrong", HOME))


@pytest.mark.gen_test
async def test_what_another_process_revokes_or_disables_is_refused_within_five_seconds(
    store: Store, make_accounts: AccountsFactory, times: Times
) -> None:
    async with store:
        accounts, elsewhere = make_accounts(), make_accounts()
        token, secret = await ada(accounts)
        await bearer(accounts, secret)
        await elsewhere.revoke(token.id)
        times.advance(5)
        await refused(bearer(accounts, secret))

        _, secret = await accounts.create_token("Ada", "phone")
        await bearer(accounts, secret)
        await make_accounts.disable("Ada", elsewhere)
        times.advance(5)
        await refused(bearer(accounts, secret))
        await make_accounts.disable("Ada", elsewhere, disabled=False)
        assert (await bearer(accounts, secret)).person_name == "Ada"


@pytest.mark.gen_test
async def test_what_this_process_revokes_or_disables_is_refused_at_once(
    store: Store, make_accounts: AccountsFactory
) -> None:
    async with store:
        accounts = make_accounts()
        token, secret = await ada(accounts)
        await bearer(accounts, secret)
        await accounts.revoke(token.id)
        await refused(bearer(accounts, secret))

        _, secret = await accounts.create_token("Ada", "phone")
        await bearer(accounts, secret)
        await make_accounts.disable("Ada", accounts)
        await refused(bearer(accounts, secret))


@pytest.mark.gen_test
async def test_a_look_up_that_a_revocation_overtakes_is_not_remembered(
    store: Store, make_accounts: AccountsFactory
) -> None:
    async with store:
        accounts = make_accounts()
        token, secret = await ada(accounts)
        looking_up = asyncio.ensure_future(bearer(accounts, secret))
        await asyncio.sleep(0)
        await accounts.revoke(token.id)
        await asyncio.wait([looking_up])
        looking_up.exception()  # let in or not: both are right
        await refused(bearer(accounts, secret))


@pytest.mark.gen_test
async def test_a_refusal_is_never_remembered_so_that_each_takes_the_same_way(
    store: Store, make_accounts: AccountsFactory
) -> None:
    accounts = make_accounts()
    async with store:
        token, secret = await ada(accounts)
        await accounts.revoke(token.id)
        await refused(bearer(accounts, secret))
    for asked_of_the_store in (secret, new_token()):
        with pytest.raises(AccountingUnavailable):
            await bearer(accounts, asked_of_the_store)


@pytest.mark.gen_test
async def test_a_remembered_token_expires_on_time(store: Store, make_accounts: AccountsFactory, times: Times) -> None:
    async with store:
        accounts = make_accounts()
        _, secret = await ada(accounts, times.wall + 2_000)
        times.advance(1.9)
        await bearer(accounts, secret)
        times.advance(0.1)
        await refused(bearer(accounts, secret))


# The two modes without personal tokens


@pytest.mark.gen_test
async def test_a_shared_key_makes_all_callers_one_person(store: Store, make_accounts: AccountsFactory) -> None:
    async with store:
        accounts = make_accounts("shared")
        await accounts.prepare()
        caller = await bearer(accounts, PROXY_KEY)
        assert caller == await accounts.authenticate(None, PROXY_KEY, HOME)
        assert caller == Caller("shared", "shared", None, means=Means.SHARED)
        assert [(person.id, person.name) for person in await accounts.people()] == [("shared", "shared")]
        for wrong in ("wrong", PROXY_KEY + "x", PROXY_KEY[:-1], new_token()):
            await refused(bearer(accounts, wrong))


def test_a_shared_key_may_not_be_empty(store: Store) -> None:
    with pytest.raises(ValueError, match="PROXY_KEY"):
        Accounts(store, "shared", "", b"pepper")


def test_the_pepper_may_not_be_empty(store: Store) -> None:
    with pytest.raises(ValueError, match="pepper"):
        Accounts(store, "user_token", "", b"")


@pytest.mark.gen_test
async def test_without_a_gatekeeper_all_callers_are_one_person(store: Store, make_accounts: AccountsFactory) -> None:
    async with store:
        accounts = make_accounts("none")
        for _ in range(2):
            await accounts.prepare()
        assert await accounts.authenticate(None, None, HOME) == Caller("everyone", "everyone", None, means=Means.SHARED)
        assert await bearer(accounts, "whatever") == Caller("everyone", "everyone", None, means=Means.SHARED)
        assert [person.name for person in await accounts.people()] == ["everyone"]


@pytest.mark.gen_test
async def test_with_personal_tokens_no_person_is_made_in_advance(store: Store, make_accounts: AccountsFactory) -> None:
    async with store:
        await make_accounts().prepare()
        assert await make_accounts().people() == []


# The operator's verbs


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "name", ["", " Ada", "Ada ", "A" * 65, "A\nB", "A\x00", "\u202eadA", "\ud800", "shared", "everyone"]
)
async def test_a_name_is_1_to_64_printable_characters_and_not_one_of_ours(
    store: Store, make_accounts: AccountsFactory, name: str
) -> None:
    async with store:
        accounts = make_accounts()
        with pytest.raises(AccountError) as caught:
            await accounts.create_person(name)
        assert not name.strip() or name not in str(caught.value)
        assert await accounts.people() == []


@pytest.mark.gen_test
async def test_names_in_any_script_are_welcome(store: Store, make_accounts: AccountsFactory) -> None:
    async with store:
        for name in ("Ada Lovelace", "Żółć", "李雷", "x" * 64, "<img onerror>"):
            assert (await make_accounts().create_person(name)).name == name


@pytest.mark.gen_test
async def test_a_name_is_given_once(store: Store, make_accounts: AccountsFactory) -> None:
    async with store:
        await make_accounts().create_person("Ada")
        with pytest.raises(AccountError, match="already"):
            await make_accounts().create_person("Ada")


@pytest.mark.gen_test
async def test_what_does_not_exist_is_said_not_to(store: Store, make_accounts: AccountsFactory) -> None:
    async with store:
        accounts = make_accounts()
        for attempt in (accounts.create_token("Bob", "laptop"), accounts.tokens("Bob")):
            with pytest.raises(AccountError, match="no such person"):
                await attempt
        with pytest.raises(AccountError, match="no such token"):
            await accounts.revoke("tok_nothing")


@pytest.mark.gen_test
async def test_a_token_cannot_be_born_expired(store: Store, make_accounts: AccountsFactory, times: Times) -> None:
    async with store:
        accounts = make_accounts()
        with pytest.raises(AccountError, match="past"):
            await ada(accounts, times.wall)
        _, secret = await accounts.create_token("Ada", "laptop", YEAR_3000)
        assert (await bearer(accounts, secret)).person_name == "Ada"


@pytest.mark.gen_test
async def test_tokens_are_listed_for_one_or_for_all(store: Store, make_accounts: AccountsFactory, times: Times) -> None:
    async with store:
        accounts = make_accounts()
        laptop, _ = await ada(accounts)
        await accounts.create_person("Bob")
        times.advance(1)
        phone, _ = await accounts.create_token("Bob", "phone")
        assert await accounts.tokens() == [laptop, phone]
        assert await accounts.tokens("Bob") == [phone]
