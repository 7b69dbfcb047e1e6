"""The chores that are done now and then, so that nothing grows for ever."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from server.ledger.calendar import Calendar
from server.store.base import Store, StoreError

log = logging.getLogger("fairgate")

MINUTE = 60.0  # seconds
PAUSE = 0.05  # seconds between two batches
PURGED_AT_ONCE = 1_000  # rows
DAY_MS = 86_400_000
HISTORY_DAYS = 400  # of hours and incidents
COUNTER_DAYS = 400  # a month's counter is looked at for a year
KEPT_DAYS = 30  # for so long providers keep an answer that can be continued


class Housekeeping:
    """`usage_days`: so long the rows of single requests are kept; 0 is for ever. `wall` is UTC milliseconds.

    `each_minute` are chores of others; `pause` is seconds between two rounds.
    """

    def __init__(
        self,
        store: Store,
        calendar: Calendar,
        usage_days: int,
        wall: Callable[[], int],
        each_minute: Sequence[Callable[[], Awaitable[object]]] = (),
        pause: float = MINUTE,
    ) -> None:
        self._store, self._calendar, self._usage_days, self._wall = store, calendar, usage_days, wall
        self._each_minute, self._pause = (self._release, *each_minute), pause

    async def keep(self) -> None:
        """Do every chore when it is due, until cancelled. A chore that fails is due again a minute later."""
        swept = -DAY_MS
        while True:
            for chore in self._each_minute:
                await _done(chore)
            # A clock that was set back must not put this off until it is where it was.
            if abs(self._wall() - swept) >= DAY_MS and await _done(self._forget) and await _done(self._purge):
                swept = self._wall()
            await asyncio.sleep(self._pause)

    async def _release(self) -> None:
        """Give back what was reserved for requests that cannot be under way any more."""
        if released := await self._store.release_expired(self._wall()):
            log.warning("gave back what %d requests held that have expired", released)

    async def _forget(self) -> None:
        """Forget kept objects, sessions, passes, messages and history that are too old to be used."""
        now = self._wall()
        await self._store.forget_issued(now - KEPT_DAYS * DAY_MS)
        await self._store.forget_expired(now)
        await self._store.forget_history(now - HISTORY_DAYS * DAY_MS)
        await self._store.forget_deliveries(now)
        await self._store.forget_refused(now - (self._usage_days or HISTORY_DAYS) * DAY_MS)
        await self._store.forget_counters(self._calendar.day(now - COUNTER_DAYS * DAY_MS))

    async def _purge(self) -> None:
        """Delete old rows, a few at a time: what is written meanwhile must not wait."""
        if not self._usage_days:
            return
        before, purged = self._wall() - self._usage_days * DAY_MS, PURGED_AT_ONCE
        while purged == PURGED_AT_ONCE:
            purged = await self._store.purge_usage(before, PURGED_AT_ONCE)
            await asyncio.sleep(PAUSE)


async def _done(chore: Callable[[], Awaitable[object]]) -> bool:
    """Whether a chore is done. One that cannot be must not keep the others from being done."""
    try:
        await chore()
    except StoreError:
        log.debug("the store is out of reach: the house is kept later")
        return False
    except Exception as error:
        log.error("a chore of the house failed, and is tried again in a minute: %s", type(error).__name__)
        return False
    return True
