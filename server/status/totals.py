"""The usage of today, of this month and of all time, as last read from the ledger.

Today's sum is read every two seconds while anyone looks. What was used before today is read once a minute, and today
is added to it: else a month would show less than its last day does. A store that is slow or away delays no one for
longer than its patience: the figures stay as they were.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import date, timedelta

from server.ledger.calendar import Calendar
from server.ledger.export import added
from server.ledger.reports import By, Days, Sum
from server.store.base import Store, StoreError
from web.view import TotalsView

TODAY_SECONDS = 2.0
LONG_SECONDS = 60.0  # of the sums that change slowly


class UsageTotals:
    """`patience`: seconds for which an answer may wait for the figures. `clock` is monotonic, `wall` UTC ms."""

    def __init__(
        self,
        store: Store,
        calendar: Calendar,
        patience: float,
        clock: Callable[[], float],
        wall: Callable[[], int],
    ) -> None:
        self._store, self._calendar, self._patience, self._clock, self._wall = store, calendar, patience, clock, wall
        self._next_today = self._next_long = float("-inf")
        self._task: asyncio.Task[None] | None = None
        self._before: tuple[str, Sum, Sum] | None = None  # today; in its month and in all before it
        self.today = TotalsView(0, 0, 0)
        self.month: TotalsView | None = None
        self.ever: TotalsView | None = None

    async def refresh(self) -> None:
        """Read what is due; what takes long goes on behind the answer."""
        if self._task is None and self._clock() >= self._next_today:
            self._task = asyncio.create_task(self._read())
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=self._patience)

    async def by_model(self) -> list[Sum]:
        """The usage of all time, by model. Raises StoreError."""
        return await self._store.sums(Days(), (By.MODEL,))

    async def by_person_and_model(self) -> list[Sum]:
        """The same, by person and model. Raises StoreError."""
        return await self._store.sums(Days(), (By.PERSON, By.MODEL))

    async def close(self) -> None:
        """Wait for nothing any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def _read(self) -> None:
        day = self._calendar.day(self._wall())
        try:
            with suppress(StoreError):
                today = await self._sum(Days(first=day, last=day))
                if self._before is None or self._before[0] != day or self._clock() >= self._next_long:
                    self._before = await self._before_day(day)
                    self._next_long = self._clock() + LONG_SECONDS
                _, month, ever = self._before
                self.today, self.month, self.ever = _view(today), _view(month, today), _view(ever, today)
        finally:
            self._next_today = self._clock() + TODAY_SECONDS
            self._task = None

    async def _before_day(self, day: str) -> tuple[str, Sum, Sum]:
        before, first = (date.fromisoformat(day) - timedelta(days=1)).isoformat(), f"{day[:7]}-01"
        month = await self._sum(Days(first=first, last=before)) if first <= before else Sum()
        return day, month, await self._sum(Days(last=before))

    async def _sum(self, days: Days) -> Sum:
        (found,) = await self._store.sums(days, ())
        return found


def _view(*sums: Sum) -> TotalsView:
    found = added(sums)
    return TotalsView(found.requests, found.input, found.output, found.cost_micro_usd)
