"""The kinds of store that the one suite is run on. A test that asks for `fresh` or `kind` is run on each.

A kind is a name and a function from an empty directory to a store that is not open yet; whatever is made for one
directory is the same place.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from server.store import store_for
from server.store.base import Store
from tests.store.mongo_kinds import KINDS as MONGO_KINDS
from tests.store.mongo_kinds import mongo_kind, real_server, secantus_server

__all__ = ["real_server", "secantus_server"]  # fixtures

Fresh = Callable[[], Store]
Kind = Callable[[Path], Store]


def sqlite(place: Path) -> Store:
    """The embedded store."""
    return store_for(f"sqlite:///{place}/fairgate.db")


@pytest.fixture(params=["sqlite", *MONGO_KINDS])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Makes stores in places of the test's choice."""
    return sqlite if request.param == "sqlite" else mongo_kind(request, request.param)


@pytest.fixture
def fresh(kind: Kind, tmp_path: Path) -> Fresh:
    """Makes stores that are not open yet; all of one test are the same place."""
    return lambda: kind(tmp_path)
