"""What administrators find and change on their pages; all of it is noted."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from keypool.keys import Key
from keypool.snapshot import KeySnapshot
from server.config.specs import Secret
from server.ledger.reports import Days
from server.policy.groups import Group
from tests.fakes.fates import held, revoked
from tests.faults.stage import until
from tests.gateways import KEYS, Running
from tests.pages.visitors import Visitor, ada_at, ask, operator_at, secret_on, services, visitor, xsrf

ONE_MORE = "sk-upstream-of-the-library"


def in_days(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


async def actions(operator: Visitor) -> list[str]:
    """What the audit log tells, the newest first."""
    return re.findall(r'<b class="mono">([^<]+)</b>', (await operator.get("/admin/audit")).text)


async def id_of(running: Running, name: str) -> str:
    person = await running.services.store.person_by_name(name)
    assert person is not None
    return person.id


def fingerprints(page: str) -> list[str]:
    return re.findall(r'action="/admin/keys/([0-9a-f]{8})/recheck"', page)


# --- people


@pytest.mark.gen_test
async def test_somebody_is_added_found_changed_closed_opened_raised_and_erased() -> None:
    async with services() as running, operator_at(running) as operator:
        await running.services.changes.create_group("operator", Group(name="physics"))
        added = await operator.send_and_follow("/admin/people", "/admin/people", name="grace", groups="physics")
        assert "The person is added." in added.text
        person = await id_of(running, "grace")
        base = f"/admin/people/{person}"
        assert ("grace" in (await operator.get("/admin/people?q=phys")).text) is True
        assert "No person matches that." in (await operator.get("/admin/people?q=zzz")).text
        changed = await operator.send_and_follow(base, base, name="Grace Hopper", groups="", note="an admiral")
        assert ("Grace Hopper" in changed.text, "an admiral" in changed.text) == (True, True)
        for verb, told in (
            ("disable", "Access is closed."),
            ("enable", "Access is open again."),
            ("promote", "is an administrator now."),
            ("demote", "is no administrator any more."),
        ):
            assert told in (await operator.send_and_follow(base, f"{base}/{verb}")).text
        assert (await operator.send(base, f"{base}/erase", confirm="grace")).status == 400
        gone = await operator.send_and_follow(base, f"{base}/erase", confirm="Grace Hopper")
        assert ("The person is erased." in gone.text, "Grace Hopper" in gone.text) == (True, False)
        assert {"person.create", "person.groups", "person.disabled", "person.admin", "person.erase"} <= set(
            await actions(operator)
        )


@pytest.mark.gen_test
async def test_a_token_for_somebody_is_shown_once_listed_and_revoked() -> None:
    async with services() as running, operator_at(running) as operator:
        base = f"/admin/people/{await id_of(running, 'ada')}"
        made = await operator.send(base, f"{base}/tokens", name="cluster", kind="special", usd="3")
        secret = secret_on(made)
        assert (await ask(running, secret)).status == 200
        listed = await operator.get("/admin/tokens?q=cluster")
        assert ("special" in listed.text, "Of <bdi>ada</bdi>" in listed.text, secret in listed.text) == (
            True, True, False,
        )  # fmt: skip
        token = re.search(r"/admin/tokens/([^/\"]+)/revoke", listed.text)
        assert token
        await operator.send_and_follow("/admin/tokens?q=cluster", f"/admin/tokens/{token[1]}/revoke")
        assert (await ask(running, secret)).status == 401


@pytest.mark.gen_test
async def test_people_go_out_and_come_in_as_a_table() -> None:
    async with services() as running, operator_at(running) as operator:
        assert "ada" in (await operator.get("/admin/people.csv")).text
        path = "/admin/people/import"
        wrong = await operator.send(path, path, csv="name,admin\nbob,perhaps\n")
        assert ("Nothing was changed: 1 line is wrong." in wrong.text, "Line 2:" in wrong.text) == (True, True)
        tried = await operator.send_once(path, path, csv="name,note\nbob,new\nada,old\n")
        assert ("Added: bob." in tried.text, "1 is changed." in tried.text) == (True, True)
        assert await running.services.store.person_by_name("bob") is None
        done = await operator.send(path, path, csv="name,note\nbob,new\nada,old\n")
        assert "Added 1, changed 1." in done.text
        again = await operator.send(path, path, csv="name,note\nbob,new\nada,old\n")
        assert "Added 0, changed 0." in again.text


# --- groups, limits, prices, notices


@pytest.mark.gen_test
async def test_a_group_is_made_changed_and_removed_and_keeps_what_the_form_does_not_say() -> None:
    async with services() as running, operator_at(running) as operator:
        await running.services.changes.create_group("operator", Group(name="choir/alto", guests=True, join="a digest"))
        form = {"weight": "2.5", "models": "gpt-5*", "until": in_days(9), "teachers": "ada", "guests": "yes"}
        form["tool_prices"] = "web_search=0.005, mcp=0"
        edit, change = "/admin/groups?edit=choir/alto", "/admin/groups/choir%2Falto/change"
        asked = await operator.send_once(edit, change, **form)
        assert ("weight: 1.0 → 2.5" in asked.text, "teachers: – → ada" in asked.text) == (True, True)
        assert (await running.services.changes.group("choir/alto")).weight == 1.0
        saved = await operator.send_and_follow(edit, change, **form)
        assert ("The group is changed." in saved.text, "taught by <bdi>ada</bdi>" in saved.text) == (True, True)
        group = running.services.book.groups["choir/alto"]
        assert (group.weight, group.models, group.guests, group.join) == (2.5, ("gpt-5*",), True, "a digest")
        assert group.tool_prices == (("web_search", 5_000), ("mcp", 0))
        edited = await operator.get("/admin/groups?edit=choir/alto")
        assert (f'value="{in_days(9)}"' in edited.text, 'value="2.5"' in edited.text) == (True, True)
        assert 'value="web_search=0.005, mcp=0.00"' in edited.text
        code = await operator.send("/admin/groups", "/admin/groups/choir%2Falto/code")
        assert len(secret_on(code)) == 14
        asked = await operator.send_once("/admin/groups", "/admin/groups/choir%2Falto/remove")
        assert ("guest passes): 0." in asked.text, "choir/alto" in running.services.book.groups) == (True, True)
        await operator.send_and_follow("/admin/groups", "/admin/groups/choir%2Falto/remove")
        assert running.services.book.groups == {}
        wrong = [("weight", "nan"), ("weight", "-1"), ("content_days", "99999"), ("teachers", "nobody")]
        for field, value in (*wrong, ("tool_prices", "web_search"), ("tool_prices", "web_search=-1")):
            assert (await operator.send("/admin/groups", "/admin/groups", name="x", **{field: value})).status == 400


@pytest.mark.gen_test
async def test_a_new_group_never_takes_the_place_of_one_that_exists() -> None:
    async with services() as running, operator_at(running) as operator:
        await operator.send_and_follow("/admin/groups", "/admin/groups", name="lab", models="gpt-5* o4*", guests="yes")
        again = await operator.send("/admin/groups", "/admin/groups", name="lab", weight="2")
        assert (again.status, "There is already a group of this name." in again.text) == (400, True)
        group = running.services.book.groups["lab"]
        assert (group.models, group.weight, group.guests) == (("gpt-5*", "o4*"), 1.0, True)
        gone = await operator.browser.post("/admin/groups/bal/change", xsrf=xsrf(again), weight="2")
        assert (gone.status, "There is no such group." in gone.text) == (400, True)


@pytest.mark.gen_test
async def test_a_limit_is_set_holds_at_once_is_raised_for_a_day_and_removed() -> None:
    async with services() as running, operator_at(running) as operator, ada_at(running) as ada:
        form = {"scope": "person", "subject": "ada", "unit": "requests", "window": "day", "amount": "1"}
        await operator.send_and_follow("/admin/limits", "/admin/limits", **form)
        assert [(await ask(running, running.token)).status for _ in range(2)] == [200, 429]
        assert "of 1 request" in (await ada.get("/me")).text
        (limit,) = running.services.book.limits
        raised = await operator.send_and_follow(
            "/admin/limits", f"/admin/limits/{quote(limit.id, safe='')}/raise", extra="2", until=in_days(0)
        )
        assert "2 requests more until" in raised.text
        assert [(await ask(running, running.token)).status for _ in range(3)] == [200, 200, 429]
        await operator.send_and_follow("/admin/limits", "/admin/limits", **{**form, "amount": "9"})
        (changed,) = running.services.book.limits
        assert (changed.id, changed.amount, changed.extra) == (limit.id, 9, 2)
        await operator.send_and_follow("/admin/limits", f"/admin/limits/{quote(limit.id, safe='')}/remove")
        assert list(running.services.book.limits) == []
        assert (await actions(operator))[:4] == ["limit.remove", "limit.set", "limit.raise", "limit.set"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"scope": "planet"},
        {"scope": "person", "subject": "nobody"},
        {"scope": "group", "subject": "none"},
        {"scope": "upstream", "subject": "none"},
        {"scope": "token", "subject": "none"},
        {"amount": ""},
        {"amount": "-1"},
        {"amount": "1e99"},
        {"window": "term"},
        {"window": "minute"},
        {"models": "<b>"},
    ],
)
@pytest.mark.gen_test
async def test_a_limit_that_makes_no_sense_is_not_set(wrong: dict[str, str]) -> None:
    async with services() as running, operator_at(running) as operator:
        form = {"scope": "everyone", "unit": "usd", "window": "day", "amount": "1", **wrong}
        answer = await operator.send("/admin/limits", "/admin/limits", **form)
        assert (answer.status, 'role="alert"' in answer.text) == (400, True)
        assert list(running.services.book.limits) == []


@pytest.mark.gen_test
async def test_a_price_is_set_and_removed_and_the_catalogues_are_shown() -> None:
    async with services() as running, operator_at(running) as operator:
        assert "catalogue" in (await operator.get("/admin/prices")).text
        form = {"model": "gpt-5", "input": "1.25", "output": "10", "cached": "0.125"}
        page = await operator.send_and_follow("/admin/prices", "/admin/prices", **form)
        assert ("yours" in page.text, "0.125" in page.text) == (True, True)
        action = re.search(r'action="(/admin/prices/[^"]+/remove)"', page.text)
        assert action
        assert "The price is removed." in (await operator.send_and_follow("/admin/prices", action[1])).text
        assert (await operator.send("/admin/prices", "/admin/prices", model="x", input="1", output="-1")).status == 400


@pytest.mark.gen_test
async def test_a_notice_is_on_every_page_until_it_is_removed() -> None:
    async with services() as running, operator_at(running) as operator, ada_at(running) as ada:
        form = {"kind": "announcement", "text": "New models on Monday"}
        page = await operator.send_and_follow("/admin/notices", "/admin/notices", **form)
        assert "New models on Monday" in (await ada.get("/me")).text
        action = re.search(r'action="(/admin/notices/[^"]+/remove)"', page.text)
        assert action
        await operator.send_and_follow("/admin/notices", action[1])
        assert "New models on Monday" not in (await ada.get("/me")).text
        for wrong in ({"kind": "party"}, {"text": "x" * 501}, {"until": "2020-01-01T00:00"}, {"since": "now"}):
            assert (await operator.send("/admin/notices", "/admin/notices", **{**form, **wrong})).status == 400


@pytest.mark.gen_test
async def test_closing_says_whom_it_hits_and_asks_and_opening_lets_requests_in_again() -> None:
    async with services() as running, operator_at(running) as operator, ada_at(running) as ada:
        release = asyncio.Event()
        running.fake.script(None, held(release))
        asking = asyncio.create_task(ask(running, running.token))
        await until(lambda: len(running.services.dispatcher.persons()) == 1)
        asked = await operator.send_once("/admin/notices", "/admin/close", text="Back at noon")
        assert "Running now: 1. Waiting: 0. People they belong to: 1." in asked.text
        release.set()
        assert ((await asking).status, (await ask(running, running.token)).status) == (200, 200)
        await operator.send_and_follow("/admin/notices", "/admin/close", text="Back at noon")
        assert (await ask(running, running.token)).status == 503
        assert "Back at noon" in (await ada.get("/me")).text
        assert "Maintenance" in (await operator.get("/admin")).text
        await operator.send_and_follow("/admin/notices", "/admin/open")
        assert (await ask(running, running.token)).status == 200


@pytest.mark.gen_test
async def test_scheduled_maintenance_is_read_beforehand_and_closes_nothing_yet() -> None:
    """Once the docs' own example of an announcement closed the gateway until 2098."""
    async with services() as running, operator_at(running) as operator, ada_at(running) as ada:
        form = {"text": "Away on Saturday", "since": "2098-11-29T06:00", "until": "2098-11-29T10:00"}
        await operator.send_and_follow("/admin/notices", "/admin/maintenance", **form)
        page = (await ada.get("/me")).text
        assert ("Away on Saturday" in page, "from 2098-11-29" in page or "29 Nov" in page) == (True, True)
        assert "Away on Saturday" in (await ada.get("/")).text
        assert (await ask(running, running.token)).status == 200
        for wrong in ({"since": "2020-01-01T06:00"}, {"until": ""}, {"since": ""}, {"until": "2098-11-29T05:00"}):
            answer = await operator.send("/admin/notices", "/admin/maintenance", **{**form, **wrong})
            assert answer.status == 400
        announced = {"text": "x", "kind": "maintenance"}
        assert (await operator.send("/admin/notices", "/admin/notices", **announced)).status == 400


