"""A whole gateway: a request that nears a budget becomes a signed webhook and a mail, once, behind its answer."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from server.config.notify_parsers import SmtpServer
from server.config.specs import Secret
from server.ledger.limits import parse_limits
from server.policy.notifications import Cause, Delivery, DeliveryState
from tests.fakes.upstream import FakeUpstream
from tests.faults.asks import chat, hear
from tests.gateways import Running, gateway
from tests.notifications.mail_server import MailServer, mail_server
from tests.pages.visitors import ADMIN_KEY, ada_at, operator_at
from tests.upstream.servers import Served, always, serving

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}
PROMPT = "a prompt of no concern to others"


@asynccontextmanager
async def messaging(**more: Any) -> AsyncIterator[tuple[Running, Served, MailServer]]:
    ok = always(b"HTTP/1.1 204 No Content\r\n\r\n")
    async with FakeUpstream() as fake, serving(ok) as hook, mail_server() as mails:
        settings = {
            "smtp_url": SmtpServer("127.0.0.1", mails.port, "plain"),
            "mail_from": "llm@example.org",
            "operator_mail": "ops@example.org",
            "notify_webhook_url": hook.url(path="/hook"),
            "notify_webhook_secret": Secret(SECRET),
            "limits": parse_limits("2 requests/day"),
            "page_languages": ("de", "en"),
            "admin_key": Secret(ADMIN_KEY),
            **more,
        }
        async with gateway(fake, **settings) as running:
            yield running, hook, mails


async def ask(running: Running) -> None:
    async with aiohttp.ClientSession() as session:
        assert (await hear(session, running, chat(PROMPT, stream=False))).status == 200
    await running.services.pipeline.quiet(5)


async def looked(running: Running) -> list[Delivery]:
    """After two looks: what is written behind its answer is seen by the second."""
    services = running.services
    notifier = services.messages.notifier
    assert notifier is not None
    for _ in range(2):
        await notifier.round()
        await asyncio.sleep(0.05)
    return await services.store.deliveries_before(None, None, 99)


@pytest.mark.gen_test
async def test_a_budget_is_said_at_its_thresholds_to_its_person_and_the_webhook() -> None:
    async with messaging() as (running, hook, mails):
        services = running.services
        (ada,) = [each for each in await services.store.people() if each.name == "ada"]
        await services.store.update_person(ada.id, {"email": "ada@example.org"})
        await ask(running)
        assert len(await looked(running)) == 2
        assert len(await looked(running)) == 2
        await ask(running)
        found = await looked(running)
        assert {each.state for each in found} == {DeliveryState.SENT}
        bodies = [json.loads(each) for each in hook.bodies]
        assert [each["data"]["threshold"] for each in bodies] == [50, 100]
        assert {each["data"]["person"] for each in bodies} == {ada.id}
        assert mails.receivers == ["ada@example.org"] * 2
        assert [str(each["Subject"]) for each in mails.mails] == [
            "50 % verbraucht: dein Budget · fairgate",
            "Aufgebraucht: dein Budget · fairgate",
        ]
        noted = [each for each in await services.store.audits(None, 99) if each.action == "message.sent"]
        assert len(noted) == 4
        everything = repr(noted) + repr(found) + repr(bodies) + "".join(map(str, mails.mails))
        assert all(secret not in everything for secret in (PROMPT, running.token, SECRET, hook.url(path="/hook")))


@pytest.mark.gen_test
async def test_who_wants_no_mails_gets_none() -> None:
    async with messaging(notify_webhook_url="") as (running, hook, mails):
        (ada,) = [each for each in await running.services.store.people() if each.name == "ada"]
        await running.services.store.update_person(ada.id, {"email": "ada@example.org", "mails": False})
        await ask(running)
        (one,) = await looked(running)
        assert (one.state, one.failure) == (DeliveryState.SKIPPED, Cause.SWITCHED_OFF)
        assert (hook.bodies, mails.mails) == ([], [])


@pytest.mark.gen_test
async def test_without_a_way_there_is_no_task_and_nothing_listens() -> None:
    async with FakeUpstream() as fake, gateway(fake, limits=parse_limits("2 requests/day")) as running:
        assert running.services.messages == (None, None, None)
        assert not [each for each in asyncio.all_tasks() if "Notifier" in repr(each)]
        await ask(running)
        assert await running.services.store.deliveries_before(None, None, 9) == []


@pytest.mark.gen_test
async def test_an_administrator_sends_a_test_by_page_and_api_and_reads_how_it_went() -> None:
    async with messaging() as (running, hook, mails), operator_at(running) as operator, ada_at(running) as ada:
        page = (await operator.get("/admin/notifications")).text
        assert "ops@example.org" in page
        assert "/hook" not in page
        after = await operator.send_and_follow("/admin/notifications", "/admin/notifications/test")
        assert "Der Test ist gesendet." in after.text
        assert [json.loads(each)["type"] for each in hook.bodies] == ["test"]
        assert mails.receivers == ["ops@example.org"]
        mails.refuse = "550 no such user"
        async with aiohttp.ClientSession(running.url, headers=ADMIN) as session:
            async with session.post("/api/admin/notifications/test") as answer:
                found = (await answer.json())["data"]
            async with session.get("/api/admin/notifications") as answer:
                listed = await answer.json()
        states = {each["channel"]: (each["state"], each["failure"]) for each in found}
        assert states == {"mail": ("failed", "address refused 550"), "webhook": ("sent", "")}
        assert (len(listed["data"]), listed["thresholds"], listed["operator_mail"]) == (4, [50, 80, 95, 100], True)
        noted = [each.action for each in await running.services.store.audits(None, 99)]
        assert noted.count("message.test") == 2

        privacy = (await ada.get("/me/privacy")).text
        assert 'action="/me/mails"' in privacy
        await ada.send_and_follow("/me/privacy", "/me/mails")
        (person,) = [each for each in await running.services.store.people() if each.name == "ada"]
        assert not person.mails
        async with (
            aiohttp.ClientSession(running.url, headers=running.headers) as session,
            session.put("/api/me/mails", json={"mails": True}) as answer,
        ):
            assert await answer.json() == {"mails": True, "language": None}
            async with session.put("/api/me/mails", json={"mails": True, "language": "en"}) as chosen:
                assert await chosen.json() == {"mails": True, "language": "en"}
            async with session.put("/api/me/mails", json={"mails": True, "language": "tlh"}) as unknown:
                assert unknown.status == 400


@pytest.mark.gen_test
async def test_without_a_way_a_test_says_what_to_set() -> None:
    async with (
        FakeUpstream() as fake,
        gateway(fake, admin_key=Secret(ADMIN_KEY)) as running,
        aiohttp.ClientSession(running.url, headers=ADMIN) as session,
        session.post("/api/admin/notifications/test") as answer,
    ):
        assert answer.status == 409
        assert "SMTP_URL" in await answer.text()
