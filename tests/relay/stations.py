"""A `Pipeline` with its real collaborators in front of a fake upstream; the ledger is in memory and no clock moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keypool.keys import Key
from keypool.pool import Pool
from server.config.specs import Secret
from server.dispatcher import Dispatcher
from server.ledger.limits import Limit
from server.ledger.prices import Price
from server.ledger.usage import UsageRow
from server.policy.groups import Group
from server.relay.admission import Admission, Bounds
from server.relay.context import Call, ClientLeft
from server.relay.pipeline import Pipeline
from server.relay.under_way import UnderWay
from server.spool import Spool
from server.upstream import Patience, Route, Upstreams
from server.wire.tokens import Prompt
from tests.accounting.till import NOW, Till, open_till
from tests.fakes.upstream import FakeUpstream


class Words:
    """A tokenizer for which each word is a token."""

    async def count(self, prompt: Prompt, model: str, person: str) -> int:
        return sum(len(text.split()) for text in prompt.texts)


@dataclass
class Listener:
    """A client. `leaves_at`: it is gone when this piece, from 1, is to be sent.

    `pieces` are what it got, each with the number of rows that were on the ledger then.
    """

    rows: list[UsageRow]
    leaves_at: int | None = None
    started: bool = False
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: list[tuple[bytes, int]] = field(default_factory=list)
    ended: bool = False

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        self.started, self.status, self.headers = True, status, headers

    async def send(self, chunk: bytes) -> None:
        if self.leaves_at == len(self.pieces) + 1:
            raise ClientLeft
        self.pieces.append((chunk, len(self.rows)))

    def send_now(self, chunk: bytes) -> bool:
        if self.leaves_at == len(self.pieces) + 1:
            return False
        self.pieces.append((chunk, len(self.rows)))
        return True

    def end(self) -> None:
        self.ended = True


@dataclass
class Station:
    """A pipeline and what is around it. `rows` are those that were settled, as observers hear of them."""

    pipeline: Pipeline
    till: Till
    fake: FakeUpstream
    dispatcher: Dispatcher
    under_way: UnderWay
    spool: Spool
    rows: list[UsageRow]

    def listener(self, leaves_at: int | None = None) -> Listener:
        return Listener(self.rows, leaves_at)

    def serve(self, call: Call, sink: Listener | None = None) -> asyncio.Task[UsageRow]:
        """A call is served, in a task of its own."""
        return asyncio.create_task(self.pipeline.serve(call, sink or self.listener()))

    async def assert_empty(self) -> None:
        """Nothing is left of any request: no hold, no lease, no slot, no task, no context, no file."""
        await self.till.assert_nothing_is_held()
        assert self.dispatcher.idle
        assert [key.running for key in self.dispatcher.pool.keys.values()] == [0] * len(self.dispatcher.pool.keys)
        assert (self.pipeline.running, self.under_way.contexts, self.spool.files) == (0, {}, 0)


@asynccontextmanager
async def open_station(
    folder: Path,
    *decisions: Limit | Price | Group,
    keys: tuple[Key, ...],
    bounds: Bounds = Bounds(),  # noqa: B008 - immutable
    spooled_from: int = 1 << 20,
) -> AsyncIterator[Station]:
    """A station whose keys, by name, are the fake upstream's `sk-<name>`."""
    async with FakeUpstream() as fake, open_till(folder, *decisions) as till:
        upstreams = Upstreams(lambda key: Route(fake.base_url, Secret(f"sk-{key}")), Patience())
        dispatcher, rows = Dispatcher(Pool(keys), lambda: till.clock[0]), list[UsageRow]()
        under_way, spool = UnderWay(bounds.stateful, lambda: NOW), Spool(folder / "spool", spooled_from)
        words: Any = Words()
        ledger: Any = till.ledger
        admission = Admission(dispatcher, ledger, till.book, bounds, lambda: till.clock[0], lambda: NOW, under_way)
        pipeline = Pipeline(
            dispatcher,
            upstreams,
            ledger,
            words,
            bounds,
            lambda: till.clock[0],
            lambda: NOW,
            till.reservations,
            admission,
            under_way,
            rows.append,
            spool,
        )
        try:
            yield Station(pipeline, till, fake, dispatcher, under_way, spool, rows)
        finally:
            dispatcher.close()
            await upstreams.close()
