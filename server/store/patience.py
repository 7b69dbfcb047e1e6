"""How long a caller waits for the store, counted so that a busy event loop is not taken for a slow store.

A loop that is busy for longer than the patience finds both in the same turn: the answer, which has arrived meanwhile,
and the alarm. The answer's reader runs a turn or two later, so an alarm that struck at once would throw the answer
away; five such calls would open the breaker, and all callers would be refused although the store is well. The alarm
therefore lets those run first who are ready, and strikes after `GRACE` more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from server.store.records import StoreError

T = TypeVar("T")

GRACE = 0.02  # seconds: some turns of the loop


class TooSlow(StoreError):
    """The store has not answered in time."""

    def __init__(self) -> None:
        super().__init__("the store is too slow")


async def in_time(call: Callable[[], Awaitable[T]], seconds: float) -> T:
    """What the call returns, if it does so within about `seconds`; raises what it raises, and `TooSlow`."""
    loop = asyncio.get_running_loop()
    patience = asyncio.timeout(None)
    alarm = loop.call_later(seconds, lambda: patience.reschedule(loop.time() + GRACE))
    try:
        async with patience:
            return await call()
    except TimeoutError as error:
        raise TooSlow from error
    finally:
        alarm.cancel()
