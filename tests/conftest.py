"""What holds for all tests."""

from __future__ import annotations

import asyncio

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Say that there is no event loop, before anything asks for one.

    Tornado asks asyncio for the loop before its own; the first time asyncio would make one, which nothing ever closes,
    and the warning about its sockets would fail whichever test runs when it is collected.
    """
    asyncio.set_event_loop(None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is marked `soak` runs only where `-m` names it: it takes minutes."""
    if "soak" not in config.option.markexpr:
        items[:] = [item for item in items if item.get_closest_marker("soak") is None]
