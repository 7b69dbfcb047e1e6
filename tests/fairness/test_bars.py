"""The promises of docs/fairness.md, in virtual time on the real core: each figure keeps its bar.

What is a time is only printed, since it depends on what else the machine does. The same work is also measured beside a
yardstick, or beside itself with fewer who wait, and how many times as long it takes is asserted.
"""

from __future__ import annotations

import pytest

from bench.fairness import bars, scenarios
from bench.fairness.figures import Figure, fairness, polite
from bench.fairness.measures import percentile, waits
from bench.fairness.schedulers import Fifo, RoundRobin, Simple
from bench.fairness.world import USUAL, bound_by_slots, bound_by_tokens

MAKERS = [make for _, makers in bars.GROUPS for make in makers]


@pytest.mark.slow
@pytest.mark.timeout(300)  # seconds of the wall: a simulation takes some of the processor, which others may have
@pytest.mark.parametrize("make", MAKERS, ids=[make.__name__ for make in MAKERS])
def test_every_bar_is_kept(make: bars.Bars) -> None:
    hold(make(bars.SHORT))


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("make", MAKERS, ids=[make.__name__ for make in MAKERS])
def test_every_bar_is_kept_for_longer(make: bars.Bars) -> None:
    hold(make(bars.QUICK))


def hold(figures: list[Figure]) -> None:
    for figure in figures:
        print(figure.name, figure.value, figure.unit, figure.bar)
        assert figure.kept or figure.timed, f"{figure.name}: {figure.value} {figure.unit}, promised {figure.bar}"


# A bar that nothing could miss would promise nothing.


@pytest.mark.slow
def test_first_come_first_served_misses_the_bar_of_the_polite() -> None:
    record = scenarios.flood(Simple(bound_by_slots(), Fifo()), USUAL, 300.0, 1)
    assert percentile(waits(polite([record])), 0.5) > 10.0


@pytest.mark.slow
@pytest.mark.parametrize("keys", [bound_by_slots, bound_by_tokens])
def test_turns_by_request_miss_the_bars_of_equal_service(keys: scenarios.Keys) -> None:
    found = fairness(scenarios.sizes(Simple(keys(), RoundRobin()), 300.0, 1))
    assert found.gap > 3.0
    assert found.jain < 0.9
