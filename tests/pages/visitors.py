"""Visitors of a whole gateway: a browser that has logged in with a token, and sends the pages' own forms."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientSession

from server.config.specs import Secret
from tests.fakes.upstream import FakeUpstream
from tests.gateways import Running, gateway
from tests.oidc.browsing import Answer, Browser, browser

ADMIN_KEY = "an administrator's key, long enough"
MASTER = Secret("a master key of at least thirty-two characters")


@dataclass
class Visitor:
    """Somebody in front of the pages."""

    browser: Browser
    running: Running

    async def get(self, path: str) -> Answer:
        return await self.browser.get(path)

    async def login(self, token: str) -> Answer:
        page = await self.get("/login")
        return await self.browser.post("/login", token=token, next="/me", xsrf=xsrf(page))

    async def send(self, page: str, action: str, **fields: str) -> Answer:
        """Send a form that stands on a page, as a browser would, and say yes where the answer asks for it."""
        asked = await self.send_once(page, action, **fields)
        return await self.browser.post(action, xsrf=xsrf(asked), sure="yes", **fields) if is_question(asked) else asked

    async def send_once(self, page: str, action: str, **fields: str) -> Answer:
        """Send a form with the page's own hidden field; gives the answer, which may be a question."""
        shown = await self.get(page)
        assert f'action="{action}"' in shown.text, f"{page} has no form {action}"
        return await self.browser.post(action, xsrf=xsrf(shown), **fields)

    async def send_and_follow(self, page: str, action: str, **fields: str) -> Answer:
        """The same; gives the page that tells what has come of it."""
        answer = await self.send(page, action, **fields)
        assert answer.status == 303, answer.text
        return await self.get(answer.location)


def is_question(page: Answer) -> bool:
    """Whether the page says what an act will do, and waits for a yes."""
    return 'name="sure" value="yes"' in page.text


def xsrf(page: Answer) -> str:
    found = re.search(r'name="xsrf" value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


def secret_on(page: Answer) -> str:
    """What is shown once."""
    found = re.search(r'<code id="secret">([^<]+)</code>', page.text)
    assert found, page.text
    return found[1]


@asynccontextmanager
async def services(**settings: Any) -> AsyncIterator[Running]:
    values: dict[str, Any] = {"admin_key": Secret(ADMIN_KEY), "master_keys": (MASTER,), "keys_poll_seconds": 0.05}
    async with FakeUpstream() as fake, gateway(fake, **{**values, **settings}) as running:
        yield running


@asynccontextmanager
async def visitor(running: Running, token: str = "") -> AsyncIterator[Visitor]:
    """Somebody who has logged in with this token; with none, who has not."""
    async with browser(running.url) as mine:
        someone = Visitor(mine, running)
        if token:
            entered = await someone.login(token)
            assert (entered.status, entered.location) == (303, "/me")
        yield someone


@asynccontextmanager
async def ada_at(running: Running) -> AsyncIterator[Visitor]:
    async with visitor(running, running.token) as ada:
        yield ada


@asynccontextmanager
async def operator_at(running: Running) -> AsyncIterator[Visitor]:
    async with visitor(running, ADMIN_KEY) as operator:
        yield operator


async def ask(running: Running, token: str, model: str = "gpt-5") -> Asked:
    """Send a request to the API, and wait until it is on the ledger."""
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{running.url}/v1/chat/completions"
    async with ClientSession() as session, session.post(url, json=body, headers=headers) as answer:
        await answer.read()
        asked = Asked(answer.status, answer.headers.get("X-Request-Id", ""))
    await running.services.pipeline.quiet(5)
    return asked


@dataclass
class Asked:
    status: int
    request_id: str
