"""When the next requests start, by their places."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keypool.departures import PLACES, SCENARIOS, Departures
from keypool.durations import SurvivalCurve


def always(seconds: float) -> list[float]:
    return [seconds] * SCENARIOS


@pytest.mark.parametrize("place", [0, 1, 5, PLACES - 1, PLACES, 5 * PLACES])
def test_where_nothing_is_left_to_chance_the_table_is_exact(place: int) -> None:
    """Two slots, free in 1 and 6 seconds, and answers of 10."""
    departures = Departures(always(10.0), [always(1.0), always(6.0)])
    exact = (1.0 if place % 2 == 0 else 6.0) + 10.0 * (place // 2)
    assert departures.wait(place) == pytest.approx((exact, exact), rel=0.02)


def test_a_slot_that_is_free_now_is_no_wait() -> None:
    assert Departures(always(10.0), [always(0.0)]).wait(0) == (0.0, 0.0)


def test_titles_and_essays() -> None:
    """Eight slots: answers of a fifth of a second and of a minute, three of ten. 16 others start first."""
    curve = SurvivalCurve([0.2] * 70 + [60.0] * 30, [])
    slots = [curve.strata(SCENARIOS, 30.0) for _ in range(8)]  # all run for half a minute: essays
    wait = Departures(curve.strata(SCENARIOS), slots).wait(16)
    assert wait.usual == pytest.approx(30.0, abs=1.0)
    assert 30.0 <= wait.latest <= 91.0
    assert Departures(curve.strata(SCENARIOS), slots).wait(0).usual == pytest.approx(30.0)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0.1, 100.0), min_size=1, max_size=20), st.integers(1, 5))
def test_who_is_further_behind_waits_no_less_and_the_longest_wait_is_no_shorter(ended: list[float], many: int) -> None:
    curve = SurvivalCurve(ended, [])
    departures = Departures(curve.strata(SCENARIOS), [curve.strata(SCENARIOS, 0.1) for _ in range(many)])
    waits = [departures.wait(place) for place in range(0, 200, 7)]
    assert [wait.usual for wait in waits] == sorted(wait.usual for wait in waits)
    assert all(wait.usual <= wait.latest for wait in waits)


def test_a_table_that_is_asked_in_another_order_says_the_same() -> None:
    curve = SurvivalCurve([1.0, 5.0, 20.0], [])
    one, other = (Departures(curve.strata(SCENARIOS), [curve.strata(SCENARIOS)] * 3) for _ in range(2))
    assert [one.wait(place) for place in (40, 3, 0)] == [other.wait(place) for place in (0, 3, 40)][::-1]
