"""`GET /api/usage`: sums of what was used."""

from __future__ import annotations

from typing import Any

import pytest

from server.store.base import StoreError
from tests.usage.office import MANY, Delegate, Office

COST = 1_250_075  # micro-USD, of a usual row
DAY = "after=2026-11-21T00:00:00%2B01:00&before=2026-11-22T00:00:00%2B01:00"


def keyed(answer: Any, *names: str) -> list[tuple[Any, ...]]:
    """By what each sum is grouped, and how many requests it has."""
    return [tuple(each[name] for name in (*names, "requests")) for each in answer["data"]]


@pytest.mark.gen_test
async def test_everybody_sees_the_sum_of_their_own(office: Office) -> None:
    answer = await office.get("/api/usage")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    told = {
        "requests": 4,
        "input_tokens": 400,
        "cached_tokens": 160,
        "cache_write_tokens": 20,
        "output_tokens": 80,
        "reasoning_tokens": 32,
        "total_tokens": 480,
        "cost_usd": "3.000225",
        "cost_micro_usd": 3_000_225,
        "average_tokens": 120,
        "average_cost_usd": "0.750056",
    }
    assert answer.json == {
        "after": None,
        "before": None,
        "timezone": "Europe/Berlin",
        "by": [],
        "data": [told],
        "more": False,
        "total": told,
    }


@pytest.mark.gen_test
async def test_a_day_is_the_operators_day_to_the_millisecond(office: Office) -> None:
    told = (await office.get(f"/api/usage?{DAY}&by=model")).json
    assert keyed(told, "model") == [("claude", 1), ("gpt-5", 1)]
    assert (told["after"], told["before"]) == ("2026-11-20T23:00:00.000Z", "2026-11-21T23:00:00.000Z")
    exact = (await office.get("/api/usage?after=2026-11-20T22:59:59.999Z&before=2026-11-21T06:05:00Z&by=day")).json
    assert keyed(exact, "day") == [("2026-11-20", 1), ("2026-11-21", 1)]


@pytest.mark.gen_test
async def test_the_sums_by_day_and_the_rows_say_the_same(office: Office) -> None:
    grouping = "by=day,model,user,group,token,status"
    by_day = (await office.get(f"/api/usage?{DAY}&{grouping}", "boss")).json
    from_rows = (
        await office.get(f"/api/usage?{DAY.replace('00:00:00%2B', '00:00:00.001%2B')}&{grouping}", "boss")
    ).json
    assert len(by_day["data"]) == 3
    assert [each for each in by_day["data"] if each["group"] != "choir"] == from_rows["data"]  # one came at midnight


@pytest.mark.gen_test
async def test_whole_days_are_known_longer_than_their_single_requests(office: Office) -> None:
    whole = (await office.get("/api/usage?before=2020-02-01T00:00:00%2B01:00", "eve")).json
    exact = (await office.get("/api/usage?before=2020-02-01T00:00:00.001%2B01:00", "eve")).json
    assert (whole["total"]["requests"], exact["total"]["requests"]) == (1, 0)


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("query", "requests"),
    [
        ("model=claude", 1),
        ("group=physics", 2),
        ("token=tok_2", 1),
        ("token=tok_bob", 0),
        ("group=chemistry", 0),
        ("status=cut", 1),
        ("status=failed", 0),
        ("user=ada", 4),
        ("user=ada&model=gpt-5&group=choir", 1),
        ("after=2026-11-21T00:00:00Z", 1),
        ("before=2026-11-21T00:00:00Z&after=2026-11-20T00:00:00Z", 2),
        ("after=2026-11-21T00:00:00%2B01:00", 2),
        ("after=2026-11-21T00:00:00+01:00", 2),
        ("after=2026-11-22T00:00:00Z&before=2026-11-21T00:00:00Z", 0),
        ("model=%7B%22%24gt%22%3A%22%22%7D", 0),
        ("model=%00", 0),
    ],
)
async def test_filters_narrow_it(office: Office, query: str, requests: int) -> None:
    answer = await office.get(f"/api/usage?{query}")
    assert answer.status == 200
    assert answer.json["total"]["requests"] == requests


@pytest.mark.gen_test
async def test_no_requests_cost_nothing_on_average(office: Office) -> None:
    total = (await office.get("/api/usage?model=nobody-asked")).json["total"]
    assert (total["average_tokens"], total["average_cost_usd"], total["cost_usd"]) == (0, "0.00", "0.00")


# Who may see what


@pytest.mark.gen_test
async def test_an_administrator_sees_all_and_anyone(office: Office) -> None:
    everyone = (await office.get("/api/usage?by=user", "boss")).json
    assert sorted(keyed(everyone, "user")) == [("ada", 4), ("bob", 2), ("dora", MANY), ("eve", 1)]
    assert (await office.get("/api/usage?user=bob", "boss")).json["total"]["requests"] == 2


