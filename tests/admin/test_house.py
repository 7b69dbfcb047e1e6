"""The upstream keys, the requests of this moment, and the audit log, by a program."""

from __future__ import annotations

import asyncio

import pytest

from server.store.base import KeyWish, StoreError
from tests.admin.estate import Estate, estate
from tests.fakes.fates import held
from tests.gateways import exchanged

SECRET = "sk-a-key-that-nobody-may-see-again"


@pytest.mark.gen_test
async def test_keys_are_listed_by_what_may_be_shown(place: Estate) -> None:
    keys = (await place.ask("GET", "/api/admin/keys")).json["data"]
    assert [each["upstream"] for each in keys] == ["fake", "fake"]
    assert {each["state"] for each in keys} == {"ready"}
    assert all(not each["added"] and not each["paused"] for each in keys)


@pytest.mark.gen_test
async def test_a_key_goes_in_and_never_comes_out(place: Estate) -> None:
    made = await place.ask("POST", "/api/admin/keys", body={"secret": SECRET, "upstream": "fake", "slots": 2})
    assert (made.status, made.json["hint"], made.json["slots"]) == (201, "…gain", 2)
    key = made.json["id"]
    for verb, paused in (("pause", True), ("resume", False)):
        assert (await place.ask("POST", f"/api/admin/keys/{key}/{verb}")).status == 204
        listed = {each["id"]: each for each in (await place.ask("GET", "/api/admin/keys")).json["data"]}
        assert listed[key]["paused"] is paused
    terms = {"slots": 3, "rpm": 60, "groups": ["physics"], "owner": "Ada", "monthly_cap_usd": "12.5"}
    changed = (await place.ask("PATCH", f"/api/admin/keys/{key}", body=terms)).json
    assert {name: changed[name] for name in terms} == {**terms, "monthly_cap_usd": "12.50"}
    less = dict.fromkeys(("rpm", "owner", "monthly_cap_usd")) | {"groups": []}
    changed = (await place.ask("PATCH", f"/api/admin/keys/{key}", body=less)).json
    assert ({name: changed[name] for name in less}, changed["slots"]) == (less, 3)
    assert (await place.ask("PATCH", f"/api/admin/keys/{key}", body={"models": []})).status == 409
    tested = (await place.ask("POST", f"/api/admin/keys/{key}/recheck")).json
    assert (tested["id"], tested["check"][:6], bool(tested["checked_at"]), tested["left"][0][:5]) == (
        *(key, "Tested", True),
        "Today",
    )
    assert (await place.ask("GET", f"/api/admin/keys/{key}")).json["why"] == tested["why"]
    assert (await place.ask("GET", "/api/admin/keys/none")).status == 404
    assert (await place.ask("POST", "/api/admin/keys", body={"secret": SECRET, "upstream": "fake"})).status == 409
    assert (await place.ask("DELETE", f"/api/admin/keys/{key}")).status == 200
    assert (await place.ask("DELETE", f"/api/admin/keys/{key}")).refusal == (404, "unknown_id", None)
    actions = [action for _, action, _, _ in await place.audited() if action.startswith("key.")]
    assert actions[:7] == [
        *("key.remove", "key.recheck", "key.change", "key.change", "key.resume", "key.pause", "key.add")
    ]
    seen = str(await place.audited()) + (await place.ask("GET", "/api/admin/keys")).text + made.text
    assert SECRET not in seen


@pytest.mark.gen_test
async def test_a_key_of_the_configuration_is_paused_but_not_removed(place: Estate) -> None:
    key = (await place.ask("GET", "/api/admin/keys")).json["data"][0]["id"]
    assert (await place.ask("DELETE", f"/api/admin/keys/{key}")).refusal == (409, "not_possible", None)
    assert (await place.ask("POST", f"/api/admin/keys/{key}/pause")).status == 204
    assert KeyWish(key, paused=True) in await place.services.store.key_wishes()
    assert (await place.ask("POST", f"/api/admin/keys/{key}/resume")).status == 204


