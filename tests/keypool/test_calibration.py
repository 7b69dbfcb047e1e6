"""What the latest forecasts say of the next ones, and how good forecasts were."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keypool.calibration import ENOUGH, LEAST_LEARNT, MOST, REMEMBERED, Calibration, ForecastScore


def seen(*ratios: float) -> Calibration:
    calibration = Calibration()
    for ratio in ratios:
        calibration.learn(10.0, 10.0 * ratio)
    return calibration


def test_before_enough_was_seen_nothing_is_corrected() -> None:
    assert seen(*[3.0] * (ENOUGH - 1)).quantile(0.5, 1.0) == 1.0
    assert seen(*[3.0] * ENOUGH).quantile(0.5, 1.0) == pytest.approx(3.0)


def test_the_quantiles_are_those_of_the_latest_waits() -> None:
    calibration = seen(*(number / 10 for number in range(1, 11)))
    assert (calibration.quantile(0.5, 0.0), calibration.quantile(0.9, 0.0)) == pytest.approx((0.6, 1.0))
    for _ in range(REMEMBERED):
        calibration.learn(10.0, 20.0)
    assert calibration.quantile(0.0, 0.0) == calibration.quantile(1.0, 0.0) == pytest.approx(2.0)


def test_one_strange_wait_counts_as_one_wait() -> None:
    calibration = seen(*[1.0] * 20, 1e6)
    assert calibration.quantile(0.5, 0.0) == calibration.quantile(0.9, 0.0) == pytest.approx(1.0)
    assert calibration.quantile(1.0, 0.0) == MOST


@pytest.mark.parametrize("predicted", [0.0, LEAST_LEARNT - 0.001])
def test_a_prediction_of_less_than_a_second_teaches_nothing(predicted: float) -> None:
    calibration = Calibration()
    for _ in range(ENOUGH):
        calibration.learn(predicted, 60.0)
    assert calibration.quantile(0.5, 1.0) == 1.0


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(0.01, 20.0), min_size=20, max_size=150))
def test_nine_of_ten_waits_that_were_seen_are_covered(ratios: list[float]) -> None:
    calibration = seen(*ratios)
    bound = calibration.quantile(0.9, 0.0)
    latest = ratios[-REMEMBERED:]
    assert sum(min(MOST, max(0.1, ratio)) <= bound + 1e-9 for ratio in latest) >= 0.9 * len(latest) - 1


@pytest.mark.parametrize(
    ("usual", "latest", "actual", "near", "exceeded"),
    [
        (10.0, 20.0, 10.0, 1, 0),
        (10.0, 20.0, 8.0, 1, 0),
        (10.0, 20.0, 7.9, 0, 0),
        (10.0, 20.0, 13.4, 0, 0),
        (10.0, 20.0, 21.5, 0, 1),
        (0.0, 0.0, 0.9, 1, 0),
        (4.0, 4.0, 38.0, 0, 1),
    ],
)
def test_a_forecast_is_near_within_a_quarter_of_the_true_wait_or_a_second(
    usual: float, latest: float, actual: float, near: int, exceeded: int
) -> None:
    score = ForecastScore().with_one(usual, latest, actual)
    assert score == ForecastScore(1, near, exceeded)
    assert score + score == ForecastScore(2, 2 * near, 2 * exceeded)
