"""One call for all who ask at about the same time, and a value that is fetched once and kept.

`SingleFlight` makes an answer that many callers want, such as a page, once in a while and not for each. Callers who
ask while it is made wait for the same call. If that fails, they all get its error, and the next one tries again.

`RefreshedValue` fetches something from elsewhere when it is first needed. One fetch runs at a time; between two
attempts there is a pause, however many ask. The value serves on while a new attempt fails. Past its freshness it is
fetched anew behind the answer, not before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from server.tasks import end

Name = TypeVar("Name", bound=Hashable)
T = TypeVar("T")

MOST = 64  # answers; the names come from callers, as far as they are addresses


class SingleFlight(Generic[Name, T]):
    """Answers by name, each good for so many seconds. `clock` is monotonic seconds."""

    def __init__(self, make: Callable[[Name], Awaitable[T]], seconds: float, clock: Callable[[], float]) -> None:
        self._make, self._seconds, self._clock = make, seconds, clock
        self._made: dict[Name, tuple[float, asyncio.Task[T]]] = {}

    async def get(self, name: Name) -> T:
        """The answer of this name."""
        found = self._made.get(name)
        if found is not None and (not found[1].done() or self._clock() < found[0] + self._seconds):
            return await asyncio.shield(found[1])
        if len(self._made) >= MOST:
            self._made = {each: made for each, made in self._made.items() if not made[1].done()}
        task = asyncio.create_task(self._made_now(name))
        self._made[name] = self._clock(), task
        return await asyncio.shield(task)  # others wait for it, too

    def forget(self) -> None:
        """Make everything anew for the next who ask: something has changed that must be seen at once."""
        self._made = {}

    async def _made_now(self, name: Name) -> T:
        try:
            return await self._make(name)
        except BaseException:
            self._made.pop(name, None)
            raise


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
        """The value that is known; fetched now if there is none."""
        if self._value is None:
            return await self.renewed()
        if self._clock() - self._fetched_at >= self._fresh:
            self._begin()
        return self._value

    async def renewed(self) -> T:
        """The value after another attempt; makes the attempt only if the pause is over."""
        task = self._begin()
        if task is not None:
            await asyncio.shield(task)  # others wait for it, too
        if self._value is None:
            raise Away(self._why)
        return self._value

    async def close(self) -> None:
        """Give up a fetch that runs."""
        await end(self._task)

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
