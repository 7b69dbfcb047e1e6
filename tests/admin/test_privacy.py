"""What is kept of somebody: all of it to take away, and then nothing that leads to them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from server.admin.changes import OPERATOR
from server.admin.commands.guest_passes import WantedPass
from server.admin.commands.privacy import PrivacyCommands
from server.admin.makers import THE_OPERATOR
from server.ledger.limits import Limit, LimitWindow, Scope, Unit
from server.ledger.reports import Which
from server.policy.groups import Group
from server.policy.notifications import Channel, Delivery, DeliveryState, EventKind
from server.store.base import Content, StoreError
from tests.admin.estate import Estate
from tests.gateways import exchanged

CHAT = {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}
PROMPT = "a prompt that was kept"


async def full_life(place: Estate, name: str) -> str:
    """Somebody of whom everything is kept that there is; returns their id."""
    await place.person(name)
    services, person_id = place.services, place.ids[name]
    await services.people.change(OPERATOR, person_id, {"email": f"{name}@example.org", "note": "likes tea"})
    await services.store.update_person(
        person_id, {"login": f"https://idp/{name}", "nickname": name, "claimed": ("staff",)}
    )
    await services.changes.create_group(OPERATOR, Group(name=f"course {person_id}", teachers=(person_id,)))
    await services.changes.put_in_group(OPERATOR, person_id, f"course {person_id}")
    limit = Limit(f"limit of {name}", Scope.PERSON, person_id, Unit.USD, LimitWindow.DAY, 10**9)
    await services.changes.set_limit(OPERATOR, limit)
    person = await services.people.person(person_id)
    _, place.tokens[f"guest of {name}"] = await services.passes.issue_for(
        THE_OPERATOR, OPERATOR, person, WantedPass(3600, 10**6)
    )
    await services.invitations.invite(THE_OPERATOR, OPERATOR, person_id)
    place.tokens[f"cookie of {name}"] = await services.sessions.open(person_id)
    now = services.wall()
    await services.store.keep_content(Content("req_1", person_id, "staff", now, now + 10**9, PROMPT.encode(), b"\xff"))
    message = Delivery(f"msg_{name}", EventKind.BUDGET, now, Channel.MAIL, person_id, {"threshold": 80}, now, None)
    await services.store.add_deliveries([replace(message, state=DeliveryState.SENT, ended_at=now)])
    assert (await place.ask("POST", "/v1/chat/completions", name, CHAT)).status == 200
    assert (await place.ask("POST", "/v1/chat/completions", name, {**CHAT, "model": "unknown"})).status == 404
    await services.refused.write()
    assert (await place.ask("POST", "/v1/chat/completions", name, {**CHAT, "model": "unknown"})).status == 404
    await services.pipeline.quiet(5)
    return person_id


@pytest.mark.gen_test
async def test_everything_that_is_stored_about_somebody_is_theirs_to_take(place: Estate) -> None:
    person_id = await full_life(place, "iris")
    answer = await place.ask("GET", "/api/me/export", "iris")
    assert answer.headers["content-disposition"] == 'attachment; filename="fairgate-me.json"'
    told = answer.json
    assert (told["person"]["id"], told["person"]["email"], told["person"]["login"]) == (
        person_id,
        "iris@example.org",
        "https://idp/iris",
    )
    parts = ("sessions", "invitations", "refused", "tokens", "passes", "limits", "teaches", "contents", "requests")
    assert [len(told[part]) for part in (*parts, "messages")] == [1] * (len(parts) + 1)
    assert (told["contents"][0]["asked"], told["contents"][0]["answered"]) == (PROMPT, "/w==")
    assert told["messages"][0]["facts"] == {"threshold": 80}
    assert told["requests"][0]["user"] == "iris"
    assert {entry["action"] for entry in told["changes"]} >= {"person.change", "person.groups"}
    for secret in (place.tokens["iris"], place.tokens["guest of iris"], place.tokens["cookie of iris"]):
        assert secret not in answer.text


@pytest.mark.gen_test
async def test_nobody_takes_what_is_somebody_elses(place: Estate) -> None:
    theirs = (await place.ask("GET", "/api/me/export", "bob")).text
    assert "iris" not in theirs


@pytest.mark.gen_test
async def test_who_is_erased_is_nobody_and_what_they_used_stays(place: Estate) -> None:
    person_id, services = await full_life(place, "kira"), place.services
    wrong = await place.ask("POST", "/api/me/erase", "kira", {"confirm": "Kira"})
    assert wrong.refusal == (409, "not_possible", None)
    assert (await place.ask("POST", "/api/me/erase", "kira", {"confirm": "kira"})).status == 204
    for credential in ("kira", "guest of kira"):
        assert (await place.ask("GET", "/v1/models", credential)).status == 401
    assert await services.sessions.visit(place.tokens["cookie of kira"]) is None
    person = await services.people.person(person_id)
    assert person.disabled
    assert person.name.startswith("erased-")
    kept = (person.email, person.login, person.nickname, person.note, person.groups, person.claimed, person.admin)
    assert kept == (None, None, None, "", (), (), False)
    assert {(token.name, token.hint) for token in await services.store.tokens(person_id)} == {("", "")}
    assert await services.store.contents(person_id) == []
    await services.refused.write()  # what was refused a moment ago was not written yet
    assert await services.store.refused_before(Which(person_id=person_id), None, 9) == []
    assert person_id not in await services.invitations.pending()
    assert await services.store.deliveries_before(person_id, None, 9) == []
    assert all(limit.subject != person_id for limit in await services.changes.limits())
    assert all(person_id not in group.teachers for group in await services.changes.groups())
    (row,) = [row for row in await services.store.usage_rows(0, 100) if row.person_id == person_id]
    assert row.usage.output > 0
    for table in ("/api/requests", "/api/usage?by=user", "/api/admin/people", "/api/admin/people.csv"):
        text = (await place.ask("GET", table)).text
        assert "kira" not in text, text[max(0, text.find("kira") - 300) :][:600]


@pytest.mark.gen_test
async def test_an_administrator_erases_who_asks_for_it(place: Estate) -> None:
    person_id = await full_life(place, "lena")
    path = f"/api/admin/people/{person_id}/erase"
    assert (await place.ask("POST", path)).status == 204
    assert (await place.ask("GET", "/api/me", "lena")).status == 401
    assert (await place.ask("POST", path)).status == 204  # what was interrupted is gone on with
    assert (place.ids["boss"], "person.erase") in [entry[:2] for entry in await place.audited()]


@pytest.mark.gen_test
async def test_who_is_no_person_is_not_erased(place: Estate) -> None:
    assert (await place.ask("POST", "/api/admin/people/operator/erase")).refusal == (409, "not_possible", None)
    assert (await place.ask("POST", "/api/me/erase", "operator", {"confirm": "operator"})).status == 409
    assert (await place.ask("GET", "/api/admin/people", "operator")).status == 200


@pytest.mark.gen_test
async def test_an_export_that_an_outage_cuts_off_does_not_look_whole(place: Estate) -> None:
    services = place.services

    class Failing:
        """A store that is away when the requests are read."""

        def __getattr__(self, verb: str) -> Any:
            return getattr(services.store, verb)

        async def usage_after(self, *asked: object) -> None:
            raise StoreError("away")

    privacy = PrivacyCommands(
        Failing(), services.changes, services.accounts, services.sessions, services.passes, services.wall
    )  # type: ignore[arg-type]  # all that is asked of it
    with exchanged(services, privacy=privacy), pytest.raises(aiohttp.ClientPayloadError):
        await place.ask("GET", "/api/me/export", "ada")
