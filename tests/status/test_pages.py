"""The public pages of a running gateway, as browsers and programs get them."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import aiohttp
import pytest

from server.policy.incidents import Incident, IncidentKind
from server.policy.notices import Notice, notice_body
from server.policy.notices import NoticeKind as NoticeKind
from server.store.base import Record
from tests.fakes.upstream import FakeUpstream
from tests.gateways import Running, gateway

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
CHAT = {"model": "gpt-5", "messages": [{"role": "user", "content": "Hello"}]}


async def ask(running: Running, times: int = 1, **more: Any) -> None:
    async with aiohttp.ClientSession(headers=running.headers) as session:
        for _ in range(times):
            async with session.post(f"{running.url}/v1/chat/completions", json={**CHAT, **more}) as answer:
                assert answer.status == 200
                await answer.read()
    await running.services.reservations.quiet(5)


async def status_of(running: Running) -> Any:
    async with aiohttp.ClientSession() as session, session.get(f"{running.url}/status.json") as answer:
        assert answer.content_type == "application/json"
        return await answer.json()


@pytest.mark.gen_test
async def test_status_json_tells_what_was_done_today_this_month_and_ever() -> None:
    async with FakeUpstream() as fake, gateway(fake) as running:
        await ask(running, 3)
        status = await status_of(running)
        for stretch in ("today", "month", "ever"):
            assert status[stretch]["requests"] == 3
            assert status[stretch]["tokens_in"] > 0
        assert status["people_online"] == 1
        assert status["state"] == "up"
        assert [key["provider"] for key in status["keys"]] == ["fake", "fake"]
        model = next(each for each in status["models"] if each["name"] == "gpt-5")
        assert (model["demand"], model["wait_seconds"]) == ("low", 0.0)


@pytest.mark.gen_test
async def test_what_was_watched_is_on_the_page_of_the_next_gateway_too() -> None:
    async with FakeUpstream() as fake, gateway(fake) as running:
        await ask(running, 2, stream=True)
        history = running.services.status_service.history
        for _ in range(3):
            history.look()
        await history.exchange()
        status = await status_of(running)
        model = next(each for each in status["models"] if each["name"] == "gpt-5")
        assert model["periods"]["24h"]["requests"] == 2
        assert model["periods"]["30d"]["first_byte_seconds"]["count"] == 2
        assert status["hours"][-1]["requests"] == 2
        assert status["history_since_ms"] is not None
        rows = await running.services.store.hours(0, running.services.wall())
        assert {row.model for row in rows} >= {"", "gpt-5"}
        assert running.fake.url not in json.dumps(status)


@pytest.mark.gen_test
async def test_no_secret_fingerprint_person_or_token_is_public() -> None:
    async with FakeUpstream() as fake, gateway(fake) as running, aiohttp.ClientSession() as session:
        await ask(running)
        (person,) = [each for each in await running.services.store.people() if each.name == "ada"]
        (token,) = await running.services.store.tokens(person.id)
        secrets = {
            person.id,
            token.id,
            token.hint,
            running.token,
            *running.services.dispatcher.pool.keys,
            "sk-upstream",
        }
        for path in ("/", "/status.json", "/status"):
            async with session.get(running.url + path) as answer:
                text = await answer.text()
                assert not [each for each in secrets if each in text], path
                assert not re.search(r"\bada\b", text), path


@pytest.mark.gen_test
async def test_status_is_a_page_for_a_browser_and_json_for_a_program() -> None:
    async with FakeUpstream() as fake, gateway(fake) as running, aiohttp.ClientSession() as session:
        async with session.get(f"{running.url}/status", headers=BROWSER) as answer:
            assert answer.content_type == "text/html"
        async with session.get(f"{running.url}/status") as answer:
            assert (await answer.json())["title"] == "fairgate"
            assert answer.headers["Vary"] == "Accept"


@pytest.mark.gen_test
async def test_a_host_that_is_none_is_not_repeated() -> None:
    async with FakeUpstream() as fake, gateway(fake) as running, aiohttp.ClientSession() as session:
        for host in ('evil"><script>', "a b", "x" * 300):
            async with session.get(f"{running.url}/status.json", headers={"Host": host}) as answer:
                if answer.status == 200:
                    assert host not in await answer.text()
        async with session.get(f"{running.url}/status.json", headers={"Host": "llm.example.org"}) as answer:
            assert (await answer.json())["base_url"] == "http://llm.example.org"


@pytest.mark.gen_test
async def test_a_notice_of_maintenance_is_the_state_and_incidents_are_shown() -> None:
    async with FakeUpstream() as fake, gateway(fake) as running:
        services, now = running.services, running.services.wall()
        notice = Notice("n1", NoticeKind.MAINTENANCE, "Back soon", now - 1_000, now + 60_000)
        await services.store.put_record(Record("notice", notice.id, notice_body(notice)))
        await services.book.sync()
        await services.store.put_incidents([Incident("i1", IncidentKind.MODEL, "gpt-5", now - 300_000, now, now)])
        await services.status_service.history.exchange()
        status = await status_of(running)
        assert status["state"] == "maintenance"
        assert [each["text"] for each in status["notices"]] == ["Back soon"]
        assert [each["title"] for each in status["incidents"]] == ["gpt-5 did not answer"]


@pytest.mark.gen_test
async def test_a_restart_that_took_long_is_an_incident_and_ends_when_the_gateway_is_back() -> None:
    async with FakeUpstream() as fake, gateway(fake) as running:
        services, now = running.services, running.services.wall()
        history = services.status_service.history
        await services.store.put_incidents([Incident("r1", IncidentKind.RESTART, "", now - 600_000, now - 600_000)])
        await history.close()
        await history.start()
        await history.exchange()
        (incident,) = history.incidents()
        assert (incident.kind, incident.began_at) == (IncidentKind.RESTART, now - 600_000)
        assert incident.ended_at is not None
        assert incident.ended_at >= now


@pytest.mark.gen_test
async def test_a_model_list_says_how_long_one_would_wait() -> None:
    async with FakeUpstream() as fake, gateway(fake) as running, aiohttp.ClientSession() as session:
        async with session.get(f"{running.url}/v1/models", headers=running.headers) as answer:
            listed = {each["id"]: each for each in (await answer.json())["data"]}
        # The first check of the keys may not be over: then it is not known yet whether one is ready.
        assert listed["gpt-5"]["status"] in ("available", "checking")
        assert (listed["gpt-5"]["demand"], listed["gpt-5"]["wait_seconds"]) in (("low", 0.0), ("low", None))
        anthropic = {**running.headers, "anthropic-version": "2023-06-01"}
        async with session.get(f"{running.url}/v1/models/claude-sonnet-4-5", headers=anthropic) as answer:
            assert (await answer.json())["demand"] == "low"


@pytest.mark.gen_test
async def test_the_live_numbers_follow_the_requests() -> None:
    async with FakeUpstream() as fake, gateway(fake) as running, aiohttp.ClientSession() as session:
        live = running.services.status_service.live
        live._every = 0.02
        async with session.get(f"{running.url}/events") as stream:
            assert stream.content_type == "text/event-stream"
            assert stream.headers["X-Accel-Buffering"] == "no"
            first = await _event(stream)
            assert {"shape", "text", "width"} <= set(first)
            assert live.listeners == 1
            await running.services.status_service.drain()
            async with asyncio.timeout(5):
                assert await stream.content.read() is not None
        assert live.listeners == 0


@pytest.mark.gen_test
async def test_a_listener_who_leaves_is_forgotten_and_too_many_are_refused() -> None:
    async with FakeUpstream() as fake, gateway(fake) as running, aiohttp.ClientSession() as session:
        live = running.services.status_service.live
        live._most = 1
        async with session.get(f"{running.url}/events") as stream:
            await _event(stream)
            async with session.get(f"{running.url}/events") as refused:
                assert refused.status in (429, 503)
        async with asyncio.timeout(5):
            while live.listeners:
                await asyncio.sleep(0)


@pytest.mark.gen_test
async def test_an_outage_of_the_store_leaves_the_page_as_it_was() -> None:
    async with FakeUpstream() as fake, gateway(fake) as running:
        await ask(running)
        assert (await status_of(running))["today"]["requests"] == 1
        await running.services.store.close()
        usage_totals = running.services.status_service.status.usage_totals
        usage_totals._next_today = 0.0
        assert (await status_of(running))["today"]["requests"] == 1
        await running.services.store.open()


@pytest.mark.gen_test
async def test_a_thousand_looks_cost_one() -> None:
    async with FakeUpstream() as fake, gateway(fake) as running:
        status = running.services.status_service.status
        pages = await asyncio.gather(*(status.page("http://127.0.0.1", "en") for _ in range(1000)))
        assert all(page is pages[0] for page in pages)


@pytest.mark.gen_test
async def test_while_it_drains_the_page_says_so() -> None:
    async with FakeUpstream() as fake, gateway(fake) as running:
        status = running.services.status_service.status
        assert (await status.view()).state == "up"
        await running.services.status_service.drain()
        assert (await status.view()).state == "draining"


async def _event(stream: aiohttp.ClientResponse) -> dict[str, Any]:
    """The next event's data."""
    async with asyncio.timeout(10):
        while not (line := await stream.content.readline()).startswith(b"data: "):
            assert line, "the stream has ended"
    return json.loads(line.removeprefix(b"data: "))
