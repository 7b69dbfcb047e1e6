"""The first steps that need the store, and wait for it if it is away.

A gateway whose store is away starts all the same: it says so on /readyz, refuses requests, and becomes ready by itself
when the store is back. Only an embedded store that cannot be opened ends the start: that is a mistake in a setting,
and the operator has to see it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from server.store.base import Store, StoreError
from server.tasks import end

log = logging.getLogger("fairgate")

PAUSE = 0.5  # seconds between two attempts

Step = Callable[[], Awaitable[object]]


class StoreStartup:
    """Opens a store and takes the first steps with it, in order, as soon as that is possible."""

    def __init__(self, store: Store, patient: bool) -> None:
        self._store, self._patient = store, patient
        self._task: asyncio.Task[None] | None = None
        self.done = False

    async def begin(self, steps: Sequence[Step]) -> None:
        """Try once; if the store is away, and it is not an embedded one, go on trying behind the scenes."""
        try:
            await self._open(steps)
        except StoreError as error:
            if not self._patient:
                raise
            log.warning("the store is out of reach, and is waited for: %s", error)
            self._task = asyncio.create_task(self._keep_trying(steps))

    async def close(self) -> None:
        """Try no more, and close the store."""
        await end(self._task)
        await self._store.close()

    async def _keep_trying(self, steps: Sequence[Step]) -> None:
        logged = ""
        while not self.done:
            await asyncio.sleep(PAUSE)
            try:
                await self._open(steps)
            except StoreError:
                continue  # that was logged already
            except Exception as error:  # the operator has to know, and once is enough
                if str(error) != logged:
                    log.error("the store is there, but a first step fails and is tried again: %s", error)
                logged = str(error)
        log.info("the store is there")

    async def _open(self, steps: Sequence[Step]) -> None:
        try:
            await self._store.open()
            for step in steps:
                await step()
        except Exception:
            await self._store.close()
            raise
        self.done = True
