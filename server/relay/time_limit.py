"""How long a whole request may take: one timer looks at all of them now and then, and no request sets one of its own.

A request that has lasted for too long is cancelled, as `asyncio.timeout` does it, up to one look later.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

LOOKS = 8  # in the time that a request may take, but
LONGEST_PAUSE = 1.0  # seconds at most between two of them


class TimeLimit:
    """A context manager for each request, entered in its task: `with limit.of(task):`. It raises TimeoutError."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._pause = seconds, min(LONGEST_PAUSE, seconds / LOOKS)
        self._running: dict[Limited, float] = {}  # by when each must be over; that came first is over first
        self._timer: asyncio.TimerHandle | None = None

    def of(self, task: asyncio.Task[object]) -> Limited:
        """A request that begins in this task."""
        return Limited(self, task)

    def begin(self, request: Limited) -> None:
        loop = asyncio.get_running_loop()
        self._running[request] = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_later(self._pause, self._look)

    def end(self, request: Limited) -> None:
        self._running.pop(request, None)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now, self._timer = loop.time(), None
        while self._running:
            request, due = next(iter(self._running.items()))
            if due > now:
                self._timer = loop.call_later(self._pause, self._look)
                break
            del self._running[request]
            request.is_over()


class Limited:
    """One request."""

    __slots__ = ("_limit", "_overdue", "_task")

    def __init__(self, limit: TimeLimit, task: asyncio.Task[object]) -> None:
        self._limit, self._task, self._overdue = limit, task, False

    def is_over(self) -> None:
        """Its time is."""
        self._overdue = True
        self._task.cancel()

    def __enter__(self) -> None:
        self._limit.begin(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._limit.end(self)
        # Who was cancelled for another reason, too, stays cancelled.
        if self._overdue and self._task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise TimeoutError from error
