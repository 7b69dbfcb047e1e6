"""What people do for themselves by a program: their own things and nobody else's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from server.admin.changes import OPERATOR
from server.policy.groups import Group
from tests.admin.estate import Estate


@pytest.mark.gen_test
async def test_a_person_makes_rotates_and_revokes_tokens_of_their_own(place: Estate) -> None:
    made = await place.ask("POST", "/api/me/tokens", "ada", {"name": "notebook"})
    assert (made.status, made.headers["cache-control"]) == (201, "no-store")
    place.tokens["notebook"] = made.json["secret"]
    assert (await place.ask("GET", "/api/me", "notebook")).json["token"]["name"] == "notebook"
    rotated = await place.ask("POST", f"/api/me/tokens/{made.json['id']}/rotate", "ada", {"grace_seconds": 0})
    assert (await place.ask("GET", "/api/me", "notebook")).status == 401
    listed = (await place.ask("GET", "/api/me/tokens", "ada")).json["data"]
    assert [each["name"] for each in listed] == ["test", "notebook", "notebook"]
    assert (await place.ask("DELETE", f"/api/me/tokens/{rotated.json['id']}", "ada")).status == 200
    assert [actor for actor, _, _, _ in await place.audited()][:3] == [place.ids["ada"]] * 3


@pytest.mark.gen_test
async def test_what_belongs_to_somebody_else_is_not_there(place: Estate) -> None:
    (token,) = await place.services.store.tokens(place.ids["bob"])
    before = await place.audited()
    assert (await place.ask("DELETE", f"/api/me/tokens/{token.id}", "ada")).refusal == (404, "unknown_id", None)
    rotation = await place.ask("POST", f"/api/me/tokens/{token.id}/rotate", "ada", {})
    assert rotation.refusal == (404, "unknown_id", None)
    assert await place.audited() == before
    assert (await place.ask("GET", "/api/me", "bob")).status == 200


@pytest.mark.gen_test
async def test_nobody_frees_themselves_of_rate_limits(place: Estate) -> None:
    answer = await place.ask("POST", "/api/me/tokens", "ada", {"name": "x", "kind": "special"})
    assert answer.refusal == (409, "not_possible", None)
    assert (await place.ask("POST", "/api/me/tokens", "ada", {"name": "x", "person": "usr_1"})).refusal[2] == "person"


@pytest.mark.gen_test
async def test_a_narrow_token_makes_no_wider_one(place: Estate) -> None:
    made = await place.ask("POST", "/api/me/tokens", "ada", {"name": "narrow", "models": ["gpt-5"]})
    place.tokens["narrow"] = made.json["secret"]
    assert (await place.ask("GET", "/v1/models", "narrow")).status == 200
    assert (await place.ask("POST", "/api/me/tokens", "narrow", {"name": "wide"})).status == 403


@pytest.mark.parametrize(
    "wanted", ["<img onerror=1>", "{{7*7}}", "{user:data}", "a\u202eb", "x" * 64, "javascript:1", "   "]
)
@pytest.mark.gen_test
async def test_a_nickname_is_a_name(place: Estate, wanted: str) -> None:
    answer = await place.ask("PUT", "/api/me/nickname", "ada", {"nickname": wanted})
    assert answer.status in (400, 409)
    assert wanted not in answer.text


@pytest.mark.gen_test
async def test_a_nickname_is_one_persons_until_they_give_it_up(place: Estate) -> None:
    assert (await place.ask("PUT", "/api/me/nickname", "ada", {"nickname": " Ada L. "})).json == {"nickname": "Ada L."}
    assert (await place.ask("PUT", "/api/me/nickname", "bob", {"nickname": "Ada L."})).status == 409
    assert (await place.ask("PUT", "/api/me/nickname", "ada", {"nickname": None})).json == {"nickname": None}
    assert (await place.ask("PUT", "/api/me/nickname", "bob", {"nickname": "Ada L."})).status == 200


@pytest.mark.gen_test
async def test_a_course_is_joined_seen_by_its_teacher_and_left(place: Estate) -> None:
    course = Group(name="optics", teachers=(place.ids["bob"],))
    await place.services.changes.create_group(OPERATOR, course)
    code = (await place.ask("POST", "/api/me/courses/optics/code", "bob")).json["code"]
    assert (await place.ask("POST", "/api/me/courses/optics/code", "ada")).refusal == (404, "unknown_id", None)
    assert (await place.ask("POST", "/api/me/courses/join", "ada", {"code": "WRONG"})).status == 409
    assert (await place.ask("POST", "/api/me/courses/join", "ada", {"code": code})).json == {"name": "optics"}
    assert [each["name"] for each in (await place.ask("GET", "/api/me/courses", "ada")).json["data"]] == ["optics"]
    seen = (await place.ask("GET", "/api/me/courses/optics", "bob")).json
    assert [(each["name"], each["used"]["requests"]) for each in seen["members"]] == [("ada", 0)]
    assert (await place.ask("GET", "/api/me/courses/optics", "ada")).refusal == (404, "unknown_id", None)
    assert (await place.ask("DELETE", "/api/me/courses/optics", "ada")).status == 204
    assert (await place.ask("POST", "/api/me/courses/optics/close", "bob")).status == 204
    assert (await place.ask("POST", "/api/me/courses/join", "ada", {"code": code})).status == 409


@pytest.mark.gen_test
async def test_members_of_a_hospitable_group_have_guests(place: Estate) -> None:
    body = {"seconds": 3600, "micro_usd": 10**6, "group": "hotel"}
    assert (await place.ask("POST", "/api/me/passes", "ada", body)).status == 409
    hotel = Group(name="hotel", guests=True)
    await place.services.changes.create_group(OPERATOR, hotel)
    await place.services.changes.put_in_group(OPERATOR, place.ids["ada"], "hotel")
    made = await place.ask("POST", "/api/me/passes", "ada", body)
    assert made.status == 201
    assert (await place.ask("DELETE", f"/api/me/passes/{made.json['id']}", "bob")).refusal[1] == "unknown_id"
    assert (await place.ask("DELETE", f"/api/me/passes/{made.json['id']}", "ada")).status == 204
    assert [each["revoked"] for each in (await place.ask("GET", "/api/me/passes", "ada")).json["data"]] == [True]
    await place.services.changes.change_group(OPERATOR, replace(hotel, guests=False))
