"""The stores that the books are tried on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.accounting.books import Place
from tests.faults.conftest import io_loop, open_stage
from tests.store.mongo_kinds import mongo_url, real_server, secantus_server

__all__ = ["io_loop", "open_stage", "real_server", "secantus_server"]  # fixtures


@pytest.fixture(params=["sqlite", "mongodb"])
def place(request: pytest.FixtureRequest) -> Place:
    """Where the books are kept: on each kind of store once."""
    kept: Place = request.getfixturevalue(request.param)
    return kept


@pytest.fixture
def sqlite(tmp_path: Path) -> Place:
    return Place(f"sqlite:///{tmp_path / 'books.db'}", tmp_path)


@pytest.fixture
def mongodb(secantus_server: str, tmp_path: Path) -> Place:
    return Place(mongo_url(secantus_server, tmp_path), tmp_path)
