"""How long answers take: what has ended, what still runs, and what nothing is known of."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keypool.durations import LONGEST, USUAL_ANSWER, Durations, SurvivalCurve, mixed

seconds = st.floats(0.01, 1000.0)


def test_before_anything_was_seen_half_of_the_answers_take_the_usual_time() -> None:
    assert Durations(10).of_ended().quantile(0.5) == pytest.approx(USUAL_ANSWER)
    assert Durations(10).curve([0.01]).quantile(0.5, age=0.01) == pytest.approx(USUAL_ANSWER)


def test_what_has_ended_is_a_sample() -> None:
    curve = SurvivalCurve([1.0, 2.0, 3.0, 4.0], [])
    assert [curve.quantile(part) for part in (0.2, 0.25, 0.5, 0.75, 0.9)] == [1.0, 1.0, 2.0, 3.0, 4.0]


def test_what_runs_counts_as_far_as_it_goes() -> None:
    """By hand, as Kaplan and Meier do: 1 of 4 ends at 1; one leaves the sample at 2; 1 of 2 ends at 3."""
    curve = SurvivalCurve([1.0, 3.0, 5.0], [2.0])
    assert curve.quantile(0.24) == 1.0
    assert curve.quantile(0.26) == 3.0
    assert curve.quantile(0.62) == 3.0
    assert curve.quantile(0.63) == 5.0


def test_what_has_run_for_longer_than_the_titles_is_an_essay() -> None:
    curve = SurvivalCurve([0.2] * 70 + [60.0] * 30, [])
    assert curve.quantile(0.5) == 0.2
    assert curve.quantile(0.5, age=1.0) == 60.0
    assert curve.strata(3, age=45.0) == [15.0, 15.0, 15.0]


def test_eight_that_run_for_a_minute_are_not_hidden_by_two_hundred_quick_ones_that_ended() -> None:
    durations = Durations(200)
    for _ in range(200):
        durations.learn(0.2)
    curve = durations.curve([60.0] * 8)
    assert curve.quantile(0.5) == 0.2
    assert curve.quantile(0.97) > 60.0
    assert curve.quantile(0.5, age=60.0) == pytest.approx(120.0), "half of them go on for as long again"


def test_only_the_latest_count() -> None:
    durations = Durations(3)
    for each in (100.0, 1.0, 1.0, 1.0):
        durations.learn(each)
    assert len(durations) == 3
    assert durations.of_ended().quantile(0.9) == 1.0


@settings(deadline=None, max_examples=60)
@given(st.lists(seconds, max_size=20), st.lists(seconds, max_size=8), st.floats(0.0, 2000.0))
def test_quantiles_rise_and_what_is_left_is_never_negative(ended: list[float], runs: list[float], age: float) -> None:
    curve = SurvivalCurve(ended, runs)
    found = [curve.quantile(part / 20, age) for part in range(1, 20)]
    assert found == sorted(found)
    assert all(age <= each <= LONGEST or each == LONGEST for each in found)
    assert all(left >= 0.0 for left in curve.strata(7, age))


def test_each_part_of_a_mixture_has_the_same_weight() -> None:
    assert mixed([[1.0, 1.0], [9.0, 9.0]], 4) == [1.0, 1.0, 9.0, 9.0]
