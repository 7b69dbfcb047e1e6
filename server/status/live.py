"""The moving numbers for all who look: computed once every two seconds while anyone does.

A slow reader misses events and gets the next one: nothing is kept for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

from server.tasks import end

EVERY_SECONDS = 2.0
MOST = 500  # listeners


class Live:
    """Shares what `event` gives for a language. `every`: seconds between two events."""

    def __init__(
        self, event: Callable[[str], Awaitable[bytes]], every: float = EVERY_SECONDS, most: int = MOST
    ) -> None:
        self._event, self._every, self._most = event, every, most
        self._listeners: dict[object, str] = {}  # and their languages
        self._next: asyncio.Future[Mapping[str, bytes] | None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    @property
    def full(self) -> bool:
        """Whether no further listener is accepted: such a page polls instead."""
        return self._closed or len(self._listeners) >= self._most

    async def listen(self, language: str) -> AsyncGenerator[bytes, None]:
        """The events in a language from now on, until this is closed."""
        me = object()
        self._listeners[me] = language
        try:
            if self._task is None or self._task.done():
                self._next = asyncio.get_running_loop().create_future()
                self._task = asyncio.create_task(self._tell())
            while not self._closed and self._next is not None:
                events = await asyncio.shield(self._next)
                if events is None:
                    return
                if language in events:  # else the first of this language has come while they were made
                    yield events[language]
        finally:
            del self._listeners[me]

    async def close(self) -> None:
        """End the stream of each listener."""
        self._closed = True
        if self._task is not None:
            await end(self._task)
            self._announce(None)  # a task that has not begun yet ends without a word

    async def _tell(self) -> None:
        try:
            while self._listeners:
                languages = set(self._listeners.values())
                self._announce({language: await self._event(language) for language in languages})
                await asyncio.sleep(self._every)
        finally:
            self._announce(None)

    def _announce(self, events: Mapping[str, bytes] | None) -> None:
        now, self._next = self._next, asyncio.get_running_loop().create_future()
        if now is not None and not now.done():
            now.set_result(events)
