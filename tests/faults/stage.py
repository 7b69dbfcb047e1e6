"""A gateway that several tests use one after the other, each with a pool that has seen nothing yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from keypool.health import KeyHealth
from keypool.pool import Pool
from server.ledger.usage import UsageRow
from tests.fakes.ledger import Record
from tests.gateways import Running

ALL = 100_000  # rows: more than any test writes


class Stage:
    """A running gateway, its fake upstream, and what has happened since the curtain rose."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.fake = running.fake
        self._old_rows: set[str] = set()
        self._old_records = 0

    @property
    def pool(self) -> Pool:
        return self.running.services.dispatcher.pool

    @property
    def records(self) -> list[Record]:
        """What the upstream saw in this test."""
        return self.fake.records[self._old_records :]

    @property
    def waiting(self) -> int:
        """Requests in the queues."""
        return sum(ticket.waiting for ticket in self.pool.tickets.values())

    async def set(self) -> None:
        """Make everything new: no key has failed, no retry was spent, nothing is scripted."""
        await self.quiet()
        self.renew_pool()
        self.fake.forget_script()
        self._old_rows = {row.request_id for row in await self._all_rows()}
        self._old_records = len(self.fake.records)

    def renew_pool(self) -> None:
        """Replace the pool, which must be idle, by one of the same keys in which nothing has happened."""
        self.running.assert_idle()
        dispatcher = self.running.services.dispatcher
        dispatcher.close()
        old = dispatcher.pool.keys.values()
        keys = [replace(key, whole=KeyHealth(), by_model={}, domains={}, running=0, granted=0) for key in old]
        dispatcher.pool = Pool(keys, dispatcher.pool.limits, dispatcher.pool.pricing.costs)
        dispatcher.keyring = dispatcher.pool.keyring

    async def rows(self) -> list[UsageRow]:
        """The rows that this test has written, once nothing runs any more."""
        await self.quiet()
        return [row for row in await self._all_rows() if row.request_id not in self._old_rows]

    async def quiet(self) -> None:
        """Wait until the gateway has ended what it was doing, and hold it to having kept nothing."""
        await until(lambda: self.running.services.pipeline.running == 0)
        self.running.assert_idle()

    async def _all_rows(self) -> list[UsageRow]:
        return await self.running.services.store.usage_rows(0, ALL)


async def until(predicate: Callable[[], object], seconds: float = 10.0) -> None:
    """Return as soon as the predicate holds; TimeoutError if it does not within so many seconds."""
    async with asyncio.timeout(seconds):
        while not predicate():
            await asyncio.sleep(0.001)
