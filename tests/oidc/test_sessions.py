"""Sessions: what opens one, what ends it, and that a form is from our own page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from server.auth.accounts import OPERATOR, Accounts
from server.auth.sessions import Sessions, new_cookie
from server.auth.token_login import login_with_token
from server.config.specs import Secret
from server.crypto import Seal, derived
from server.store import store_for
from server.store.base import Store, TokenTerms
from server.wire.errors import InvalidKey, RateLimited
from tests.oidc.lobby import PEPPER, Clock
from tests.store.samples import ADA, BOB

HOURS = 12
ADMIN_KEY = Secret("an administrator's key")


@dataclass
class Desk:
    store: Store
    clock: Clock
    sessions: Sessions
    path: Path

    def others(self, admin_key: Secret | None = ADMIN_KEY, pepper: bytes = PEPPER) -> Sessions:
        """The sessions after a restart, with these secrets."""
        return Sessions(self.store, pepper, self.clock.wall, HOURS, admin_key)


@asynccontextmanager
async def changes(path: Path) -> AsyncIterator[Desk]:
    async with store_for(f"sqlite:///{path}/db") as store:
        for person in (ADA, BOB):
            await store.create_person(person)
        clock = Clock()
        yield Desk(store, clock, Sessions(store, PEPPER, clock.wall, HOURS, ADMIN_KEY), path)


@pytest.mark.gen_test
async def test_a_cookie_is_whose_it_was_opened_for_until_its_time_is_over(tmp_path: Path) -> None:
    async with changes(tmp_path) as it:
        cookie = await it.sessions.open(ADA.id, b"sealed")
        assert len(cookie) == 43
        visit = await it.sessions.visit(cookie)
        assert visit is not None
        assert (visit.person, visit.sealed) == (ADA, b"sealed")
        it.clock.now += HOURS * 3600 - 1
        assert await it.sessions.person_of(cookie) == ADA
        it.clock.now += 1
        assert await it.sessions.person_of(cookie) is None


@pytest.mark.gen_test
async def test_a_session_may_have_to_end_sooner(tmp_path: Path) -> None:
    async with changes(tmp_path) as it:
        cookie = await it.sessions.open(ADA.id, until=it.clock.wall() + 1000)
        late = await it.sessions.open(ADA.id, until=it.clock.wall() + 10**9)
        it.clock.now += 1
        assert await it.sessions.person_of(cookie) is None
        it.clock.now += HOURS * 3600
        assert await it.sessions.person_of(late) is None


@pytest.mark.gen_test
async def test_a_logout_ends_one_session_and_the_operator_ends_all_of_a_person(tmp_path: Path) -> None:
    async with changes(tmp_path) as it:
        one, two, three = [await it.sessions.open(ADA.id) for _ in range(3)]
        of_bob = await it.sessions.open(BOB.id)
        await it.sessions.close(one)
        assert await it.sessions.person_of(one) is None
        assert await it.sessions.person_of(two) == ADA
        assert await it.sessions.close_all(ADA.id) == 2
        assert [await it.sessions.person_of(each) for each in (two, three, of_bob)] == [None, None, BOB]


@pytest.mark.gen_test
async def test_who_is_disabled_is_out_at_once(tmp_path: Path) -> None:
    async with changes(tmp_path) as it:
        cookie = await it.sessions.open(ADA.id)
        await it.store.set_person_disabled(ADA.id, True)
        assert await it.sessions.person_of(cookie) is None


@pytest.mark.gen_test
async def test_what_is_no_cookie_of_ours_is_nobodys(tmp_path: Path) -> None:
    async with changes(tmp_path) as it:
        for cookie in (None, "", "x", new_cookie(), "é", "x" * 10_000):
            assert await it.sessions.person_of(cookie) is None
            await it.sessions.close(cookie)


@pytest.mark.gen_test
async def test_the_database_opens_no_session(tmp_path: Path) -> None:
    async with changes(tmp_path) as it:
        cookie = await it.sessions.open(ADA.id)
        assert await it.others(pepper=b"x" * 32).person_of(cookie) is None
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert ADA.name.encode() in content
    assert cookie.encode() not in content


@pytest.mark.gen_test
async def test_the_operator_administers_until_the_key_is_changed(tmp_path: Path) -> None:
    async with changes(tmp_path) as it:
        await Accounts(it.store, "user_token", "", PEPPER, admin_key=ADMIN_KEY.reveal()).prepare()
        cookie = await it.sessions.open(OPERATOR.person_id)
        person = await it.others().person_of(cookie)
        assert person is not None
        assert person.admin
        for other in (None, Secret("another administrator's key")):
            assert await it.others(admin_key=other).person_of(cookie) is None


def test_a_form_is_bound_to_the_browser_that_it_was_shown_to() -> None:
    sessions = Sessions(None, PEPPER, Clock().wall, HOURS)  # type: ignore[arg-type]
    mine, other = new_cookie(), new_cookie()
    assert sessions.check(mine, sessions.xsrf(mine))
    for cookie, presented in ((mine, sessions.xsrf(other)), (mine, ""), (mine, None), (mine, "é\ud800"), (None, "x")):
        assert not sessions.check(cookie, presented)
    assert not sessions.check("", sessions.xsrf(""))


def test_what_is_sealed_opens_for_its_purpose_in_its_time_only() -> None:
    seal, now = Seal(PEPPER, "logins"), 1_800_000_000_000
    sealed = seal.close(b"content", now)
    assert seal.open(sealed, now + 600_000, 600) == b"content"
    assert seal.open(sealed, now + 601_000, 600) is None
    assert seal.open(sealed[:-1] + b"x", now, 600) is None
    assert Seal(PEPPER, "logouts").open(sealed, now, 600) is None
    assert Seal(b"another pepper", "logins").open(sealed, now, 600) is None
    assert derived(PEPPER, "a") != derived(PEPPER, "b")


@asynccontextmanager
async def counter(path: Path, mode: str = "user_token") -> AsyncIterator[tuple[Desk, Accounts]]:
    """Where tokens are shown."""
    async with changes(path) as it:
        key, admin = "a shared key of all", ADMIN_KEY.reveal()
        accounts = Accounts(it.store, mode, key, PEPPER, it.clock, it.clock.wall, admin_key=admin)  # type: ignore[arg-type]
        await accounts.prepare()
        yield it, accounts


@pytest.mark.gen_test
async def test_a_token_or_the_administrators_key_lets_in_and_no_longer_than_it_lasts(tmp_path: Path) -> None:
    async with counter(tmp_path) as (it, accounts):
        _, token = await accounts.create_token("Ada", "short", expires_at=it.clock.wall() + 60_000)
        cookie = await login_with_token(accounts, it.store, it.sessions, token, "address")
        assert await it.sessions.person_of(cookie) == ADA
        it.clock.now += 60
        assert await it.sessions.person_of(cookie) is None
        cookie = await login_with_token(accounts, it.store, it.sessions, ADMIN_KEY.reveal(), "address")
        person = await it.sessions.person_of(cookie)
        assert person is not None
        assert (person.name, person.admin) == (OPERATOR.person_name, True)


@pytest.mark.parametrize(
    "terms",
    [
        TokenTerms(kind="temporary"),
        TokenTerms(models=("small",)),
        TokenTerms(networks=("10.0.0.0/8",)),
        TokenTerms(addresses=1),
    ],
)
@pytest.mark.gen_test
async def test_a_token_that_was_narrowed_down_lets_nobody_in(tmp_path: Path, terms: TokenTerms) -> None:
    async with counter(tmp_path) as (it, accounts):
        _, token = await accounts.create_token("Ada", "narrow", it.clock.wall() + 60_000, terms)
        with pytest.raises(InvalidKey):
            await login_with_token(accounts, it.store, it.sessions, token, "10.0.0.1")


@pytest.mark.gen_test
async def test_a_token_that_only_chooses_its_signs_of_life_is_not_narrow(tmp_path: Path) -> None:
    async with counter(tmp_path) as (it, accounts):
        _, token = await accounts.create_token("Ada", "strict", None, TokenTerms(keepalive="off"))
        assert await login_with_token(accounts, it.store, it.sessions, token, "10.0.0.1")


@pytest.mark.parametrize("mode", ["shared", "none"])
@pytest.mark.gen_test
async def test_what_everybody_knows_lets_nobody_in(tmp_path: Path, mode: str) -> None:
    async with counter(tmp_path, mode) as (it, accounts):
        with pytest.raises(InvalidKey):
            await login_with_token(accounts, it.store, it.sessions, "a shared key of all", "address")


@pytest.mark.gen_test
async def test_the_31st_wrong_token_in_a_minute_is_told_to_wait(tmp_path: Path) -> None:
    async with counter(tmp_path) as (it, accounts):
        for _ in range(30):
            with pytest.raises(InvalidKey):
                await login_with_token(accounts, it.store, it.sessions, "fg_wrong", "address")
        with pytest.raises(RateLimited):
            await login_with_token(accounts, it.store, it.sessions, "fg_wrong", "address")
