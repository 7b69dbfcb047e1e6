"""The store goes away, is slow, or loses its answers: nobody's request is lost or counted twice, few are refused."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest

from server.ledger.limits import Scope, Unit
from server.ledger.prices import Price, Rates
from server.ledger.usage import Outcome
from tests.accounting.books import (
    USD,
    Place,
    all_rows,
    assert_all_quiet,
    budget,
    counter,
    person_id,
    write_limits,
    write_prices,
)
from tests.accounting.load import lateness, load, opened
from tests.fakes.upstream import FakeUpstream
from tests.fakes.wire import Wire
from tests.faults.asks import Heard, chat, hear
from tests.faults.stage import until
from tests.gateways import Running

RATE = 50  # requests a second
CENTS = 50_000  # micro-USD that a request costs
LATE = 0.05  # seconds
PRICE = Price("cents", "gpt-4o", 0, Rates(request=CENTS))


@dataclass
class Scene:
    """Ada has no budget, bob has one, and nobody here has seen the stranger's token before the store went away."""

    fake: FakeUpstream
    session: aiohttp.ClientSession
    wire: Wire
    place: Place
    ada: str
    bob: str
    stranger: str

    async def ask(self, running: Running, token: str) -> Heard:
        return await hear(self.session, running, chat("Hello.", stream=False), token)

    async def status(self, running: Running, path: str) -> int:
        async with self.session.get(running.url + path) as response:
            return response.status

    async def ready(self, running: Running, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            while await self.status(running, "/readyz") != 200:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def scene(mongodb: Place, *, whole: bool = True) -> AsyncIterator[Scene]:
    tokens = await mongodb.welcome("ada", "bob", "stranger")
    async with mongodb.opened() as store:
        bob = await person_id(store, "bob")
        await write_limits(store, budget(Scope.PERSON, bob, Unit.USD, 1_000 * USD))
        await write_prices(store, PRICE)
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        FakeUpstream() as fake,
        aiohttp.ClientSession(connector=connector) as session,
        Wire(mongodb.port, whole=whole) as wire,
    ):
        yield Scene(fake, session, wire, mongodb, *tokens)


async def hold_to_the_books(place: Place, heard: list[tuple[str, Heard]]) -> None:
    """Every answer has one row, there is no other row, and bob's budget has paid what his rows say."""
    served = Counter(each.headers["x-request-id"] for _, each in heard if each.status == 200)
    async with place.opened() as store:
        rows, bob = await all_rows(store), await person_id(store, "bob")
        assert Counter(row.request_id for row in rows) == served
        assert {(row.status, row.cost_micro_usd) for row in rows} == {(Outcome.COMPLETED, CENTS)}
        bobs = sum(row.cost_micro_usd for row in rows if row.person_id == bob)
        assert await store.taken([counter(f"person:{bob}", Unit.USD)]) == [bobs]
        await assert_all_quiet(store, place.journal)


def codes(heard: list[tuple[str, Heard]], who: str) -> Counter[int | str]:
    """How somebody's requests ended."""
    mine = [each for token, each in heard if token == who]
    return Counter(200 if each.status == 200 else each.error["code"] for each in mine)


@pytest.mark.slow
@pytest.mark.gen_test(timeout=30)
async def test_a_gateway_whose_store_is_away_starts_says_so_and_becomes_ready_by_itself(mongodb: Place) -> None:
    async with scene(mongodb, whole=False) as it:
        async with opened(it.fake, mongodb.through(it.wire)) as running:
            assert [await it.status(running, path) for path in ("/healthz", "/readyz")] == [200, 503]
            refused = await it.ask(running, it.ada)
            assert (refused.status, refused.error["code"]) == (503, "accounting_unavailable")
            assert not it.fake.records
            await it.wire.mend()
            await it.ready(running, 4.0)
            heard = [(token, await it.ask(running, token)) for token in (it.ada, it.bob)]
            assert [each.status for _, each in heard] == [200, 200]
        await hold_to_the_books(mongodb, heard)


