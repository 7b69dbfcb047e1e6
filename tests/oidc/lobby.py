"""A login without a web: a provider, a store, and a browser that is only what it keeps and where it is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from server.auth.oidc.client import Arrival, Client, Oidc
from server.auth.oidc.provisioning import Reading
from server.config.specs import Secret
from server.policy.claims import ClaimRules, Condition, Rule
from server.store import store_for
from server.store.base import Store
from tests.oidc.idp import CLIENT_ID, CLIENT_SECRET, NOW, Idp, identity_provider

ORIGIN = "https://llm.example.org"
PEPPER = b"a pepper for tests, of 32 letters or more"
STUDENTS = ClaimRules((Rule((Condition("affiliation", ("student@*",)),), ("students",)),))
ADMINS = Condition("groups", ("llm-admins",))


@dataclass
class Clock:
    """Wall and monotonic clock in one, in seconds."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now

    def wall(self) -> int:
        return int(self.now * 1000)


@dataclass
class Lobby:
    """Where logins begin and end."""

    idp: Idp
    store: Store
    oidc: Oidc
    clock: Clock = field(default_factory=Clock)

    async def begin(self, path: str = "/me", origin: str = ORIGIN) -> tuple[dict[str, str], str]:
        """The query with which the browser is sent to the provider, and its cookie."""
        address, _, cookie = await self.oidc.begin(origin, path)
        assert address.startswith(f"{self.idp.url}/authorize?")
        return dict(parse_qsl(urlsplit(address).query, strict_parsing=True)), cookie

    async def login(self, path: str = "/me", **changes: str) -> Arrival:
        """There and back; `changes` are of the answer."""
        query, cookie = await self.begin(path)
        answer = {"code": self.idp.code(query), "state": query["state"], **changes}
        return await self.oidc.finish(answer, cookie)


@asynccontextmanager
async def lobby(
    rules: ClaimRules = STUDENTS, admin: Condition | None = ADMINS, client: dict[str, Any] | None = None, **idp: Any
) -> AsyncIterator[Lobby]:
    with TemporaryDirectory() as folder:
        clock = Clock()
        async with identity_provider(now=clock, **idp) as running, store_for(f"sqlite:///{Path(folder)}/db") as store:
            agreed = {"redirect_uris": (f"{ORIGIN}/callback",), "secret": Secret(CLIENT_SECRET), **(client or {})}
            names = Client(issuer=running.url, client_id=CLIENT_ID, **agreed)
            reading = Reading(rules, admin, "preferred_username")
            oidc = Oidc(names, reading, store, PEPPER, clock, clock.wall)
            try:
                yield Lobby(running, store, oidc, clock)
            finally:
                await oidc.close()
