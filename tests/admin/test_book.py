"""Groups, limits, prices, notices: what administrators decide by a program holds at once, and is noted."""

from __future__ import annotations

from typing import Any

import pytest

from tests.admin.estate import Estate

LIMIT = {"scope": "everyone", "unit": "usd", "window": "day", "amount": 5_000_000}
PRICE = {"model": "gpt-5", "valid_from": "2026-01-01T00:00:00Z", "input": 1_250_000, "output": 10_000_000}
NOTICE = {"kind": "announcement", "text": "New models on Monday", "since": "2026-01-01T00:00:00Z"}


@pytest.mark.gen_test
async def test_a_group_is_made_changed_and_filled_by_its_members(place: Estate) -> None:
    path, ada = "/api/admin/groups/physics%20101", place.ids["ada"]
    terms = {"name": "physics 101", "weight": 2, "models": ["gpt-5*"], "teachers": [place.ids["bob"]]}
    made = await place.ask("POST", "/api/admin/groups", body=terms)
    assert (made.json["name"], made.json["weight"], made.json["joinable"]) == ("physics 101", 2.0, False)
    assert (await place.ask("PUT", f"{path}/members/{ada}")).status == 204
    assert (await place.ask("GET", "/api/me", "ada")).json["groups"] == ["physics 101"]
    assert (await place.ask("GET", f"{path}/removal")).json == {"people": 1, "limits": 0}
    assert (await place.ask("GET", "/api/admin/groups/nothing/removal")).refusal[1] == "unknown_id"
    assert (await place.ask("DELETE", f"{path}/members/{ada}")).status == 204
    assert (await place.ask("GET", "/api/me", "ada")).json["groups"] == []
    assert (await place.ask("DELETE", path)).status == 200
    assert "physics 101" not in place.services.book.groups
    assert [action for _, action, _, _ in await place.audited()][:4] == [
        "group.remove",
        "person.groups",
        "person.groups",
        "group.create",
    ]


@pytest.mark.gen_test
async def test_who_makes_a_group_writes_over_none_and_who_changes_one_makes_none(place: Estate) -> None:
    """Once a second "new group" of the same name took the models' list of the first away."""
    body = {"name": "robots", "models": ["gpt-5*"], "running": 3}
    assert (await place.ask("POST", "/api/admin/groups", body=body)).status == 201
    again = await place.ask("POST", "/api/admin/groups", body={"name": "robots"})
    assert (again.status, again.refusal[1]) == (409, "already_exists")
    changed = await place.ask("PATCH", "/api/admin/groups/robots", body={"running": 5})
    assert (changed.json["models"], changed.json["running"]) == (["gpt-5*"], 5)
    assert (await place.ask("PATCH", "/api/admin/groups/bal", body={"running": 5})).refusal[1] == "unknown_id"
    assert (await place.ask("PUT", "/api/admin/groups/robots", body={})).status == 405
    assert "bal" not in place.services.book.groups


@pytest.mark.gen_test
async def test_a_group_may_have_prices_of_its_own_for_hosted_tools(place: Estate) -> None:
    prices = [{"tool": "web_search", "micro_usd": 5_000}]
    made = await place.ask("POST", "/api/admin/groups", body={"name": "lab", "tool_prices": prices})
    assert made.json["tool_prices"] == prices
    (told,) = (each for each in (await place.ask("GET", "/api/admin/groups")).json["data"] if each["name"] == "lab")
    assert told["tool_prices"] == prices
    assert place.services.book.tariff_of("lab").tools["web_search"] == 5_000
    assert place.services.book.tariff_of(None).tools["web_search"] == 10_000
    for wrong in ([{"tool": "web_search"}], [{"tool": "web_search", "micro_usd": -1}], prices * 2, {"web_search": 1}):
        assert (await place.ask("PATCH", "/api/admin/groups/lab", body={"tool_prices": wrong})).status == 400
    await place.ask("PATCH", "/api/admin/groups/lab", body={"tool_prices": []})
    assert place.services.book.tariff_of("lab").tools["web_search"] == 10_000