# --- keys, the queue, usage


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_key_is_added_serves_alone_while_the_others_pause_and_is_never_shown() -> None:
    async with services() as running, operator_at(running) as operator:
        added = await operator.send_and_follow("/admin/keys", "/admin/keys", upstream="fake", secret=ONE_MORE)
        assert ("The key is added." in added.text, ONE_MORE in added.text, "…rary" in added.text) == (True, False, True)
        pool = running.services.dispatcher.pool
        await until(lambda: len(pool.keys) == 3)
        mine = next(iter(set(fingerprints(added.text)) & (pool.keys.keys() - {key.id for key in _configured(running)})))
        for key in _configured(running):
            told = await operator.send_and_follow("/admin/keys", f"/admin/keys/{key.id}/pause")
            assert "The key gets no further request" in told.text
        await until(lambda: sum(key.state.value == "paused" for key in _states(running)) == 2)
        assert (await ask(running, running.token)).status == 200
        assert len(running.fake.of(ONE_MORE)) >= 1
        running.fake.script(ONE_MORE, revoked())
        tested = await operator.send_and_follow("/admin/keys", f"/admin/keys/{mine}/recheck")
        for sentence in (
            "The key is tested",
            "The provider does not accept it.",
            "the provider does not know this key (401)",
            "It said: “",
        ):
            assert sentence in tested.text
        assert ONE_MORE not in tested.text
        terms = {"slots": "1", "groups": "physics", "owner": "Ada", "rpm": "60"}
        told = await operator.send_and_follow("/admin/keys", f"/admin/keys/{mine}/change", **terms)
        assert "The key has these terms within seconds." in told.text
        await until(lambda: pool.keys[mine].slots == 1)
        assert pool.keys[mine].groups == {"physics", "person:Ada"}
        assert pool.keys[mine].whole.state.value == "revoked", "what is known of it stays"
        for verb in ("pause", "resume", "remove"):
            await operator.send_and_follow("/admin/keys", f"/admin/keys/{mine}/{verb}")
        await until(lambda: len(pool.keys) == 2)
        assert ONE_MORE not in (await operator.get("/admin/audit")).text
        assert {"key.add", "key.pause", "key.resume", "key.recheck", "key.remove"} <= set(await actions(operator))


