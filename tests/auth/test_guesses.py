"""How often one may guess at ADMIN_KEY and PROXY_KEY: by address, in all, and that nothing is learnt beyond that."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.auth.accounts import OPERATOR, SHARED, Accounts, Mode
from server.auth.throttle import MOST, MOST_IN_ALL, TRUSTED, WINDOW, Guesses
from server.auth.token_format import new_token
from server.store import store_for
from server.wire.errors import InvalidKey, RateLimited, Refusal
from tests.accounts import HOME, PROXY_KEY, Times

ADMIN_KEY = "an administrator's key"
ELSEWHERE = "192.0.2.77"


def guess(guesses: Guesses, number: int, address: str = HOME, now: float = 0.0) -> None:
    guesses.wrong(address, str(number).encode(), now)


def test_past_the_bound_an_address_waits_for_its_window_to_end() -> None:
    guesses = Guesses()
    for number in range(MOST):
        guess(guesses, number)
    assert guesses.wait(HOME, 1.0) is None
    guess(guesses, MOST, now=1.0)
    assert guesses.wait(HOME, 1.0) == WINDOW - 1.0
    assert guesses.wait(ELSEWHERE, 1.0) is None
    assert guesses.wait(HOME, WINDOW) is None


def test_who_repeats_one_wrong_secret_has_guessed_once() -> None:
    guesses = Guesses()
    for _ in range(100 * MOST_IN_ALL):
        guess(guesses, 1)
    assert guesses.wait(HOME, 1.0) is None
    assert guesses.wait(ELSEWHERE, 1.0) is None


def test_guesses_from_everywhere_stop_those_who_have_not_shown_the_right_one() -> None:
    guesses = Guesses()
    guesses.right(HOME, 0.0)
    for number in range(MOST_IN_ALL + 1):
        guess(guesses, number, f"address {number}", 10.0)
    assert guesses.wait(ELSEWHERE, 20.0) == WINDOW - 10.0
    assert guesses.wait(HOME, 20.0) is None
    for number in range(MOST_IN_ALL + 1):
        guess(guesses, number, f"address {number}", TRUSTED)
    assert guesses.wait(HOME, TRUSTED) is not None, "it was shown too long ago"


@pytest.fixture
def times() -> Times:
    return Times()


def make_accounts(tmp_path: Path, times: Times, mode: Mode) -> Accounts:
    store = store_for(f"sqlite:///{tmp_path}/fairgate.db")  # it is not open: no secret is looked up there
    clock, wall = lambda: times.clock, lambda: times.wall
    return Accounts(store, mode, PROXY_KEY, b"pepper", clock=clock, wall=wall, admin_key=ADMIN_KEY)


async def heard(accounts: Accounts, secret: str, address: str = HOME) -> object:
    """The caller, or which refusal was heard."""
    try:
        return await accounts.authenticate(f"Bearer {secret}", None, address)
    except Refusal as refusal:
        return type(refusal)


@pytest.mark.gen_test
@pytest.mark.parametrize(("mode", "secret"), [("user_token", ADMIN_KEY), ("shared", ADMIN_KEY), ("shared", PROXY_KEY)])
async def test_past_the_bound_the_right_secret_hears_what_a_wrong_one_hears(
    tmp_path: Path, times: Times, mode: Mode, secret: str
) -> None:
    accounts = make_accounts(tmp_path, times, mode)
    assert await heard(accounts, secret) in (OPERATOR, SHARED)
    for number in range(MOST + 1):
        await heard(accounts, f"guess {number}")
    assert await heard(accounts, secret) is RateLimited
    assert await heard(accounts, "another guess") is RateLimited
    assert await heard(accounts, secret, ELSEWHERE) in (OPERATOR, SHARED)
    times.advance(WINDOW)
    assert await heard(accounts, secret) in (OPERATOR, SHARED)


@pytest.mark.gen_test
async def test_guesses_from_many_addresses_are_slowed_in_all(tmp_path: Path, times: Times) -> None:
    accounts = make_accounts(tmp_path, times, "shared")
    assert await heard(accounts, PROXY_KEY, "198.51.100.1") is SHARED
    for number in range(MOST_IN_ALL + 1):
        await heard(accounts, f"guess {number}", f"10.0.{number // 250}.{number % 250}")
    assert await heard(accounts, PROXY_KEY, ELSEWHERE) is RateLimited
    assert await heard(accounts, "another guess", ELSEWHERE) is RateLimited
    assert await heard(accounts, PROXY_KEY, "198.51.100.1") is SHARED, "who knew it goes on"


@pytest.mark.gen_test
async def test_addresses_of_one_household_are_one(tmp_path: Path, times: Times) -> None:
    accounts = make_accounts(tmp_path, times, "shared")
    for number in range(MOST + 1):
        await heard(accounts, f"guess {number}", f"2001:db8:1:2::{number:x}")
    assert await heard(accounts, PROXY_KEY, "2001:db8:1:2:ffff::1") is RateLimited
    assert await heard(accounts, PROXY_KEY, "2001:db8:1:3::1") is SHARED


@pytest.mark.gen_test
async def test_where_no_credential_is_needed_nothing_is_learnt_from_the_answer(tmp_path: Path, times: Times) -> None:
    accounts = make_accounts(tmp_path, times, "none")
    for number in range(MOST + 1):
        await heard(accounts, f"guess {number}")
    assert await heard(accounts, ADMIN_KEY) == await heard(accounts, "another guess")
    assert await heard(accounts, ADMIN_KEY, ELSEWHERE) is OPERATOR


@pytest.mark.gen_test
async def test_wrong_tokens_are_no_guesses_at_a_secret(tmp_path: Path, times: Times) -> None:
    accounts = make_accounts(tmp_path, times, "shared")
    for _ in range(MOST + 1):
        assert await heard(accounts, new_token()) in (InvalidKey, RateLimited)
    assert await heard(accounts, ADMIN_KEY) is OPERATOR
