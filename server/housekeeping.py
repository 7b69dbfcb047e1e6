"""What has to be done now and then, so that nothing grows for ever."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from server.ledger.calendar import Calendar
from server.store.base import Store, StoreError

log = logging.getLogger("fairgate")

MINUTE = 60.0  # seconds
PAUSE = 0.05  # seconds between two batches
PURGED_AT_ONCE = 1_000  # rows
DAY_MS = 86_400_000
COUNTER_DAYS = 400  # a month's counter is looked at for a year
KEPT_DAYS = 30  # for so long providers keep an answer that can be continued


class Housekeeping:
    """`usage_days`: so long the rows of single requests are kept; 0 is for ever. `wall` is UTC milliseconds."""

    def __init__(self, store: Store, calendar: Calendar, usage_days: int, wall: Callable[[], int]) -> None:
        self._store, self._calendar, self._usage_days, self._wall = store, calendar, usage_days, wall

    async def keep(self) -> None:
        """Do every chore when it is due, until cancelled. What fails because the store is away is due again."""
        swept = 0.0
        while True:
            chores = [self._release] if swept + DAY_MS > self._wall() else [self._release, self._forget, self._purge]
            try:
                for chore in chores:
                    await chore()
                swept = self._wall() if len(chores) > 1 else swept
            except StoreError:
                log.debug("the store is out of reach: the house is kept later")
            await asyncio.sleep(MINUTE)

    async def _release(self) -> None:
        """Give back what was reserved for requests that cannot be under way any more."""
        if released := await self._store.release_expired(self._wall()):
            log.warning("gave back what %d requests held that have expired", released)

    async def _forget(self) -> None:
        """Forget what nobody can use any more."""
        now = self._wall()
        await self._store.forget_issued(now - KEPT_DAYS * DAY_MS)
        await self._store.forget_expired(now)
        await self._store.forget_counters(self._calendar.day(now - COUNTER_DAYS * DAY_MS))

    async def _purge(self) -> None:
        """Delete old rows, a few at a time: what is written meanwhile must not wait."""
        if not self._usage_days:
            return
        before, purged = self._wall() - self._usage_days * DAY_MS, PURGED_AT_ONCE
        while purged == PURGED_AT_ONCE:
            purged = await self._store.purge_usage(before, PURGED_AT_ONCE)
            await asyncio.sleep(PAUSE)
