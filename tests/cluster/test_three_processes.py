"""Three gateways as processes of their own, on one MongoDB and one machine, in front of a key with few slots."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from server.ledger.limits import Scope, Unit
from server.ledger.usage import Outcome
from tests.accounting.books import Place, all_rows, assert_all_quiet, budget, counter, person_id, write_limits
from tests.accounting.children import Child, child
from tests.fakes.fates import slow
from tests.fakes.upstream import FakeUpstream
from tests.faults.asks import chat
from tests.faults.stage import until
from tests.store.mongo_kinds import forget, mongo_url

pytestmark = [pytest.mark.soak, pytest.mark.alone, pytest.mark.timeout(300)]

SLOTS = 6
UNHURRIED = slow(first_byte=0.5)
PATIENCE = 30.0  # seconds: a machine that is busy may need longer for what takes five


@dataclass
class Scene:
    place: Place
    fake: FakeUpstream
    session: aiohttp.ClientSession
    gateways: list[Child]
    answered: list[str] = field(default_factory=list)  # ids of requests whose answers were seen whole
    statuses: list[int] = field(default_factory=list)

    async def ask(self, gateway: Child, token: str) -> None:
        ask = chat("Hello.", stream=False)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        async with self.session.post(gateway.url + ask.path, data=ask.body, headers=headers) as response:
            await response.read()
            self.statuses.append(response.status)
            if response.status == 200:
                self.answered.append(response.headers["X-Request-Id"])

    async def keep_asking(self, gateway: Child, token: str) -> None:
        """As one person does; until the gateway is gone."""
        with suppress(aiohttp.ClientError):
            while True:
                await self.ask(gateway, token)


@asynccontextmanager
async def three(place: Place, tmp_path: Path, fake: FakeUpstream, **more: str) -> AsyncIterator[Scene]:
    settings = place.environment | {
        "OPENAI_MODELS": "gpt-4o",
        "OPENAI_KEY": f"sk-upstream-one@{fake.base_url}",
        "KEY_SLOTS": str(SLOTS),
        "UNPRICED_MODELS": "free",
        **more,
    }
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        gateways = [await stack.enter_async_context(child(settings, tmp_path / f"log{n}")) for n in range(3)]
        yield Scene(place, fake, session, gateways)


@pytest.fixture
def place(secantus_server: str, tmp_path: Path, request: pytest.FixtureRequest) -> Place:
    url = mongo_url(secantus_server, tmp_path)
    request.addfinalizer(lambda: forget(url))
    return Place(url, tmp_path)


@pytest.mark.gen_test(timeout=200)
async def test_one_that_is_killed_loses_no_row_and_what_it_had_is_used_again(place: Place, tmp_path: Path) -> None:
    people = [f"person{n}" for n in range(12)]
    tokens = await place.welcome(*people)
    async with FakeUpstream(default=UNHURRIED) as fake, three(place, tmp_path, fake) as scene:
        asking = [
            asyncio.create_task(scene.keep_asking(scene.gateways[n % 3], token)) for n, token in enumerate(tokens)
        ]
        most: list[int] = []
        await until(lambda: most.append(fake.running) or (fake.running == SLOTS and len(scene.answered) > 30), PATIENCE)
        await scene.gateways[1].kill()
        await until(lambda: most.append(fake.running) or fake.running <= SLOTS - 2, PATIENCE)
        for _ in range(3):
            await until(lambda: most.append(fake.running) or fake.running == SLOTS, PATIENCE)
            await asyncio.sleep(0.2)
        assert max(most) <= SLOTS, "the provider never sees more than the key may serve"
        for each in asking:
            each.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
    async with place.opened() as store:
        rows = await all_rows(store)
        assert len({row.request_id for row in rows}) == len(rows), "none is doubled"
        completed = {row.request_id for row in rows if row.status is Outcome.COMPLETED}
        assert completed >= set(scene.answered), "none is lost"
        assert len(rows) == len(fake.records), "all that was sent is on the ledger"
        assert await store.gateways() == [], "the dead one was adopted, and the others left"
        await assert_all_quiet(store, place.journal)


async def race(place: Place, tmp_path: Path, number: int) -> None:
    """So many requests at once against a budget for exactly ten, on three gateways."""
    (token,) = await place.welcome("ada")
    async with place.opened() as store:
        ada = await person_id(store, "ada")
        await write_limits(store, budget(Scope.PERSON, ada, Unit.REQUESTS, 10))
    async with FakeUpstream() as fake:
        async with three(place, tmp_path, fake, QUEUE_PER_PERSON="10000", STORE_SECONDS="20") as scene:
            asks = (scene.ask(scene.gateways[n % 3], token) for n in range(number))
            await asyncio.gather(*asks)
        assert sorted(scene.statuses) == [200] * 10 + [429] * (number - 10)
        assert len(fake.records) == 10
    async with place.opened() as store:
        assert await store.taken([counter(f"person:{ada}", Unit.REQUESTS)]) == [10]


@pytest.mark.gen_test(timeout=280)
async def test_a_budget_for_ten_admits_ten_of_a_thousand_on_three_gateways(place: Place, tmp_path: Path) -> None:
    await race(place, tmp_path, 1000)
