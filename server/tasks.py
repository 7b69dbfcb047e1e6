"""Tasks that run beside everything else, until what they serve is taken down."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from typing import Any


def run_until_closed(stack: AsyncExitStack, work: Coroutine[object, object, None]) -> None:
    """Begin this work; it is cancelled, and waited for, when the stack is taken down."""
    stack.push_async_callback(end, asyncio.create_task(work))


async def end(task: asyncio.Task[Any] | None) -> None:
    """Cancel it, if there is one, and wait until it has ended."""
    if task is not None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
