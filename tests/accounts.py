"""What tests of accounts share: clocks that stand still, a store, accounts over it, and the one refusal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import pytest

from server.admin.changes import Changes
from server.auth.accounts import Accounts, BearerTokens, Mode
from server.auth.tokens import Memory
from server.store import store_for
from server.store.base import Caller, Person, Store, StoreError, Token, TokenTerms
from server.store.breaker import Guarded
from server.wire.errors import InvalidKey

HOME = "192.0.2.1"
PROXY_KEY = "the whole campus knows this"
PEPPER = b"pepper"
ANY = TokenTerms()
DAY = 86_400_000  # milliseconds
FIVE_SECONDS = Memory(5.0)


class Times:
    """A monotonic clock in seconds and a wall clock in milliseconds; they move when a test says so."""

    def __init__(self) -> None:
        self.clock = 1_000.0
        self.wall = 1_800_000_000_000

    def advance(self, seconds: float) -> None:
        self.clock += seconds
        self.wall += int(seconds * 1000)


@dataclass
class AccountsFactory:
    """Makes accounts over one store: each is like another process of the same gateway."""

    store: Store
    times: Times

    def __call__(
        self,
        mode: Mode = "user_token",
        pepper: bytes = PEPPER,
        memory: Memory = FIVE_SECONDS,
        provider: BearerTokens | None = None,
    ) -> Accounts:
        clock, wall = lambda: self.times.clock, lambda: self.times.wall
        return Accounts(self.store, mode, PROXY_KEY, pepper, clock=clock, wall=wall, memory=memory, bearer=provider)

    def changes(self, changed: Callable[[], None] = lambda: None) -> Changes:
        numbers = count(1)
        return Changes(self.store, lambda: self.times.wall, lambda: f"aud_{id(numbers)}_{next(numbers):06d}", changed)

    async def disable(self, name: str, accounts: Accounts, disabled: bool = True) -> None:
        """As the process of these accounts does it."""
        changes = self.changes(accounts.forget)
        await changes.set_disabled("operator", (await changes.person_named(name)).id, disabled)

    def guard(self) -> Guarded:
        return Guarded(self.store, 10.0, lambda: self.times.clock)


async def ada(accounts: Accounts, expires_at: int | None = None, terms: TokenTerms = ANY) -> tuple[Token, str]:
    await accounts.create_person("Ada")
    return await accounts.create_token("Ada", "laptop", expires_at, terms)


async def a_person(store: Store, name: str, **fields: object) -> Person:
    """A new person with these fields."""
    person = Person(f"usr_{name}", name, False, 0)
    await store.create_person(person)
    if fields:
        await store.update_person(person.id, fields)
    return replace(person, **fields)  # type: ignore[arg-type]  # fields of a person


async def bearer(accounts: Accounts, secret: str, address: str = HOME) -> Caller:
    return await accounts.authenticate(f"Bearer {secret}", None, address)


async def refused(attempt: Awaitable[Caller]) -> None:
    """The one refusal: of the same class, with the same words and nothing besides."""
    with pytest.raises(InvalidKey) as caught:
        await attempt
    error = caught.value
    assert (type(error), error.param, error.retry_after, error.message) == (
        InvalidKey,
        None,
        None,
        "Invalid or missing API key.",
    )
    assert error.args == ("InvalidKey",)
    assert error.__cause__ is None
    assert error.__context__ is None


async def no_store(store: Store) -> None:
    """An outage: the store is closed, and every question to it fails."""
    await store.close()
    with pytest.raises(StoreError):
        await store.people()


@pytest.fixture
def times() -> Times:
    return Times()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return store_for(f"sqlite:///{tmp_path}/fairgate.db")


@pytest.fixture
def make_accounts(store: Store, times: Times) -> AccountsFactory:
    return AccountsFactory(store, times)
