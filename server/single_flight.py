"""Something that is fetched from elsewhere when it is first needed, and kept.

One fetch runs at a time, however many wait for it; between two attempts there is a pause, however many ask. What was
fetched serves on while a new attempt fails. Past its freshness it is fetched anew behind the answer, not before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class Away(Exception):
    """It cannot be had at the moment; the text says why, for the log."""


class RefreshedValue(Generic[T]):
    """`fetch` raises Away; `clock`, `pause` and `fresh` are monotonic seconds."""

    def __init__(
        self, fetch: Callable[[], Awaitable[T]], clock: Callable[[], float], *, pause: float, fresh: float
    ) -> None:
        self._fetch, self._clock, self._pause, self._fresh = fetch, clock, pause, fresh
        self._value: T | None = None
        self._fetched_at = self._tried_at = float("-inf")
        self._task: asyncio.Task[None] | None = None
        self._why = "it was not asked yet"

    async def get(self) -> T:
        """What is known; fetched now if nothing is."""
        if self._value is None:
            return await self.renewed()
        if self._clock() - self._fetched_at >= self._fresh:
            self._begin()
        return self._value

    async def renewed(self) -> T:
        """What is known after another attempt, if the pause is over."""
        task = self._begin()
        if task is not None:
            await asyncio.shield(task)  # others wait for it, too
        if self._value is None:
            raise Away(self._why)
        return self._value

    async def close(self) -> None:
        """Give up a fetch that runs."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def _begin(self) -> asyncio.Task[None] | None:
        """The fetch that runs, a new one if it is time for one, else None."""
        if self._task is None and self._clock() - self._tried_at >= self._pause:
            self._tried_at = self._clock()
            self._task = asyncio.create_task(self._try())
        return self._task

    async def _try(self) -> None:
        try:
            self._value, self._fetched_at = await self._fetch(), self._clock()
        except Away as error:
            self._why = str(error)
        finally:
            self._task = None
