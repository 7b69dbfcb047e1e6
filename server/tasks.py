"""Tasks that run beside everything else, until what they serve is taken down."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress


def run_until_closed(stack: AsyncExitStack, work: Coroutine[object, object, None]) -> None:
    """Begin this work; it is cancelled, and waited for, when the stack is taken down."""
    stack.push_async_callback(_end, asyncio.create_task(work))


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
