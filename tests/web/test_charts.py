"""Where the marks of a chart go."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from web import charts
from web.view import KEY_STATES, HourView, Ladder, ModelView
from web.view_me import Cell
from web.view_public import Measure


def cell(day: str, model: str, micro_usd: int) -> Cell:
    return Cell(day, model, requests=1, tokens_in=10, tokens_out=5, micro_usd=micro_usd)


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.sampled_from(KEY_STATES), st.integers(0, 10_000)))
def test_the_bar_of_keys_is_filled_exactly_and_in_the_order_of_health(keys: dict[str, int]) -> None:
    segments = charts.key_segments(ModelView("m", 0, 0, 1, keys))
    assert [segment.state for segment in segments] == [state for state in KEY_STATES if keys.get(state)]
    assert not segments or sum(segment.width for segment in segments) == pytest.approx(100, abs=0.05)


@pytest.mark.parametrize(("taken", "most", "share"), [(0, 8, 0.0), (3, 8, 37.5), (9, 8, 100.0), (0, 0, 100.0)])
def test_a_meter_never_overflows_and_of_nothing_all_is_taken(taken: int, most: int, share: float) -> None:
    assert charts.filled(taken, most) == share


@pytest.mark.parametrize(("taken", "word"), [(0, "easy"), (74, "easy"), (75, "near"), (100, "full"), (130, "full")])
def test_a_limit_is_easy_near_or_full(taken: int, word: str) -> None:
    assert charts.tightness(taken, 100) == word


def test_every_day_has_a_column_and_days_outside_have_none() -> None:
    bars = charts.daily([cell("2026-02-28", "m", 4), cell("2026-03-09", "m", 9)], "2026-02-27", "2026-03-02", "cost")
    assert [column.label for column in bars.columns] == ["2026-02-27", "2026-02-28", "2026-03-01", "2026-03-02"]
    assert [column.total for column in bars.columns] == [0, 4, 0, 0]
    assert bars.total == 4


@pytest.mark.parametrize(("by", "total"), [("cost", 7), ("tokens", 15), ("requests", 1)])
def test_a_chart_counts_what_it_is_asked_to(by: Measure, total: int) -> None:
    assert charts.daily([cell("2026-03-01", "m", 7)], "2026-03-01", "2026-03-01", by).total == total


def test_the_largest_models_have_a_colour_and_the_rest_share_one() -> None:
    bars = charts.daily([cell("2026-03-01", f"m{n}", n) for n in range(1, 8)], "2026-03-01", "2026-03-01", "cost")
    assert bars.series == (
        ("c1", "m7", 7), ("c2", "m6", 6), ("c3", "m5", 5), ("c4", "m4", 4), ("c5", "m3", 3), ("c0", "other", 3),
    )  # fmt: skip
    assert bars.columns[0].parts[-1] == ("other", 3)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.sampled_from("abcdefgh"), st.integers(0, 10**12)), min_size=1, max_size=30)
)
def test_columns_stay_in_the_picture_and_something_is_never_invisible(rows: list[tuple[int, str, int]]) -> None:
    bars = charts.daily([cell(f"2026-03-0{d}", m, v) for d, m, v in rows], "2026-03-01", "2026-03-09", "cost")
    assert sum(column.total for column in bars.columns) == sum(total for _, _, total in bars.series)
    for column in bars.columns:
        assert bool(column.marks) == bool(column.total)
        for mark in column.marks:
            assert 0 <= mark.x <= mark.x + mark.width <= 100.01
            assert 0 <= mark.y <= bars.height
            assert mark.height >= 1


def test_a_young_day_stands_at_the_right_of_the_heat_strip() -> None:
    strip = charts.heat([HourView(0, 10, 0.5), HourView(3_600_000, 0, None)], ["13:00", "14:00"])
    first, last = (column.marks[0] for column in strip.columns)
    assert first.x > 90
    assert last.x + last.width <= 100
    assert (first.tone, first.height) == ("h2", 96)
    assert (last.tone, last.height) == ("unwatched", 1)


@pytest.mark.parametrize(("busy", "tone"), [(None, "unwatched"), (0.0, "h0"), (0.19, "h0"), (0.2, "h1"), (1.0, "h4")])
def test_how_busy_an_hour_was_is_one_of_five_strengths(busy: float | None, tone: str) -> None:
    assert charts.heat_tone(busy) == tone


def test_a_short_outage_is_never_too_thin_to_be_seen() -> None:
    assert charts.uptime((1.0, 0.9999, 0.0, None)) == {
        "up": "M0 0h2v22h-2zM3 3h2v19h-2z",
        "down": "M3 0h2v3h-2zM6 0h2v22h-2z",
        "unwatched": "M9 20h2v2h-2z",
    }


def test_percentiles_stand_on_a_logarithmic_ladder_that_nothing_leaves() -> None:
    low, mid, high = charts.rungs(Ladder(9, 0.001, 3.873, 9000.0))
    assert (low, high) == (0.0, 100.0)
    assert mid == pytest.approx(50, abs=0.1)


@pytest.mark.parametrize(
    ("top", "values"),
    [
        (0, [0, 1]), (1, [0, 1]), (4, [0, 1, 2, 3, 4]), (9, [0, 5, 10]), (37, [0, 10, 20, 30, 40]),
        (41, [0, 20, 40, 60]),
        (378_112, [0, 100_000, 200_000, 300_000, 400_000]), (1_700_000, [0, 500_000, 1_000_000, 1_500_000, 2_000_000]),
    ],
)  # fmt: skip
def test_an_axis_has_few_round_figures_and_ends_above_the_largest_column(top: int, values: list[int]) -> None:
    bars = charts.stacked({"a": {"m": top}}, 160)
    assert [value for value, _ in bars.ticks] == values
    assert [y for _, y in bars.ticks] == sorted((y for _, y in bars.ticks), reverse=True)
    assert bars.ticks[0][1] == 160


@pytest.mark.parametrize(("count", "named"), [(1, 1), (5, 5), (24, 5), (30, 5), (400, 5)])
def test_at_most_five_columns_are_named_below_the_axis_and_the_last_is_one(count: int, named: int) -> None:
    bars = charts.stacked({str(number): {"m": 1} for number in range(count)}, 160)
    assert len(bars.dates) == named
    assert bars.dates[-1] is bars.columns[-1]


def test_every_hour_has_a_column_and_hours_outside_have_none() -> None:
    hour = charts.HOUR_MS
    bars = charts.last_hours([(hour, "m", 2), (hour, "n", 3), (9 * hour, "m", 7)], 3 * hour + 5, 3)
    assert [(column.label, column.total) for column in bars.columns] == [("0", 0), (str(hour), 5), (str(2 * hour), 0)]
    assert bars.columns[1].parts == (("n", 3), ("m", 2))


def test_shares_are_the_models_that_were_used_the_largest_first_and_bars_by_the_largest() -> None:
    cells = [cell("2026-03-01", "m", 1), cell("2026-03-02", "m", 2), cell("2026-03-01", "n", 9), cell("", "o", 0)]
    assert charts.shares(cells, "cost") == [charts.Share("n", 9, 0.75, 100.0), charts.Share("m", 3, 0.25, 33.33)]
