"""One answer for all who ask at about the same time: what is shown to everyone is made once in a while, not for each.

Of those who ask while it is made, all wait for the same making. If it fails, they all hear so, and the next one tries
again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

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