@pytest.mark.gen_test
async def test_a_key_needs_to_know_where_it_belongs(place: Estate) -> None:
    for body, status in (
        ({"secret": SECRET}, 409),
        ({"secret": SECRET, "upstream": "nowhere"}, 404),
        ({"secret": SECRET, "upstream": "fake", "base_url": "https://evil.example"}, 409),
        ({"secret": SECRET, "dialect": ["openai"], "base_url": "http://evil.example/v1"}, 409),
        ({"secret": SECRET, "dialect": ["openai", "anthropic"]}, 409),
        ({"secret": SECRET, "dialect": ["openai"], "base_url": "http://127.0.0.1:9/v1"}, 409),  # no answer there
        ({"secret": SECRET, "dialect": ["openai"], "name": "fake", "untested": True}, 409),
        ({"secret": SECRET, "upstream": "fake", "name": "other"}, 409),
        ({"secret": "two words", "upstream": "fake"}, 400),
        ({"secret": SECRET, "upstream": "fake", "rpm": 0}, 400),
        ({"secret": SECRET, "upstream": "fake", "keys": ["x"]}, 400),
    ):
        answer = await place.ask("POST", "/api/admin/keys", body=body)
        assert answer.status == status
        assert SECRET not in answer.text


@pytest.mark.gen_test
async def test_without_a_master_key_no_key_is_taken() -> None:
    async with estate(master_keys=()) as poor:
        answer = await poor.ask("POST", "/api/admin/keys", body={"secret": SECRET, "upstream": "fake"})
        assert answer.status == 409


@pytest.mark.gen_test
async def test_a_running_request_is_seen_and_ended(place: Estate) -> None:
    chat = {"model": "gpt-5", "messages": [{"role": "user", "content": "SLOW"}], "max_tokens": 50}
    assert (await place.ask("GET", "/api/admin/queue")).json == {"data": []}
    assert (await place.ask("DELETE", "/api/admin/queue/req_nothing")).refusal == (404, "unknown_id", None)
    gate = asyncio.Event()
    place.fake.script(None, held(gate))
    asking = asyncio.create_task(place.ask("POST", "/v1/chat/completions", "ada", chat))
    while not (live := (await place.ask("GET", "/api/admin/queue")).json["data"]):
        await asyncio.sleep(0.01)
    (seen,) = live
    assert (seen["person"], seen["model"], seen["state"]) == (place.ids["ada"], "gpt-5", "running")
    assert (await place.ask("DELETE", f"/api/admin/queue/{seen['id']}")).status == 204
    assert (await asking).refusal == (503, "cancelled", None)
    gate.set()
    assert (await place.audited())[0][1:3] == (
        "request.cancel",
        {"person": place.ids["ada"], "model": "gpt-5", "state": "running"},
    )


@pytest.mark.gen_test
async def test_the_audit_log_is_read_page_by_page(place: Estate) -> None:
    for number in range(3):
        await place.ask("POST", "/api/admin/groups", body={"name": f"g{number}"})
    page = (await place.ask("GET", "/api/admin/audit?limit=2")).json
    assert [each["target"] for each in page["data"]] == ["g2", "g1"]
    rest = (await place.ask("GET", f"/api/admin/audit?limit=1&cursor={page['next_cursor']}")).json
    assert [each["target"] for each in rest["data"]] == ["g0"]
    assert rest["data"][0]["actor"] == place.ids["boss"]
    assert (await place.ask("GET", "/api/admin/audit?cursor=zz")).refusal == (400, "invalid_value", "cursor")


@pytest.mark.gen_test
async def test_a_store_that_is_away_is_told_as_such(place: Estate) -> None:
    class Away:
        def __getattr__(self, verb: str) -> object:
            async def fail(*arguments: object) -> None:
                raise StoreError("away")

            return fail

    with exchanged(place.services, store=Away()):
        answer = await place.ask("GET", "/api/me/tokens", "operator")
    assert answer.refusal == (503, "accounting_unavailable", None)
