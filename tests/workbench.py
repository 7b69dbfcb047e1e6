"""What tests of long work share: a store with known rows, and a job that is interrupted when it should be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

from server.admin.changes import Changes
from server.admin.long_work import Job, Progress, Span, WorkPace
from server.admin.repricing import Prices
from server.ledger.prices import Price, Rates
from server.ledger.quota import Settlement
from server.ledger.reports import By, Days, Sum, Which
from server.ledger.usage import UsageRow
from server.store import store_for
from server.store.base import Store
from tests.usage.rows import BERLIN, row

PACE = WorkPace(rows=7, rest=0.0)
NOVEMBER = Span.of(BERLIN, "2026-11-01", "2026-11-30")
DOUBLED = Price("p2", "gpt-5", 0, Rates(input=2_000_000, output=20_000_000))


class Interrupting:
    """A progress callback that is Ctrl-C when it is told for the n-th time; afterwards, and with None, it is none."""

    def __init__(self, at: int | None = None) -> None:
        self.told: list[tuple[int, int]] = []
        self._at = at

    def __call__(self, done: int, total: int) -> None:
        self.told.append((done, total))
        if len(self.told) == self._at:
            raise KeyboardInterrupt


class Delegate:
    """A store that answers as another one, but for what a subclass says."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._store, verb)


def rows(number: int = 40) -> list[UsageRow]:
    """Of ten days in November, three models in turn, each request at a time of its own."""
    models = ("gpt-5", "gpt-5-mini", "claude")
    return [
        row(f"2026-11-{1 + n % 10:02}T10:{n // 10:02}:00Z", request_id=f"req_{n:04}", model_asked=models[n % 3])
        for n in range(number)
    ]


@asynccontextmanager
async def ledger(path: Path, written: Sequence[UsageRow]) -> AsyncIterator[Store]:
    async with store_for(f"sqlite:///{path}") as store:
        await asyncio.gather(*(store.settle(Settlement(each)) for each in written))
        yield store


def job(store: Store, progress: Progress | None = None, pace: WorkPace = PACE) -> Job:
    numbers = count(1)
    changes = Changes(store, lambda: 5_000, lambda: f"aud_{id(numbers)}_{next(numbers):06d}")
    return Job(store, changes, "usr_boss", progress or Interrupting(), pace)


def prices(*listed: Price, digest: str = "d") -> Prices:
    """Of models by their exact names."""
    by_name = {price.model: price for price in listed}
    return Prices(lambda model, at: by_name.get(model), digest)


async def all_rows(store: Store) -> list[UsageRow]:
    return await store.usage_after(Which(), None, 10_000)


async def sums_by_day(store: Store) -> list[Sum]:
    return await store.sums(Days(), (By.DAY, By.MODEL))


async def actions(store: Store) -> list[str]:
    """What was noted, the oldest first."""
    return [entry.action for entry in reversed(await store.audits(None, 100))]
