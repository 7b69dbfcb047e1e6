"""A store and the accounts that are read through it, with clocks that stand still."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.store import store_for
from server.store.base import Store
from tests.accounts import AccountsFactory, Times


@pytest.fixture
def times() -> Times:
    return Times()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return store_for(f"sqlite:///{tmp_path}/fairgate.db")


@pytest.fixture
def make_accounts(store: Store, times: Times) -> AccountsFactory:
    return AccountsFactory(store, times)
