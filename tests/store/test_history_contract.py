"""What every store promises about hours and incidents."""

from __future__ import annotations

from dataclasses import replace

import pytest

from server.ledger.history import HOUR_MS, HourRow
from server.policy.incidents import Incident, IncidentKind
from tests.store.conftest import Fresh

ROW = HourRow(
    hour=10 * HOUR_MS,
    model="org/gpt-5.2:ü",
    requests=3,
    completed=2,
    failed=1,
    tokens_in=1 << 40,
    tokens_out=7,
    cost_micro_usd=12,
    people=2,
    watched=3600,
    served=3599,
    running=5,
    slots=9,
    waits={0: 2, 17: 1},
    first_bytes={20: 3},
)
INCIDENT = Incident("i1", IncidentKind.MODEL, "gpt-5", 1_000, 2_000)


@pytest.mark.gen_test
async def test_hours_read_back_as_they_were_and_are_replaced_whole(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.put_hours("a", [ROW])
        await store.put_hours("a", [])
        assert await store.hours(0, 99 * HOUR_MS) == [ROW]
        await store.put_hours("a", [replace(ROW, requests=4, waits={})])
        assert await store.hours(0, 99 * HOUR_MS) == [replace(ROW, requests=4, waits={})]


@pytest.mark.gen_test
async def test_each_gateway_has_hours_of_its_own_and_both_ends_are_asked_for(fresh: Fresh) -> None:
    rows = [replace(ROW, hour=hour * HOUR_MS, model=model) for hour in (3, 1, 2) for model in ("b", "a", "")]
    async with fresh() as store, fresh() as other:
        await store.put_hours("one", rows)
        await other.put_hours("two", rows[:1])
        found = await store.hours(2 * HOUR_MS, 3 * HOUR_MS)
        names = [(row.hour // HOUR_MS, row.model) for row in found]
        assert names == [(2, ""), (2, "a"), (2, "b"), (3, ""), (3, "a"), (3, "b"), (3, "b")]


@pytest.mark.gen_test
async def test_an_incident_reads_back_and_is_ended_by_writing_it_again(fresh: Fresh) -> None:
    other = Incident("i0", IncidentKind.KEY, "openai", 3_000, 3_000, 3_000, "exhausted")
    async with fresh() as store:
        await store.put_incidents([INCIDENT, other])
        await store.put_incidents([])
        assert await store.incidents(0) == [INCIDENT, other]
        over = replace(INCIDENT, seen_at=5_000, ended_at=5_000)
        await store.put_incidents([over])
        assert await store.incidents(0) == [over, other]
        assert await store.incidents(3_001) == [over]


@pytest.mark.gen_test
async def test_what_ended_long_ago_is_forgotten(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.put_hours("a", [replace(ROW, hour=hour * HOUR_MS) for hour in (1, 2, 3)])
        await store.put_incidents([INCIDENT, replace(INCIDENT, id="i2", seen_at=3 * HOUR_MS)])
        assert await store.forget_history(3 * HOUR_MS) == 3
        assert await store.forget_history(3 * HOUR_MS) == 0
        assert [row.hour // HOUR_MS for row in await store.hours(0, 99 * HOUR_MS)] == [3]
        assert [each.id for each in await store.incidents(0)] == ["i2"]
