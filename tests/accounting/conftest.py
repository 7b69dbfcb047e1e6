"""The stores that the books are tried on, and what takes too long for every day (`pytest -m soak`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.accounting.books import Place
from tests.faults.conftest import io_loop, open_stage
from tests.store.mongo_kinds import mongo_url, real_server, secantus_server

__all__ = ["io_loop", "open_stage", "real_server", "secantus_server"]  # fixtures


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "soak: the whole length of what every run does shortly; only where -m names it")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "soak" not in config.option.markexpr:
        items[:] = [item for item in items if item.get_closest_marker("soak") is None]


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