@pytest.mark.gen_test
async def test_a_wrong_key_is_refused_without_being_repeated() -> None:
    async with services() as running, operator_at(running) as operator:
        for upstream, secret in (("fake", "two words"), ("none", ONE_MORE), ("fake", KEYS[0]), ("fake", "")):
            answer = await operator.send("/admin/keys", "/admin/keys", upstream=upstream, secret=secret)
            assert (answer.status, 'role="alert"' in answer.text) == (400, True)
            assert not secret or secret not in answer.text
        new = {"upstream": "", "dialect": "openai", "name": "physics", "base_url": "http://127.0.0.1:9/v1", "rpm": "7"}
        failed = await operator.send("/admin/keys", "/admin/keys", secret=ONE_MORE, **new)
        assert (failed.status, "The test failed, so nothing is saved: no connection" in failed.text) == (400, True)
        assert ('value="physics"' in failed.text, ONE_MORE in failed.text) == (True, False)
        saved = await operator.send_and_follow("/admin/keys", "/admin/keys", secret=ONE_MORE, untested="yes", **new)
        assert "physics" in saved.text
        (key,) = [key for key in await running.services.keys.keys() if key.added]
        assert (key.spec.name, key.spec.rpm, key.spec.base_url) == ("physics", 7, new["base_url"])