async def hold_through_an_outage(mongodb: Place, seconds: float, caplog: pytest.LogCaptureFixture) -> None:
    async with scene(mongodb) as it:
        patient = {"outage_seconds": seconds + 30}  # a credential counts from when it was last asked for, before that
        async with opened(it.fake, mongodb.through(it.wire), **patient) as running, lateness() as late:
            heard = [(token, await it.ask(running, token)) for token in (it.ada, it.bob)]
            heard += await in_escrow(it, running)
            await it.wire.cut()
            asking = load(it.session, running, lambda n: it.ada if n % 5 else it.bob, seconds, RATE)
            outage, stranger = await asyncio.gather(asking, strangers(it, running))
            assert running.services.reservations.backlog >= RATE
            await it.wire.mend()
            await until(lambda: running.services.pipeline.running == 0, 10.0)
        served = codes(outage, it.bob)[200]  # of bob's: what is kept for an outage, or more where he asked for more
        assert codes(outage, it.ada) == {200: len(outage) * 4 // 5}
        assert USD // CENTS <= served < len(outage) // 5
        assert codes(outage, it.bob) == {200: served, "accounting_unavailable": len(outage) // 5 - served}
        assert codes(stranger, it.stranger) == {"accounting_unavailable": len(stranger)}
        assert sum(each > LATE for each in late) <= len(late) // 100
        assert not [record for record in caplog.records if record.levelno >= logging.ERROR], "warnings say enough"
        await hold_to_the_books(mongodb, heard + outage)


async def in_escrow(it: Scene, running: Running) -> list[tuple[str, Heard]]:
    """Wait until the gateway itself knows that something of bob's budget is in escrow."""
    heard: list[tuple[str, Heard]] = []
    async with asyncio.timeout(20):
        while not running.services.reservations.in_escrow:
            heard.append((it.bob, await it.ask(running, it.bob)))
            await asyncio.sleep(0.25)
    return heard


async def strangers(it: Scene, running: Running) -> list[tuple[str, Heard]]:
    """Nobody knows them while the store is away, and they hear of it soon."""
    heard = []
    for _ in range(10):
        async with asyncio.timeout(1.0):
            heard.append((it.stranger, await it.ask(running, it.stranger)))
    return heard


@pytest.mark.slow
@pytest.mark.gen_test(timeout=50)
async def test_while_the_store_is_away_known_people_go_on_and_nothing_is_lost_or_doubled(
    mongodb: Place, caplog: pytest.LogCaptureFixture
) -> None:
    await hold_through_an_outage(mongodb, 6.0, caplog)


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.gen_test(timeout=200)
async def test_while_the_store_is_away_for_a_minute(mongodb: Place, caplog: pytest.LogCaptureFixture) -> None:
    await hold_through_an_outage(mongodb, 60.0, caplog)


@pytest.mark.slow
@pytest.mark.gen_test(timeout=40)
async def test_a_slow_store_is_left_alone_and_requests_go_on_as_quickly_as_ever(mongodb: Place) -> None:
    async with scene(mongodb) as it:
        async with opened(it.fake, mongodb.through(it.wire), token_cache_seconds=0.05) as running:
            heard = [(it.ada, await it.ask(running, it.ada))]
            it.wire.delay = 0.5
            slow = await load(it.session, running, lambda n: it.ada, 3.0, RATE)
            it.wire.delay = 0.0
            await until(lambda: running.services.pipeline.running == 0, 15.0)
        assert codes(slow, it.ada) == {200: len(slow)}
        await hold_to_the_books(mongodb, heard + slow)
        async with mongodb.opened() as store:
            quick = sum(row.duration_ms < 100 for row in await all_rows(store))
        assert quick > len(slow) // 2


@pytest.mark.slow
@pytest.mark.gen_test(timeout=40)
async def test_answers_of_the_store_that_are_lost_on_their_way_make_nobody_pay_twice(mongodb: Place) -> None:
    async with scene(mongodb) as it:
        async with opened(it.fake, mongodb.through(it.wire)) as running:
            heard = [(token, await it.ask(running, token)) for token in (it.ada, it.bob)]
            it.wire.loss = 0.2
            lossy = await load(it.session, running, lambda n: it.ada if n % 2 else it.bob, 3.0, RATE)
            it.wire.loss = 0.0
            await until(lambda: running.services.pipeline.running == 0, 15.0)
        assert codes(lossy, it.ada) == {200: len(lossy) // 2}
        assert set(codes(lossy, it.bob)) <= {200, "accounting_unavailable"}
        await hold_to_the_books(mongodb, heard + lossy)
