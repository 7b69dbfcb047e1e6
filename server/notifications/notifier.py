"""The task that looks, takes events and sends: a few seconds behind the requests, and never in their way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from server.notifications.budgets import BudgetWatch
from server.notifications.outbox import Outbox
from server.policy.notifications import Event
from server.store.base import StoreError

log = logging.getLogger("fairgate")

PAUSE = 5.0  # seconds between two looks
WHOLE_MS = 900_000  # between two looks at all budgets

# What has begun; the argument is whether the outbox reaches the store.
Happenings = Callable[[bool], list[Event]]


class Notifier:
    """`happenings`: what has begun since the last look; of one process of each gateway, as the looks at all budgets.

    `wall`: UTC milliseconds; `pause`: seconds.
    """

    def __init__(
        self,
        budgets: BudgetWatch,
        happenings: Happenings | None,
        outbox: Outbox,
        wall: Callable[[], int],
        pause: float = PAUSE,
    ) -> None:
        self._budgets, self._happenings, self._outbox = budgets, happenings, outbox
        self._wall, self._pause = wall, pause
        self._whole_at = 0

    async def keep(self) -> None:
        """Go round until cancelled."""
        while True:
            await self.round()
            await asyncio.sleep(self._pause)

    async def round(self) -> None:
        """Look at everything once, and send what is due. What fails is tried again in the next round."""
        for work in (self._look, self._look_around, self._look_at_all, self._outbox.send_due):
            await _done(work)

    async def _look(self) -> None:
        await self._outbox.add(await self._budgets.look())

    async def _look_around(self) -> None:
        if self._happenings is not None:
            await self._outbox.add(self._happenings(self._outbox.reached))

    async def _look_at_all(self) -> None:
        """A clock that was set back must not put this off until it is where it was."""
        now = self._wall()
        if self._happenings is None or 0 <= self._whole_at - now <= WHOLE_MS:
            return
        async for events in self._budgets.look_at_all():
            await self._outbox.add(events)
        self._whole_at = now + WHOLE_MS


class Messages(NamedTuple):
    """All of it, for those who need a part: the outbox, what hears of every request that ends, and the task's work.

    All are None where nothing can be sent.
    """

    outbox: Outbox | None = None
    budgets: BudgetWatch | None = None
    notifier: Notifier | None = None


async def _done(work: Callable[[], Awaitable[None]]) -> None:
    try:
        await work()
    except StoreError:
        log.debug("the store is out of reach: messages wait")
    except Exception as error:
        log.error("messages could not be looked after, and are in a few seconds: %s", type(error).__name__)