@pytest.mark.gen_test
async def test_without_a_master_key_the_page_says_what_to_do() -> None:
    async with services(master_keys=()) as running, operator_at(running) as operator:
        assert "fairgate key new-master" in (await operator.get("/admin/keys")).text


@pytest.mark.gen_test
async def test_a_running_request_is_seen_and_cancelled() -> None:
    async with services() as running, operator_at(running) as operator:
        release = asyncio.Event()
        running.fake.script(None, held(release))
        asking = asyncio.create_task(ask(running, running.token))
        await until(running.services.dispatcher.persons)
        page = await operator.get("/admin")
        action = re.search(r'action="(/admin/requests/[^"]+/cancel)"', page.text)
        assert action
        assert ("<bdi>ada</bdi>" in page.text, "running" in page.text) == (True, True)
        assert "The request is cancelled." in (await operator.send_and_follow("/admin", action[1])).text
        assert (await asking).status >= 400
        release.set()
        late = await operator.browser.post(action[1], xsrf=xsrf(page))
        assert (late.status, "ended already" in late.text) == (400, True)


@pytest.mark.gen_test
async def test_all_requests_of_a_person_are_cancelled_after_a_question_in_numbers() -> None:
    async with services() as running, operator_at(running) as operator:
        release = asyncio.Event()
        running.fake.script(None, held(release), held(release))
        asking = [asyncio.create_task(ask(running, running.token)) for _ in range(2)]
        await until(lambda: len(running.services.dispatcher.pool.tickets) == 2)
        page = await operator.get("/admin")
        (action, *_) = re.findall(r'action="(/admin/requests/of/[^"]+/cancel)"', page.text)
        assert "Cancel all 2" in page.text
        question = await operator.send_once("/admin", action)
        assert "2 running and 0 waiting requests of ada end." in question.text
        assert "The requests are cancelled." in (await operator.send_and_follow("/admin", action)).text
        assert {(await each).status >= 400 for each in asking} == {True}
        release.set()
        assert "request.cancel-of" in await actions(operator)
        late = await operator.browser.post(action, xsrf=xsrf(page), sure="yes")
        assert (late.status, "no request of this person" in late.text.lower()) == (400, True)


