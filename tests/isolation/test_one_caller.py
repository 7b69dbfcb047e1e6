"""Whatever one caller sends and provokes at the provider: the others are served as if that caller were not there."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import aiohttp
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from keypool.health import KeyState
from tests.fakes.fates import Raw
from tests.fakes.ledger import Record
from tests.fakes.upstream import FakeUpstream
from tests.faults.asks import chat, hear, messages, text_of
from tests.faults.stage import Stage, until
from tests.gateways import Running, gateway
from tests.isolation.strategies import ACTS, Act

POLITE = "a polite question"
PATIENCE = 10.0  # seconds after which the hostile client gives up: nothing here waits so long


@dataclass
class World:
    """A gateway, a provider that answers what is not polite as the test says, and the hostile caller's token."""

    runner: asyncio.Runner
    provoked: deque[Raw] = field(default_factory=deque)
    stage: Stage = field(init=False)
    session: aiohttp.ClientSession = field(init=False)
    hostile: str = ""

    def decide(self, record: Record) -> Raw | None:
        return self.provoked[0] if POLITE.encode() not in record.request.body and self.provoked else None

    async def open(self, stack: AsyncExitStack) -> None:
        fake = await stack.enter_async_context(FakeUpstream(decide=self.decide))
        running: Running = await stack.enter_async_context(gateway(fake))
        self.stage = Stage(running)
        self.session = await stack.enter_async_context(aiohttp.ClientSession())
        self.hostile = await running.token_of("mallory")

    async def play(self, acts: list[Act]) -> None:
        await self.stage.set()
        for number, act in enumerate(acts):
            self.provoked = deque([act.answer])
            _, heard = await asyncio.gather(self._attack(act), self._ask(number))
            assert heard == f"You said: {POLITE} {number}", (act, heard)
        await self.stage.quiet()
        await until(self._all_well)

    async def _attack(self, act: Act) -> None:
        headers = {"Authorization": f"Bearer {self.hostile}", "Content-Type": "application/json", **act.headers}
        url = self.stage.running.url + act.path
        try:
            async with asyncio.timeout(PATIENCE), self.session.post(url, data=act.body, headers=headers) as answer:
                if not act.leaves:
                    await answer.read()
        except aiohttp.ClientError:
            pass  # what the hostile caller hears is of no matter here

    async def _ask(self, number: int) -> str:
        question = f"{POLITE} {number}"
        ask = chat(question, stream=True) if number % 2 else messages(question, stream=True)
        heard = await hear(self.session, self.stage.running, ask)
        return text_of(heard.body) if heard.status == 200 else f"{heard.status} {heard.body.decode()}"

    def _all_well(self) -> bool:
        """No key rests, as a whole or for a model."""
        pool = self.stage.pool
        states = {key.state(model) for key in pool.keys.values() for model in key.models}
        return states <= {KeyState.READY, KeyState.UNCHECKED}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with asyncio.Runner() as runner:
        world, stack = World(runner), AsyncExitStack()
        runner.run(world.open(stack))
        yield world
        runner.run(stack.aclose())


@pytest.mark.slow
@pytest.mark.timeout(240)
@given(acts=st.lists(ACTS, min_size=1, max_size=12))
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),  # a failing example takes seconds, and shrinking it minutes
    suppress_health_check=list(HealthCheck),
)
def test_no_sequence_of_one_caller_s_requests_changes_what_another_one_gets(world: World, acts: list[Act]) -> None:
    world.runner.run(world.play(acts))
