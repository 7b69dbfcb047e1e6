"""What has to be done now and then, so that nothing grows for ever."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from server.store.base import Store, StoreError

log = logging.getLogger("fairgate")

DAY = 86_400.0  # seconds
KEPT_DAYS = 30  # for so long providers keep an answer that can be continued


async def keep_house(store: Store, wall: Callable[[], int]) -> None:
    """Forget what nobody can use any more, now and every day, until cancelled. `wall` is UTC milliseconds."""
    while True:
        try:
            forgotten = await store.forget_issued(wall() - round(KEPT_DAYS * DAY * 1000))
            log.debug("forgot %d kept answers", forgotten)
        except StoreError:
            log.warning("the store is out of reach: old ids of kept answers are forgotten tomorrow")
        await asyncio.sleep(DAY)
