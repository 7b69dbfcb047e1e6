"""What holds for all tests."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Say that there is no event loop, before anything asks for one.

    Tornado asks asyncio for the loop before its own; the first time asyncio would make one, which nothing ever closes,
    and the warning about its sockets would fail whichever test runs when it is collected.
    """
    asyncio.set_event_loop(None)


ALONE = frozenset({"accounting", "faults"})  # folders whose slow tests want a machine that does nothing else


@pytest.hookimpl(tryfirst=True)  # before `-m` is applied
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what runs alone, leave out what is for `make soak` only, and put the longest files first.

    What is marked `soak` runs only where `-m` names it: it takes minutes. Where processes share the files between them,
    a long one that comes last would keep one of them busy after the others have ended.
    """
    if "soak" not in config.option.markexpr:
        items[:] = [item for item in items if item.get_closest_marker("soak") is None]
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    for item in items:
        if item.get_closest_marker("slow") and item.path.parent.name in ALONE:
            item.add_marker(pytest.mark.alone)
    items.sort(key=lambda item: slow[item.path] == 0)