@pytest.mark.gen_test
async def test_past_requests_are_repriced_after_a_preview_in_numbers_and_the_store_leaves_as_a_file() -> None:
    async with services() as running, operator_at(running) as operator, ada_at(running):
        await ask(running, running.token)
        today = running.services.calendar.day(running.services.wall())
        days, reprice = {"first": today, "last": today}, "/admin/prices/reprice"
        nothing = await operator.send("/admin/prices", reprice, **days)
        assert (nothing.status, "would cost something else" in nothing.text) == (400, True)
        gold = {"model": "gpt-5", "valid_from": "2020-01-01", "input": "1000000", "output": "1000000"}
        await operator.send_and_follow("/admin/prices", "/admin/prices", **gold)
        preview = await operator.send_once("/admin/prices", reprice, **days)
        assert "gpt-5: 1 of 1 requests change" in preview.text
        assert not (await _cost(running)) > 1_000_000
        assert "are repriced" in (await operator.send_and_follow("/admin/prices", reprice, **days)).text
        assert await _cost(running) > 1_000_000
        assert "usage.reprice" in await actions(operator)
        page = await operator.get("/admin")
        file = await operator.browser.post("/admin/backup", xsrf=xsrf(page))
        assert (file.status, file.text.startswith("SQLite format 3")) == (200, True)
        assert "store.backup" in await actions(operator)


async def _cost(running: Running) -> int:
    (found,) = await running.services.store.sums(Days(), ())
    return found.cost_micro_usd


@pytest.mark.gen_test
async def test_usage_is_summed_by_whatever_is_asked_and_leaves_as_a_file() -> None:
    async with services() as running, operator_at(running) as operator, ada_at(running):
        await ask(running, running.token)
        for of, shown in (("model", "gpt-5"), ("user", "ada"), ("token", "ada: test"), ("status", "completed")):
            page = await operator.get(f"/admin/usage?of={of}&by=requests")
            assert shown in page.text
            assert shown in (await operator.get(f"/admin/usage.csv?of={of}")).text
        assert "Nothing in these days." in (await operator.get("/admin/usage?first=2020-01-01&last=2020-01-31")).text


@pytest.mark.gen_test
async def test_an_administrator_by_right_uses_the_pages_as_who_holds_the_key_does() -> None:
    async with services() as running, visitor(running, await running.token_of("grace")) as grace:
        assert (await grace.get("/admin")).status == 403
        await running.services.changes.set_admin("operator", await id_of(running, "grace"), True)
        assert (await grace.get("/admin")).status == 200


def _configured(running: Running) -> list[Key]:
    configured = {Secret(each).fingerprint for each in KEYS}
    return [key for key in running.services.dispatcher.pool.keys.values() if key.id in configured]


def _states(running: Running) -> list[KeySnapshot]:
    return list(running.services.dispatcher.snapshot().keys)
