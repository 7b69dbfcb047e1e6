"""What a long run says: bench/soak.py; and what is alive in a gateway: bench/watched.py."""

from __future__ import annotations

import asyncio

import pytest

from bench.soak import Alive, Run, found, growth_per_hour, settled
from bench.watched import alive

QUIET = Alive(20, 5, 10, 3)


def _run(after: Alive, mib_per_hour: float) -> Run:
    memory = [(float(at), 80 + (30 - at if at < 30 else 0) + at / 3600 * mib_per_hour) for at in range(0, 1200, 10)]
    return Run(700.0, 840_000, memory, QUIET, after)


def test_growth_is_a_slope_per_hour_without_the_start() -> None:
    memory = _run(QUIET, 6.0).memory
    assert growth_per_hour(settled(memory)) == pytest.approx(6.0)
    assert growth_per_hour(memory) < 0  # the start would hide it


def test_a_single_sample_grows_by_nothing() -> None:
    assert growth_per_hour([(1.0, 80.0)]) == 0.0


def test_a_gateway_in_which_nothing_is_left_keeps_all_bars() -> None:
    assert all(line.kept for line in found(_run(Alive(18, 5, 10, 2), 0.5)))


@pytest.mark.parametrize(
    ("after", "growth", "missed"),
    [
        (QUIET, 2.0, "Memory grows by"),
        (Alive(21, 5, 10, 3), 0.0, "Descriptors left"),
        (Alive(20, 6, 10, 3), 0.0, "Threads left"),
        (Alive(20, 5, 11, 3), 0.0, "Tasks left"),
        (Alive(20, 5, 10, 4), 0.0, "Timers left"),
    ],
)
def test_what_grows_or_is_left_misses_its_bar(after: Alive, growth: float, missed: str) -> None:
    assert [line.name for line in found(_run(after, growth)) if not line.kept] == [missed]


@pytest.mark.gen_test
async def test_what_is_alive_are_tasks_and_timers_that_wait() -> None:
    loop = asyncio.get_running_loop()
    before = alive()
    task = asyncio.ensure_future(asyncio.Event().wait())
    cancelled, waiting = loop.call_later(60, print), loop.call_later(60, print)
    cancelled.cancel()
    after = alive()
    task.cancel()
    waiting.cancel()
    assert (after["tasks"] - before["tasks"], after["timers"] - before["timers"]) == (1, 1)
