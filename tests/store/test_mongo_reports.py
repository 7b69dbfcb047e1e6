"""Reports in MongoDB: sums that are computed anew while they change, and pages that an index serves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from server.ledger.reports import By, Days, Which
from server.store.mongo.connect import DRIVERS
from server.store.mongo.store import MongoStore
from server.store.mongo.usage import _chosen, _later, _of_moment
from tests.store.mongo_kinds import mongo_kind
from tests.store.samples import settlement

Fresh = Callable[[], MongoStore]
BY = (By.DAY, By.PERSON)


@pytest.fixture(params=DRIVERS)
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Fresh:
    kind = mongo_kind(request, request.param)
    return lambda: kind(tmp_path)


@pytest.mark.slow
@pytest.mark.gen_test(timeout=30)
async def test_sums_that_are_computed_anew_while_requests_settle_are_right_in_the_end(fresh: Fresh) -> None:
    async with fresh() as one, fresh() as other:
        settling = [
            store.settle(settlement(f"r{n}-{m}", person_id=f"usr_{n % 3}"))
            for n in range(60)
            for m, store in enumerate((one, other))
        ]
        resumming = [store.resum("1970-01-01", "1970-01-02") for store in (one, other) for _ in range(3)]
        await asyncio.gather(*settling, *resumming)
        assert await one.sums(Days(), BY) == await one.usage_sums(Which(), BY)
        assert await one.resum("1970-01-01", "1970-01-02") == 120


@pytest.mark.gen_test
async def test_damaged_sums_are_mended_and_those_without_rows_are_gone(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.settle(settlement("r"))
        right = await store.sums(Days(), BY)
        await store._db.sums.update_many({}, {"$set": {"requests": 7}})
        stray = {"day": "1970-01-01", "person": "usr_x", "group": None, "token": None, "model": "m", "status": "failed"}
        await store._db.sums.insert_one({"_id": stray, "requests": 1, "changes": 1})
        await store.resum("1970-01-01", "1970-01-01")
        assert await store.sums(Days(), BY) == right


@pytest.mark.parametrize(
    ("which", "index"),
    [
        (Which(after=5, before=9), "started_at_1__id_1"),
        (Which(person_id="usr_ada"), "person_id_1_started_at_1__id_1"),
        (Which(group="physics", after=5), "group_1_started_at_1__id_1"),
    ],
)
@pytest.mark.gen_test
async def test_a_page_is_read_from_an_index(fresh: Fresh, which: Which, index: str) -> None:
    async with fresh() as store:
        moment = _of_moment(which, 6)
        assert moment is not None
        for match in (_chosen(which), _chosen(_later(which, 6)), moment | {"_id": {"$gt": "r"}}):
            plan = await store._db.usage.find(match).sort([("started_at", 1), ("_id", 1)]).limit(3).explain()
            assert scans(plan["queryPlanner"]["winningPlan"]) == {("IXSCAN", index)}


@pytest.mark.gen_test
async def test_a_cursor_is_no_way_around_the_bounds(fresh: Fresh) -> None:
    async with fresh() as store:
        await asyncio.gather(*[store.settle(settlement(f"r{n}", started_at=n // 2)) for n in range(10)])
        between = Which(after=1, before=3)
        for cursor in ((0, ""), (0, "r9"), (1, "")):
            assert [row.request_id for row in await store.usage_after(between, cursor, 9)] == ["r2", "r3", "r4", "r5"]
        for cursor in ((9, ""), (3, "z"), (2, "z")):
            assert [row.request_id for row in await store.usage_before(between, cursor, 3)] == ["r5", "r4", "r3"]
        assert await store.usage_after(between, (3, ""), 9) == await store.usage_before(between, (0, "z"), 9) == []
        assert await store.usage_after(between, None, 0) == []


def scans(plan: dict[str, Any]) -> set[tuple[str, str]]:
    """The scans of a plan, with their indices."""
    inner = [plan[name] for name in ("inputStage", "queryPlan") if name in plan]
    found = {each for stage in inner for each in scans(stage)}
    if plan.get("stage") in ("COLLSCAN", "IXSCAN"):
        found.add((plan["stage"], plan.get("indexName", "")))
    return found