@pytest.mark.gen_test
async def test_a_course_that_is_changed_keeps_its_code(place: Estate) -> None:
    await place.ask("POST", "/api/admin/groups", body={"name": "logic", "teachers": [place.ids["bob"]]})
    code = (await place.ask("POST", "/api/me/courses/logic/code", "bob")).json["code"]
    changed = await place.ask("PATCH", "/api/admin/groups/logic", body={"note": "II"})
    assert changed.json["joinable"] is True
    assert (await place.ask("POST", "/api/me/courses/join", "ada", {"code": code})).json == {"name": "logic"}
    assert (await place.ask("PATCH", "/api/admin/groups/logic", body={"join": "x"})).refusal[2] == "join"


@pytest.mark.gen_test
async def test_a_course_is_made_with_its_pot_and_its_code(place: Estate) -> None:
    term = {"since": "2026-01-01T00:00:00Z", "until": "2099-01-01T00:00:00Z"}
    body = {"name": "algebra", "teachers": [place.ids["bob"]], "pot_micro_usd": 50_000_000, **term}
    made = await place.ask("POST", "/api/admin/courses", body=body)
    assert (made.status, made.json["group"]["teachers"]) == (201, [place.ids["bob"]])
    assert (await place.ask("POST", "/api/me/courses/join", "ada", {"code": made.json["code"]})).status == 200
    assert (await place.ask("GET", "/api/me/courses/algebra", "bob")).json["pot_micro_usd"] == 50_000_000
    assert (await place.ask("POST", "/api/admin/courses", body=body)).refusal == (409, "already_exists", None)
    other = await place.ask("POST", "/api/admin/courses", "operator", {**body, "name": "by who holds ADMIN_KEY"})
    assert other.status == 201
    assert (await place.ask("POST", "/api/admin/courses", "bob", body)).refusal == (403, "permission_denied", None)
    await place.ask("DELETE", "/api/me/courses/algebra", "ada")


@pytest.mark.gen_test
async def test_a_limit_holds_at_once_is_raised_for_a_time_and_removed(place: Estate) -> None:
    path = "/api/admin/limits/everyone%2Fday"
    assert (await place.ask("PUT", path, body=LIMIT)).json["id"] == "everyone/day"
    limits = (await place.ask("GET", "/api/me", "bob")).json["limits"]
    assert [(each["unit"], each["most"]) for each in limits] == [("usd", 5_000_000)]
    raised = await place.ask("POST", f"{path}/raise", body={"extra": 10**6, "until": "2099-01-01T00:00:00Z"})
    assert (raised.json["extra"], raised.json["extra_until"]) == (10**6, "2099-01-01T00:00:00.000Z")
    assert (await place.ask("GET", "/api/me", "bob")).json["limits"][0]["most"] == 6_000_000
    assert (await place.ask("DELETE", path)).status == 200
    assert (await place.ask("GET", "/api/me", "bob")).json["limits"] == []
    boss = place.ids["boss"]
    set_, raised_, removed = reversed((await place.audited())[:3])
    assert (set_[:2], raised_[:2], removed[:2]) == ((boss, "limit.set"), (boss, "limit.raise"), (boss, "limit.remove"))
    assert (set_[2], set_[3]["amount"]) == (None, 5_000_000)
    assert raised_[2] == set_[3]
    assert removed[3] is None


BAD_LIMITS: list[tuple[dict[str, Any], str]] = [
    ({"amount": -1}, "amount"),
    ({"amount": 10**16}, "amount"),
    ({"amount": 1.5}, "amount"),
    ({"amount": "5"}, "amount"),
    ({"amount": True}, "amount"),
    ({"unit": "euro"}, "unit"),
    ({"window": "minute"}, "window"),
    ({"window": "term"}, "body"),
    ({"subject": "somebody"}, "subject"),
    ({"models": "no/pattern?"}, "models"),
    ({"since": "tomorrow"}, "since"),
    ({"until": "2026-01-01T00:00:00"}, "until"),
    ({"family": "*"}, "family"),
]


@pytest.mark.parametrize(("change", "named"), BAD_LIMITS)
@pytest.mark.gen_test
async def test_a_limit_that_makes_no_sense_is_refused_by_name(
    place: Estate, change: dict[str, Any], named: str
) -> None:
    answer = await place.ask("PUT", "/api/admin/limits/bad", body={**LIMIT, **change})
    assert answer.refusal == (400, "invalid_value", named)


@pytest.mark.parametrize("body", ['{"amount": NaN}', '{"amount": 1e999}', '{"amount": Infinity}'])
@pytest.mark.gen_test
async def test_what_is_no_number_is_no_json(place: Estate, body: str) -> None:
    assert (await place.ask("PUT", "/api/admin/limits/bad", body=body)).refusal == (400, "invalid_json", None)


