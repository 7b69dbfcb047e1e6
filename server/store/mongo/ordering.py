"""The calls for one request go one after the other, and each to its end though its caller has left.

Otherwise a reservation that was given up, and goes on in the database, might hold something behind the back of the
release or the settlement that follows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class PerRequest:
    """The order of the work for each request: one piece after the other."""

    def __init__(self) -> None:
        self._latest: dict[str, asyncio.Task[Any]] = {}

    def do(self, request_id: str, work: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
        """Do this when all before it is done. The answer is the work's."""
        task = asyncio.create_task(_after(self._latest.get(request_id), work))
        self._latest[request_id] = task
        task.add_done_callback(lambda done: self._ended(request_id, done))
        return asyncio.shield(task)

    def busy(self, request_id: str) -> bool:
        return request_id in self._latest

    async def finished(self) -> None:
        """Wait until nothing is under way."""
        while self._latest:
            await asyncio.wait(self._latest.values())

    def _ended(self, request_id: str, task: asyncio.Task[Any]) -> None:
        if self._latest[request_id] is task:
            del self._latest[request_id]
        if not task.cancelled():
            task.exception()  # looked at, for callers who have left: or else asyncio would log it as never retrieved


async def _after(before: asyncio.Task[Any] | None, work: Coroutine[Any, Any, T]) -> T:
    if before is not None:
        await asyncio.wait([before])
    return await work
