"""What holds for all tests."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Say that there is no event loop, before anything asks for one, and where the tests write.

    Tornado asks asyncio for the loop before its own; the first time asyncio would make one, which nothing ever closes,
    and the warning about its sockets would fail whichever test runs when it is collected.
    """
    asyncio.set_event_loop(None)
    if _is_roomy(MEMORY):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


# A folder in memory. Each embedded store waits for its disk at each commit, and no test cuts the machine's power.
MEMORY = Path("/dev/shm")
ROOM = 4 << 30  # bytes; an image's steps alone write 400 MB


def _is_roomy(folder: Path) -> bool:
    return os.access(folder, os.W_OK) and shutil.disk_usage(folder).free >= ROOM


ALONE = frozenset({"accounting", "faults"})  # folders whose slow tests want a machine that does nothing else
# Files of these folders that are bound by the processor: a neighbour makes them slower and not wrong.
BESIDE = frozenset(
    f"test_{name}.py" for name in ("attempts", "balance", "books", "crowds", "escrow", "payer", "price_catalogue")
)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Collect fifteen thousand tests without the garbage collector, and keep it away from them afterwards.

    They live as long as the process: to look through them again and again takes a quarter of the time of collection,
    and a second at every full collection of a test.
    """
    gc.disable()
    result = yield
    gc.freeze()
    gc.enable()
    return result


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where only what runs alone is asked for, a folder or file that cannot have any of it is not even imported."""
    if config.option.markexpr != "alone":
        return None
    files = collection_path.rglob("test_*.py") if collection_path.is_dir() else (collection_path,)
    return None if any(_may_run_alone(file) for file in files) else True


def _may_run_alone(file: Path) -> bool:
    return _is_of_the_quiet(file) or "pytest.mark.alone" in file.read_text("utf-8")


def _is_of_the_quiet(file: Path) -> bool:
    return file.parent.name in ALONE and file.name not in BESIDE


def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are processors: now and then each waits, for a browser, a server or a clock."""
    return len(os.sched_getaffinity(0)) + 1


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
        if item.get_closest_marker("slow") and _is_of_the_quiet(item.path):
            item.add_marker(pytest.mark.alone)
    items.sort(key=lambda item: slow[item.path] == 0)
