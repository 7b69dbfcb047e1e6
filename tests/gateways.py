"""A whole gateway in this process, on a real socket, in front of a fake upstream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from server.bootstrap.serve import PULSE, listen, open_services
from server.config.settings import Settings
from server.config.specs import Secret, UpstreamSpec
from server.http.services import GatewayServices
from server.relay.keepalive import KeepaliveTiming
from tests.fakes.upstream import FakeUpstream

KEYS = ("sk-upstream-one", "sk-upstream-two")
MODELS = ("gpt-5", "gpt-4o", "claude-sonnet-4-5", "text-embedding-3-small")


@dataclass
class Running:
    """A gateway that answers: its address, a token of the person `ada`, its insides and the upstream behind it."""

    url: str
    token: str
    services: GatewayServices
    fake: FakeUpstream

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}

    async def token_of(self, person: str) -> str:
        """A token of a new person."""
        await self.services.accounts.create_person(person)
        return (await self.services.accounts.create_token(person, "test"))[1]

    def assert_idle(self) -> None:
        """Nothing is left over: no ticket, no slot, no trial, no task."""
        pool = self.services.dispatcher.pool
        assert self.services.dispatcher.idle, pool
        assert [key.running for key in pool.keys.values()] == [0] * len(pool.keys)
        assert [model.waiting + model.running for model in self.services.dispatcher.snapshot().models] == [0] * len(
            pool.keyring.models()
        )
        assert self.services.pipeline.running == 0
        assert self.services.occupancy.bodies.total == 0


@contextmanager
def exchanged(services: GatewayServices, **parts: Any) -> Iterator[None]:
    """Other services of these names for every group of handlers, for as long as this lasts."""
    groups = (services, *services.parts.values())
    usual = [(group, name, getattr(group, name)) for group in groups for name in parts if hasattr(group, name)]
    for group, name, _ in usual:
        setattr(group, name, parts[name])
    try:
        yield
    finally:
        for group, name, part in usual:
            setattr(group, name, part)


def spec(fake: FakeUpstream, keys: Iterable[str] = KEYS, **more: Any) -> UpstreamSpec:
    """The fake upstream as an operator would name it."""
    values: dict[str, Any] = {
        "name": "fake",
        "dialects": ("openai", "anthropic"),
        "base_url": f"{fake.url}/v1",
        "keys": tuple(Secret(key) for key in keys),
        "models": MODELS,
        **more,
    }
    return UpstreamSpec(**values)


@asynccontextmanager
async def gateway(
    fake: FakeUpstream, *upstreams: UpstreamSpec, timing: KeepaliveTiming = PULSE, **settings: Any
) -> AsyncIterator[Running]:
    """A gateway in front of `fake` (or of `upstreams`), with a store of its own that is removed afterwards."""
    with TemporaryDirectory() as folder:
        values: dict[str, Any] = {
            "port": 0,
            "store_url": f"sqlite:///{Path(folder) / 'test.db'}",
            "upstreams": upstreams or (spec(fake),),
            "access_log": False,
            "unpriced_models": "free",
            **settings,
        }
        async with open_services(Settings(**values), timing) as services, listen(services) as url:
            await services.accounts.create_person("ada")
            token = (await services.accounts.create_token("ada", "test"))[1]
            yield Running(url, token, services, fake)
