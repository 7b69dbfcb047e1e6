"""`GET /api/me`: what somebody may know of themselves."""

from __future__ import annotations

import pytest

from server.ledger.when import instant
from server.store.base import Record
from tests.fakes.upstream import FakeUpstream
from tests.gateways import gateway
from tests.usage.office import NOW, Office, budget
from tests.waiting.services import get


@pytest.mark.gen_test
async def test_a_person_learns_who_they_are_and_with_which_token_they_came(office: Office) -> None:
    answer = await office.get("/api/me")
    assert answer.status == 200
    told = answer.json
    token = told.pop("token")
    assert told == {
        "name": "ada",
        "admin": False,
        "groups": ["physics", "choir"],
        "limits": [],
        "content_logging": False,
        "content_days": 0,
        "content_readers": [],
    }
    assert (token["name"], token["expires_at"]) == ("test", None)
    assert token["id"].startswith("tok_")
    assert token["hint"] == f"fg_…{office.tokens['ada'][-4:]}"
    assert office.tokens["ada"] not in answer.text


@pytest.mark.gen_test
async def test_of_several_tokens_the_presented_one_is_told_with_its_expiry(office: Office) -> None:
    expires_at = instant("2199-01-01T00:00:00Z")
    _, office.tokens["bob's phone"] = await office.services.accounts.create_token("bob", "phone", expires_at)
    told = (await office.get("/api/me", "bob's phone")).json
    assert (told["name"], told["token"]["name"]) == ("bob", "phone")
    assert told["token"]["expires_at"] == "2199-01-01T00:00:00.000Z"
    assert (await office.get("/api/me", "bob")).json["token"]["name"] == "test"


@pytest.mark.gen_test
async def test_an_administrator_is_told_so(office: Office) -> None:
    assert (await office.get("/api/me", "boss")).json["admin"] is True


@pytest.mark.gen_test
async def test_whoever_is_in_a_group_that_keeps_contents_is_told(office: Office) -> None:
    async with office.with_record(Record("group", "choir", {"content_days": 30})):
        told = (await office.get("/api/me")).json
    assert (told["content_logging"], told["content_days"]) == (True, 30)


@pytest.mark.gen_test
async def test_a_group_that_has_ended_is_not_told(office: Office) -> None:
    async with office.with_record(Record("group", "choir", {"until": instant(NOW)})):
        told = (await office.get("/api/me")).json
    assert told["groups"] == ["physics"]


@pytest.mark.gen_test
async def test_limits_are_told_with_what_is_left_of_them(office: Office) -> None:
    async with office.with_record(budget(office.ids["ada"])):
        (told,) = (await office.get("/api/me")).json["limits"]
        others = (await office.get("/api/me", "bob")).json["limits"]
    assert (told["most"], told["taken"], told["remaining"]) == (12_500_000, 0, 12_500_000)
    assert (told["scope"], told["unit"], told["window"]) == ("person", "usd", "month")
    assert told["resets_at"].endswith(":00:00.000Z")
    assert others == []


@pytest.mark.gen_test
@pytest.mark.slow
async def test_where_nobody_has_a_token_everybody_is_one_person() -> None:
    async with FakeUpstream() as fake, gateway(fake, gatekeeper="none") as running:
        status, told = await get(running, "/api/me")
        assert (status, told["name"], told["token"], told["admin"]) == (200, "everyone", None, False)
        status, told = await get(running, "/api/usage")
        assert (status, told["total"]["requests"]) == (200, 0)
