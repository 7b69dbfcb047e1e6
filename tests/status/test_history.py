"""What is kept of each hour, and how it adds up."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.ledger.history import (
    GRACE,
    HOUR_MS,
    HOUSE,
    HistoryRecorder,
    HourRow,
    added,
    bucket_of,
    figures_of,
    merged,
    percentile,
    row_of,
)
from server.ledger.summaries import tokens_per_second
from server.ledger.usage import Outcome, attempt_id
from server.wire.usage import Usage
from tests.store.samples import usage_row

NOON = 1_795_262_400_000  # 2026-11-21T12:00Z

buckets_of = st.dictionaries(st.integers(0, 80), st.integers(1, 9))
durations = st.lists(st.integers(0, 20_000_000), min_size=1, max_size=50)


def rows_of(recorder: HistoryRecorder) -> dict[str, HourRow]:
    return {row.model: row for row in recorder.rows()}


@settings(deadline=None, max_examples=60)
@given(durations, st.sampled_from([0.5, 0.9, 0.99]))
def test_a_percentile_is_true_to_a_tenth(ms: list[int], share: float) -> None:
    buckets: dict[int, int] = {}
    for each in ms:
        buckets[bucket_of(each)] = buckets.get(bucket_of(each), 0) + 1
    exact = sorted(ms)[max(0, -int(-share * len(ms) // 1) - 1)] / 1000
    found = percentile(buckets, share)
    if exact < 0.01:
        assert found == 0.0
    elif exact < 9_000:
        assert abs(found - exact) <= 0.1 * exact


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3), st.sampled_from(["a", "b"]), st.dictionaries(st.integers(0, 80), st.integers(1, 9))
        )
    )
)
def test_rows_add_up_in_any_order_and_grouping(parts: list[tuple[int, str, dict[int, int]]]) -> None:
    rows = [HourRow(hour=hour, model=model, requests=1, waits=waits) for hour, model, waits in parts]
    at_once = merged(rows)
    assert merged([*merged(rows[: len(rows) // 2]), *merged(rows[len(rows) // 2 :])]) == at_once == merged(rows[::-1])
    assert sum(row.requests for row in at_once) == len(rows)


def test_figures_survive_json_and_those_of_a_newer_release_are_passed_over() -> None:
    row = HourRow(hour=5, model="m", requests=2, people=1, waits={0: 1, 44: 1}, first_bytes={7: 2})
    figures = json.loads(json.dumps(figures_of(row)))
    assert row_of(5, "m", figures) == row
    assert row_of(5, "m", {**figures, "news": 1}) == row
    assert figures_of(HourRow(hour=5, model="m")) == {}


def test_a_request_counts_for_its_model_and_for_the_house_in_the_hour_in_which_it_ended() -> None:
    recorder = HistoryRecorder()
    row = usage_row("r1", model_asked="small", queue_ms=2_000, first_byte_ms=None, cost_micro_usd=5)
    recorder.observe(row, NOON + 1)
    recorder.observe(replace(row, person_id="usr_bob", status=Outcome.CUT), NOON + 2)
    recorder.observe(replace(row, model_asked="large", status=Outcome.CANCELLED), NOON + 3)
    found = rows_of(recorder)
    small, services = found["small"], found[HOUSE]
    assert (small.hour, small.requests, small.completed, small.failed, small.people) == (NOON, 2, 1, 1, 2)
    assert (services.requests, services.completed, services.failed, services.people, services.cost_micro_usd) == (
        3,
        1,
        1,
        2,
        15,
    )
    assert services.waits == {bucket_of(2_000): 3}
    assert services.first_bytes == {}


def test_the_speed_is_that_of_answers_that_were_seen_to_be_written() -> None:
    recorder = HistoryRecorder()
    row = usage_row("r1", model_asked="small", first_byte_ms=1_000, duration_ms=3_000, usage=Usage(input=5, output=100))
    recorder.observe(row, NOON)
    recorder.observe(replace(row, duration_ms=7_000), NOON)
    recorder.observe(replace(row, duration_ms=1_001), NOON)  # in one piece
    recorder.observe(replace(row, status=Outcome.CUT), NOON)
    small = rows_of(recorder)["small"]
    assert (small.written, small.writing_ms, tokens_per_second(small)) == (200, 8_000, 25.0)
    assert tokens_per_second(HourRow(hour=NOON, model="small")) is None


def test_an_attempt_that_failed_costs_money_and_is_no_request() -> None:
    recorder = HistoryRecorder()
    row = usage_row("r1", model_asked="small", cost_micro_usd=5)
    recorder.observe(row, NOON)
    recorder.observe(replace(row, request_id=attempt_id("r1", 1), status=Outcome.FAILED), NOON)
    small = rows_of(recorder)["small"]
    assert (small.requests, small.completed, small.failed, small.cost_micro_usd) == (1, 1, 0, 10)
    assert small.tokens_in == 2 * row.usage.input


def test_an_hour_is_kept_until_it_is_written() -> None:
    recorder = HistoryRecorder()
    recorder.observe(usage_row("r1"), NOON)
    recorder.observe(usage_row("r2"), NOON + HOUR_MS)
    recorder.forget(NOON + HOUR_MS)
    assert {row.hour for row in recorder.rows()} == {NOON + HOUR_MS}


@pytest.mark.parametrize(
    ("looks", "watched", "served"),
    [
        ([True] * 12, 60, 60),
        ([True, False, False, True], 20, 20),  # keys rest for moments
        ([False] * 11, 0, 0),  # not known yet
        ([False] * 12, 60, 0),
        ([True] + [False] * 24 + [True], 130, 10),
    ],
)
def test_a_minute_without_a_key_is_an_outage_from_its_beginning_and_less_is_none(
    looks: list[bool], watched: int, served: int
) -> None:
    recorder, now = HistoryRecorder(), NOON
    for well in looks:
        recorder.look({"m": well}, 0, 0, 5, now)
        now += 5_000
    row = rows_of(recorder)["m"]
    assert (row.watched, row.served) == (watched, served)
    assert GRACE == 60


def test_how_busy_all_keys_are_is_a_share_of_their_slots() -> None:
    recorder = HistoryRecorder()
    recorder.look({}, 2, 8, 5, NOON)
    recorder.look({}, 8, 8, 5, NOON)
    services = added(recorder.rows(), NOON, HOUSE)
    assert (services.running, services.slots, services.watched) == (50, 80, 10)