@pytest.mark.gen_test
@pytest.mark.parametrize("name", ["carl", "%7B%22%24gt%22%3A%22%22%7D", "usr_1", "%00", "' OR 1=1 --"])
async def test_to_an_administrator_an_unknown_name_has_used_nothing(office: Office, name: str) -> None:
    told = (await office.get(f"/api/usage?user={name.replace(' ', '%20')}", "boss")).json
    assert told["total"]["requests"] == 0


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/api/usage", "/api/requests", "/api/requests/export"])
async def test_nobody_else_may_name_another_one_whether_they_exist_or_not(office: Office, path: str) -> None:
    for name in ("bob", "carl", "Ada"):
        answer = await office.get(f"{path}?user={name}")
        assert answer.refusal == (403, "permission_denied", None)


@pytest.mark.gen_test
async def test_ones_own_sums_by_user_have_ones_own_name(office: Office) -> None:
    assert keyed((await office.get("/api/usage?by=user")).json, "user") == [("ada", 4)]


@pytest.mark.gen_test
async def test_no_ids_of_people_are_told(office: Office) -> None:
    for path in ("/api/usage?by=user", "/api/requests?user=ada", "/api/requests/export?before=2026-12-01T00:00:00Z"):
        assert "usr_" not in (await office.get(path, "boss")).text


# Grouping, cutting, tables


@pytest.mark.gen_test
async def test_groups_are_in_order_and_none_comes_first(office: Office) -> None:
    told = (await office.get("/api/usage?by=group")).json
    assert keyed(told, "group") == [(None, 1), ("choir", 1), ("physics", 2)]
    assert told["by"] == ["group"]


@pytest.mark.gen_test
async def test_a_cut_list_says_so_and_its_total_is_that_of_all(office: Office) -> None:
    told = (await office.get("/api/usage?by=group&limit=2")).json
    assert keyed(told, "group") == [(None, 1), ("choir", 1)]
    assert (told["more"], told["total"]["requests"]) == (True, 4)
    assert (await office.get("/api/usage?by=group&limit=3")).json["more"] is False


@pytest.mark.gen_test
async def test_a_table_of_sums_for_a_spreadsheet(office: Office) -> None:
    answer = await office.get("/api/usage?by=day,group&format=csv&after=2026-11-20T12:00:00Z")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="fairgate-usage.csv"'
    assert answer.text == (
        "day,group,requests,input_tokens,cached_tokens,cache_write_tokens,output_tokens,reasoning_tokens,"
        "total_tokens,cost_usd,cost_micro_usd,average_tokens,average_cost_usd\r\n"
        "2026-11-20,physics,1,100,40,5,20,8,120,1.250075,1250075,120,1.250075\r\n"
        "2026-11-21,,1,100,40,5,20,8,120,0.000075,75,120,0.000075\r\n"
        "2026-11-21,choir,1,100,40,5,20,8,120,1.250075,1250075,120,1.250075\r\n"
    )


@pytest.mark.gen_test
async def test_a_table_of_no_sums_has_its_header(office: Office) -> None:
    answer = await office.get("/api/usage?by=day&format=csv&model=nobody-asked")
    assert answer.status == 200
    assert answer.text.startswith("day,requests,")
    assert answer.table == []


@pytest.mark.gen_test
async def test_a_table_is_always_the_whole(office: Office) -> None:
    assert (await office.get("/api/usage?format=csv&limit=5")).refusal == (400, "invalid_value", "limit")


# Oneself


@pytest.mark.gen_test
async def test_ones_own_usage_has_today_and_this_month(office: Office) -> None:
    told = (await office.get("/api/me/usage?by=model&model=claude")).json
    assert keyed(told, "model") == [("claude", 1)]
    assert (told["today"]["requests"], told["today"]["cost_micro_usd"]) == (2, COST + 75)
    assert (told["this_month"]["requests"], told["this_month"]["cost_usd"]) == (4, "3.000225")


@pytest.mark.gen_test
async def test_an_administrators_own_usage_is_their_own(office: Office) -> None:
    told = (await office.get("/api/me/usage?by=user", "boss")).json
    assert (told["data"], told["total"]["requests"]) == ([], 0)
    assert (await office.get("/api/me/usage?user=ada", "boss")).refusal == (400, "invalid_value", "query")


# An outage


class Away(Delegate):
    """A store that is out of reach."""

    async def sums(self, *asked: object) -> list[object]:
        raise StoreError("away")

    usage_sums = usage_before = usage_after = tokens = sums


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "path", ["/api/usage", "/api/requests", "/api/requests/export", "/api/me", "/api/me/usage", "/api/usage?format=csv"]
)
async def test_without_the_store_the_caller_is_told_to_come_back(office: Office, path: str) -> None:
    with office.with_store(Away(office.services.store)):
        answer = await office.get(path)
    assert answer.refusal == (503, "accounting_unavailable", None)
    assert answer.headers["retry-after"] == "5"
    assert "content-disposition" not in answer.headers