@pytest.mark.gen_test
async def test_a_limit_for_nobody_is_not_set(place: Estate) -> None:
    body = {**LIMIT, "scope": "person", "subject": "usr_nobody"}
    assert (await place.ask("PUT", "/api/admin/limits/bad", body=body)).refusal == (404, "unknown_id", None)
    assert (await place.ask("PUT", "/api/admin/limits/%00", body=LIMIT)).refusal == (400, "invalid_value", "id")


@pytest.mark.gen_test
async def test_a_price_counts_at_once(place: Estate) -> None:
    made = await place.ask("PUT", "/api/admin/prices/dear", body={**PRICE, "tiers": [{"above": 200_000, "input": 5}]})
    assert (made.json["input"], made.json["tiers"][0]["above"]) == (1_250_000, 200_000)
    price = place.services.book.prices.of("gpt-5", place.services.wall())
    assert price is not None
    assert price.id == "dear"
    assert (await place.ask("GET", "/api/admin/prices")).json["data"] == [made.json]
    assert (await place.ask("DELETE", "/api/admin/prices/dear")).status == 200
    assert (await place.ask("DELETE", "/api/admin/prices/dear")).refusal == (404, "unknown_id", None)


@pytest.mark.parametrize(
    ("change", "named"),
    [({"input": -1}, "input"), ({"input": 10**16}, "input"), ({"valid_from": 5}, "valid_from"), ({"euro": 1}, "euro")],
)
@pytest.mark.gen_test
async def test_a_price_that_makes_no_sense_is_refused_by_name(
    place: Estate, change: dict[str, Any], named: str
) -> None:
    answer = await place.ask("PUT", "/api/admin/prices/bad", body={**PRICE, **change})
    assert answer.refusal == (400, "invalid_value", named)


@pytest.mark.gen_test
async def test_maintenance_turns_requests_away_until_it_is_over(place: Estate) -> None:
    chat = {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}
    assert (await place.ask("POST", "/api/admin/close", body={})).status == 200
    assert (await place.ask("POST", "/v1/chat/completions", "ada", chat)).refusal == (503, "maintenance", None)
    assert (await place.ask("POST", "/api/admin/open")).status == 204
    assert (await place.ask("POST", "/v1/chat/completions", "ada", chat)).status == 200


@pytest.mark.gen_test
async def test_a_notice_is_one_line_with_an_end_after_its_beginning(place: Estate) -> None:
    told = (await place.ask("PUT", "/api/admin/notices/n", body=NOTICE)).json
    assert told == {**NOTICE, "id": "n", "since": "2026-01-01T00:00:00.000Z", "until": None}
    for change, named in (({"text": "a\nb"}, "text"), ({"until": "2025-01-01T00:00:00Z"}, "until")):
        answer = await place.ask("PUT", "/api/admin/notices/n", body={**NOTICE, **change})
        assert answer.refusal == (400, "invalid_value", named)


@pytest.mark.gen_test
async def test_announcing_scheduling_and_closing_are_three_acts(place: Estate) -> None:
    ahead = {"text": "Away", "since": "2098-11-29T06:00:00Z", "until": "2098-11-29T10:00:00Z"}
    notice = {**NOTICE, "kind": "maintenance"}
    assert (await place.ask("PUT", "/api/admin/notices/m1", body=notice)).refusal[2] == "kind"
    assert (await place.ask("PUT", "/api/admin/maintenance/m1", body=ahead)).json["kind"] == "maintenance"
    before = (await place.ask("GET", "/api/admin/close")).json
    assert before == {"closed": False, "running": 0, "waiting": 0, "people": 0}
    past = {**ahead, "since": "2020-01-01T00:00:00Z"}
    assert (await place.ask("PUT", "/api/admin/maintenance/m2", body=past)).refusal[1] == "not_possible"
    assert (await place.ask("POST", "/api/admin/close", body={"text": "Back at noon"})).json["closed"] is True
    assert (await place.ask("GET", "/api/admin/close")).json["closed"] is True
    assert (await place.ask("POST", "/api/admin/open")).status == 204
    assert (await place.ask("GET", "/api/admin/close")).json["closed"] is False
    left = [each["id"] for each in (await place.ask("GET", "/api/admin/notices")).json["data"]]
    assert "m1" in left
    assert (await place.ask("DELETE", "/api/admin/notices/m1")).status == 204
