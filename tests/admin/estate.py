"""A gateway with somebody of every kind: who has nothing, people, an administrator, and credentials that are over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson
from yarl import URL

from server.config.specs import Secret
from server.http.services import GatewayServices
from tests.fakes.upstream import FakeUpstream
from tests.gateways import gateway

ADMIN_KEY = "an administrator's key"
MASTER = "a master key for tests, of 32 letters or more"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.content)

    @property
    def text(self) -> str:
        return self.content.decode()

    @property
    def refusal(self) -> tuple[int, str, str | None]:
        error = self.json["error"]
        return self.status, error["code"], error["param"]


@dataclass
class Estate:
    """`tokens` and `ids` of ada and bob, who are people, and of boss, who is an administrator."""

    url: str
    services: GatewayServices
    fake: FakeUpstream
    session: aiohttp.ClientSession
    tokens: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    async def ask(self, method: str, path: str, who: str | None = "boss", body: Any = None, **headers: str) -> Answer:
        """Ask with somebody's token; a body that is no text goes as JSON."""
        named = dict(headers)
        if who is not None:
            named["Authorization"] = f"Bearer {self.tokens[who]}"
        data = body if isinstance(body, str) or body is None else orjson.dumps(body)
        if body is not None:
            named.setdefault("Content-Type", "application/json")
        return await self.send(method, path, data, named)

    async def send(self, method: str, path: str, data: Any, headers: dict[str, str]) -> Answer:
        address = URL(self.url + path, encoded=True)
        async with self.session.request(method, address, data=data, headers=headers, allow_redirects=False) as answer:
            found = {name.lower(): value for name, value in answer.headers.items()}
            # What never ends is known by its beginning.
            content = b"" if "event-stream" in found.get("content-type", "") else await answer.read()
            return Answer(answer.status, found, content)

    async def audited(self) -> list[tuple[str, str, Any, Any]]:
        """Who did what, and how it was before and after; the newest first."""
        return [
            (entry.actor, entry.action, entry.before, entry.after)
            for entry in await self.services.changes.audits(None, 100)
        ]

    async def person(self, name: str) -> None:
        """One more person, with a token."""
        self.ids[name] = (await self.services.accounts.create_person(name)).id
        self.tokens[name] = (await self.services.accounts.create_token(name, "test"))[1]


@asynccontextmanager
async def estate(**settings: Any) -> AsyncIterator[Estate]:
    values = {"admin_key": Secret(ADMIN_KEY), "master_keys": (Secret(MASTER),), "trusted_proxy_hops": 1, **settings}
    async with (
        FakeUpstream() as fake,
        gateway(fake, **values) as running,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        built = Estate(running.url, running.services, fake, session, {"ada": running.token, "operator": ADMIN_KEY})
        for name in ("bob", "boss"):
            await built.person(name)
        built.ids |= {person.name: person.id for person in await running.services.store.people()}
        await running.services.store.update_person(built.ids["boss"], {"admin": True})
        yield built
