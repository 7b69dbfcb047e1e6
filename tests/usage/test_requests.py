"""`GET /api/requests`: single requests, page by page."""

from __future__ import annotations

import pytest

from server.ledger.export import request_fields
from tests.usage.office import MANY, Office


async def names(office: Office, path: str, who: str = "ada") -> list[str]:
    """The short names of the rows on a page."""
    known = {each.request_id: name for name, each in office.rows.items()}
    return [known[each["request_id"]] for each in (await office.get(path, who)).json["data"]]


@pytest.mark.gen_test
async def test_a_request_is_told_as_it_stands_on_the_ledger(office: Office) -> None:
    answer = await office.get("/api/requests?status=cut")
    assert answer.json == {"data": [request_fields(office.rows["cut"], "ada")], "next_cursor": None}
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.gen_test
async def test_everybody_sees_their_own_the_newest_first(office: Office) -> None:
    assert await names(office, "/api/requests") == ["cut", "first", "last", "month"]
    assert await names(office, "/api/requests", "bob") == ["bob", "formula"]


@pytest.mark.gen_test
async def test_an_administrator_sees_everybodys_with_their_names(office: Office) -> None:
    told = (await office.get("/api/requests?after=2026-11-21T06:00:00Z", "boss")).json
    assert [each["user"] for each in told["data"]] == ["bob", "ada"]
    assert await names(office, "/api/requests?user=bob&model=gpt-5", "boss") == ["bob"]


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("group=physics", ["last", "month"]),
        ("group=chemistry", []),
        ("token=tok_2", ["month"]),
        ("token=tok_bob", []),
        ("after=2026-11-20T23:00:00Z", ["cut", "first"]),
        ("before=2026-11-20T23:00:00Z", ["last", "month"]),
    ],
)
async def test_filters_narrow_it_and_never_widen_it(office: Office, query: str, found: list[str]) -> None:
    assert await names(office, f"/api/requests?{query}") == found


@pytest.mark.gen_test
async def test_pages_follow_each_other_without_gap_or_repetition(office: Office) -> None:
    seen, cursor = [], ""
    for _ in range(4):
        told = (await office.get(f"/api/requests?limit=1{cursor}")).json
        seen += [each["request_id"] for each in told["data"]]
        cursor = f"&cursor={told['next_cursor']}"
    assert seen == [office.rows[name].request_id for name in ("cut", "first", "last", "month")]
    assert told["next_cursor"] is None


@pytest.mark.gen_test
async def test_they_are_sorted_by_a_figure_of_which_the_whole_is_sorted(office: Office) -> None:
    first = (await office.get("/api/requests?sort=cost&limit=1")).json
    assert (first["data"][0]["cost_micro_usd"], first["since"]) == (75, None)
    rest = (await office.get(f"/api/requests?sort=cost&cursor={first['next_cursor']}")).json
    assert [each["cost_micro_usd"] for each in rest["data"]] == sorted(
        office.rows[name].cost_micro_usd for name in ("first", "last", "month")
    )
    for wrong in ("sort=model", f"sort=-cost&cursor={first['next_cursor']}", f"cursor={first['next_cursor']}"):
        assert (await office.get(f"/api/requests?{wrong}")).status == 400


@pytest.mark.gen_test
async def test_requests_of_one_millisecond_are_paged_too(office: Office) -> None:
    seen: set[str] = set()
    cursor = ""
    for size in (250, 250, 100):
        told = (await office.get(f"/api/requests?limit=250{cursor}", "dora")).json
        assert len(told["data"]) == size
        seen |= {each["request_id"] for each in told["data"]}
        cursor = f"&cursor={told['next_cursor']}"
    assert len(seen) == MANY
    assert told["next_cursor"] is None


@pytest.mark.gen_test
async def test_another_ones_cursor_shows_nothing_of_theirs(office: Office) -> None:
    cursor = (await office.get("/api/requests?limit=1", "bob")).json["next_cursor"]
    assert await names(office, f"/api/requests?cursor={cursor}") == ["cut", "first", "last", "month"]


@pytest.mark.gen_test
async def test_a_page_has_a_hundred_requests_unless_another_number_is_asked_for(office: Office) -> None:
    assert len((await office.get("/api/requests", "dora")).json["data"]) == 100
    assert len((await office.get("/api/requests?limit=1000", "dora")).json["data"]) == MANY
