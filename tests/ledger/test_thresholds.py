"""Thresholds: of those that are reached the highest counts, and what makes no sense is refused."""

from __future__ import annotations

import pytest

from server.ledger.holds import BudgetStanding, HoldEntry
from server.ledger.limits import Limit, LimitWindow, Scope, Unit
from server.ledger.thresholds import parse_thresholds, reached

LIMIT = Limit("l1", Scope.EVERYONE, "", Unit.USD, LimitWindow.MONTH, 200)


def standing(taken: int, most: int = 200) -> BudgetStanding:
    return BudgetStanding(HoldEntry("person:ada/usd/*/month/2026-11", LIMIT, most, 0, None), taken)


@pytest.mark.parametrize(
    ("taken", "most", "expected"),
    [
        *((0, 200, None), (99, 200, None), (100, 200, 50), (159, 200, 50), (160, 200, 80), (190, 200, 95)),
        *((199, 200, 95), (200, 200, 100), (5_000, 200, 100), (0, 0, None), (1, 0, None), (1, 3, None), (2, 3, 50)),
    ],
)
def test_the_highest_threshold_that_is_reached(taken: int, most: int, expected: int | None) -> None:
    assert reached(standing(taken, most), (50, 80, 95, 100)) == expected


def test_without_thresholds_none_is_reached() -> None:
    assert reached(standing(200), ()) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("50,80,95,100", (50, 80, 95, 100)), (" 100 , 5,100 ", (5, 100)), ("none", ()), (" None ", ())],
)
def test_thresholds_are_read_in_rising_order(text: str, expected: tuple[int, ...]) -> None:
    assert parse_thresholds(text) == expected


@pytest.mark.parametrize("text", ["", ",", "0", "101", "50%", "-5", "1.5", "x", "5 0", "٣", "1000"])
def test_what_is_no_percent_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected whole percents"):
        parse_thresholds(text)
