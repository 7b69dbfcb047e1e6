"""Keeps a copy in step with the store: it is read at the start, and anew when the store's version of it has changed.

While the store is away the copy stays as it is, and the log says so once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from server.store.records import StoreError
from server.tasks import end

log = logging.getLogger("fairgate")


class Following:
    """`version` and `read` ask the store and raise StoreError; `what` names the copy in the log, as a plural."""

    def __init__(self, what: str, version: Callable[[], Awaitable[int]], read: Callable[[], Awaitable[None]]) -> None:
        self._what, self._ask_version, self._read = what, version, read
        self._version: int | None = None
        self._away = False
        self._task: asyncio.Task[None] | None = None
        self._reading = asyncio.Lock()  # or else the call that has begun earlier might have the last word

    @property
    def known(self) -> bool:
        """Whether it has been read."""
        return self._version is not None

    async def start(self, poll_seconds: float) -> None:
        """Read it now, and look for changes so often from then on."""
        await self.sync()
        self._task = asyncio.create_task(self._follow(poll_seconds))

    async def close(self) -> None:
        """Follow no more. The copy stays."""
        await end(self._task)

    async def sync(self) -> None:
        """Read what has changed since the last time. An outage changes nothing and is logged once."""
        async with self._reading:
            try:
                version = await self._ask_version()
                if version != self._version:
                    await self._read()
                    self._version = version
                self._away = False
            except StoreError as error:
                if not self._away:
                    log.warning("the store cannot say whether %s have changed, so they stay: %s", self._what, error)
                self._away = True

    async def _follow(self, poll_seconds: float) -> None:
        while True:
            await asyncio.sleep(poll_seconds)
            await self.sync()
