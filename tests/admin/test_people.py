"""People, their tokens and passes, as an administrator's programs see them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.admin.estate import Estate

HERE = {"X-Forwarded-For": "127.0.0.1"}  # what a proxy on this machine notes


@pytest.mark.gen_test
async def test_somebody_is_added_found_changed_and_every_step_is_noted(place: Estate) -> None:
    made = await place.ask("POST", "/api/admin/people", body={"name": "cleo", "email": "cleo@example.org"})
    assert made.status == 201
    cleo = made.json["id"]
    assert made.json["name"] == "cleo"
    assert (await place.ask("GET", f"/api/admin/people/{cleo}")).json == made.json
    changed = await place.ask("PATCH", f"/api/admin/people/{cleo}", body={"name": "cleopatra", "note": "a queen"})
    assert (changed.json["name"], changed.json["note"], changed.json["email"]) == (
        "cleopatra",
        "a queen",
        "cleo@example.org",
    )
    boss = place.ids["boss"]
    assert (await place.audited())[:3] == [
        (boss, "person.change", {"note": ""}, {"note": "a queen"}),
        (boss, "person.name", {"name": "cleo"}, {"name": "cleopatra"}),
        (boss, "person.create", None, {"name": "cleo", "email": "cleo@example.org", "note": "", "groups": []}),
    ]


@pytest.mark.gen_test
async def test_what_is_as_it_was_is_not_noted(place: Estate) -> None:
    before = await place.audited()
    answer = await place.ask("PATCH", f"/api/admin/people/{place.ids['ada']}", body={"name": "ada", "admin": False})
    assert answer.status == 200
    assert await place.audited() == before


@pytest.mark.gen_test
async def test_people_are_found_by_name_address_and_group_page_by_page(place: Estate) -> None:
    await place.ask("POST", "/api/admin/groups", body={"name": "choir"})
    for number in range(3):
        body = {"name": f"singer {number}", "groups": ["choir"], "email": f"s{number}@choir.example"}
        assert (await place.ask("POST", "/api/admin/people", body=body)).status == 201
    for text in ("SINGER", "choir", "choir.example"):
        found = await place.ask("GET", f"/api/admin/people?q={text}")
        assert [each["name"] for each in found.json["data"]] == ["singer 0", "singer 1", "singer 2"]
    page = (await place.ask("GET", "/api/admin/people?q=singer&limit=2")).json
    assert page["next_cursor"] == "singer 1"
    rest = (await place.ask("GET", "/api/admin/people?q=singer&limit=2&cursor=singer%201")).json
    assert ([each["name"] for each in rest["data"]], rest["next_cursor"]) == (["singer 2"], None)


@pytest.mark.gen_test
async def test_a_disabled_person_is_out_at_once(place: Estate) -> None:
    await place.person("dido")
    assert (await place.ask("GET", "/api/me", "dido")).status == 200
    path = f"/api/admin/people/{place.ids['dido']}"
    assert (await place.ask("PATCH", path, body={"disabled": True})).json["disabled"] is True
    assert (await place.ask("GET", "/api/me", "dido")).status == 401
    assert (await place.ask("PATCH", path, body={"disabled": False})).json["disabled"] is False
    assert (await place.ask("GET", "/api/me", "dido")).status == 200


@pytest.mark.gen_test
async def test_who_is_made_an_administrator_may_do_what_one_does(place: Estate) -> None:
    await place.person("hera")
    assert (await place.ask("GET", "/api/admin/people", "hera")).refusal == (403, "permission_denied", None)
    await place.ask("PATCH", f"/api/admin/people/{place.ids['hera']}", body={"admin": True})
    assert (await place.ask("GET", "/api/admin/people", "hera")).status == 200


BAD_PEOPLE: list[tuple[Any, tuple[int, str, str | None]]] = [
    ({}, (400, "missing_required_parameter", "name")),
    ({"name": ""}, (400, "invalid_value", "name")),
    ({"name": "x" * 65}, (400, "invalid_value", "name")),
    ({"name": "x", "role": "admin"}, (400, "invalid_value", "role")),
    ({"name": "x", "admin": True}, (400, "invalid_value", "admin")),
    ({"name": "x", "quota": -1}, (400, "invalid_value", "quota")),
    ({"name": "x", "groups": "physics"}, (400, "invalid_value", "groups")),
    ({"name": "ada"}, (409, "already_exists", None)),
    ({"name": " x"}, (409, "not_possible", None)),
    ({"name": "operator"}, (409, "not_possible", None)),
    ({"name": "x", "email": "no address"}, (409, "not_possible", None)),
    ({"name": "x", "groups": ["nowhere"]}, (404, "unknown_id", None)),
    ([], (400, "invalid_json", None)),
    ('{"name": "x", "name": "y"}', (400, "invalid_json", None)),
    ("{", (400, "invalid_json", None)),
]


@pytest.mark.parametrize(("body", "refusal"), BAD_PEOPLE)
@pytest.mark.gen_test
async def test_nobody_is_made_of_what_makes_no_sense(
    place: Estate, body: Any, refusal: tuple[int, str, str | None]
) -> None:
    before = await place.services.store.people(), await place.audited()
    assert (await place.ask("POST", "/api/admin/people", body=body)).refusal == refusal
    assert (await place.services.store.people(), await place.audited()) == before


@pytest.mark.gen_test
async def test_a_body_of_another_kind_or_too_large_is_refused(place: Estate) -> None:
    answer = await place.ask("POST", "/api/admin/people", body='{"name":"x"}', **{"Content-Type": "text/plain"})
    assert answer.refusal == (415, "unsupported_media_type", None)
    encoded = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = await place.ask("POST", "/api/admin/people", body='{"name":"x"}', **encoded)
    assert answer.refusal == (415, "unsupported_media_type", None)
    answer = await place.ask("POST", "/api/admin/people", body={"name": "x" * (65 << 10)})
    assert answer.refusal == (413, "request_too_large", None)


@pytest.mark.gen_test
async def test_what_is_not_there_is_the_same_for_every_id(place: Estate) -> None:
    for path in ("/api/admin/people/usr_nobody", "/api/admin/people/%27%20OR%201=1", "/api/admin/people/messages"):
        assert (await place.ask("GET", path)).refusal == (404, "unknown_id", None)


@pytest.mark.gen_test
async def test_the_query_is_read_strictly(place: Estate) -> None:
    for query, named in (("q[$ne]=", "query"), ("limit=1e9", "limit"), ("limit=-1", "limit"), ("limit=5000", "limit")):
        assert (await place.ask("GET", f"/api/admin/people?{query}")).refusal == (400, "invalid_value", named)


@pytest.mark.gen_test
async def test_a_token_for_somebody_works_is_rotated_and_revoked(place: Estate) -> None:
    await place.person("nora")
    terms = {"models": ["gpt-5"], "networks": ["127.0.0.0/8"], "keepalive": "chunk"}
    body = {"name": "laptop", "expires_at": "2099-01-01T00:00:00Z", **terms}
    made = await place.ask("POST", f"/api/admin/people/{place.ids['nora']}/tokens", body=body)
    assert (made.status, made.headers["cache-control"]) == (201, "no-store")
    assert {name: made.json[name] for name in (*terms, "kind")} == {**terms, "kind": "normal"}
    place.tokens["new"] = made.json["secret"]
    assert (await place.ask("GET", "/v1/models", "new", **HERE)).status == 200
    rotated = await place.ask("POST", f"/api/admin/tokens/{made.json['id']}/rotate", body={})
    place.tokens["newer"] = rotated.json["secret"]
    assert (await place.ask("GET", "/v1/models", "new", **HERE)).status == 401
    assert (await place.ask("GET", "/v1/models", "newer", **HERE)).status == 200
    assert (await place.ask("DELETE", f"/api/admin/tokens/{rotated.json['id']}")).status == 200
    assert (await place.ask("GET", "/v1/models", "newer", **HERE)).status == 401
    listed = (await place.ask("GET", f"/api/admin/tokens?person={place.ids['nora']}")).json["data"]
    assert [each["revoked_at"] is None for each in listed] == [True, False, False]
    actions = [action for _, action, _, _ in await place.audited()][:3]
    assert actions == ["token.revoke", "token.rotate", "token.create"]
    everything = str(await place.audited()) + (await place.ask("GET", "/api/admin/tokens")).text
    assert place.tokens["newer"] not in everything
    assert place.tokens["new"] not in everything


@pytest.mark.gen_test
async def test_a_temporary_token_needs_an_end(place: Estate) -> None:
    path = f"/api/admin/people/{place.ids['ada']}/tokens"
    assert (await place.ask("POST", path, body={"name": "x", "kind": "temporary"})).status == 409
    assert (await place.ask("POST", path, body={"name": "x", "kind": "guest"})).refusal[2] == "kind"
    assert (await place.ask("POST", path, body={"name": "x", "expires_at": "2000-01-01T00:00:00Z"})).status == 409
    assert (await place.ask("POST", path, body={"name": "x", "addresses": -1})).refusal[2] == "addresses"


@pytest.mark.gen_test
async def test_a_pass_in_somebodys_name_works_until_it_is_revoked(place: Estate) -> None:
    body = {"seconds": 3600, "micro_usd": 1_000_000}
    made = await place.ask("POST", f"/api/admin/people/{place.ids['bob']}/passes", body=body)
    assert made.status == 201
    place.tokens["guest"] = made.json["secret"]
    assert (await place.ask("GET", "/v1/models", "guest")).status == 200
    assert (await place.ask("GET", "/api/me", "guest")).status == 403
    assert (await place.ask("DELETE", f"/api/admin/passes/{made.json['id']}")).status == 204
    assert (await place.ask("GET", "/v1/models", "guest")).status == 401
    listed = (await place.ask("GET", f"/api/admin/passes?person={place.ids['bob']}")).json["data"]
    assert [each["revoked"] for each in listed] == [True]


@pytest.mark.gen_test
async def test_who_holds_admin_key_is_the_first_administrator(place: Estate) -> None:
    assert (await place.ask("GET", "/api/admin/people", "operator")).status == 200
