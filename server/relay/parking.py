"""Waiting for a key without keeping a large body in memory.

A large body that waits lies in a file (`server/spool.py`) and is read back when its request has a key. Small ones, and
those that need not wait, never leave the memory.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from server.relay.context import RequestContext
from server.spool import Spool, Spooled, SpoolLost
from server.wire.errors import InternalError

log = logging.getLogger("fairgate")


def leased(context: RequestContext, spool: Spool) -> AbstractAsyncContextManager[object]:
    """Hold a key. A large body waits for it in a file. Entering it raises GatewayBusy, InternalError."""
    return _parked(context, spool) if len(context.call.request.body) >= spool.least else context.lease


@asynccontextmanager
async def _parked(context: RequestContext, spool: Spool) -> AsyncIterator[None]:
    parking = asyncio.create_task(_park(context, spool))
    try:
        async with context.lease:
            if (spooled := await parking) is not None:
                context.take_up(await spooled.read())
                spooled.close()
            yield
    except SpoolLost:
        log.error("request %s: its body cannot be read back", context.call.id)
        raise InternalError from None
    finally:
        await _end(parking)


async def _park(context: RequestContext, spool: Spool) -> Spooled | None:
    """Put the body of a request that waits into a file; None if it need not wait, or the disk has no room."""
    await context.lease.placed()
    if not context.lease.ticket.waiting:
        return None
    spooled = await spool.put(context.call.request.body)
    if spooled is not None and context.lease.ticket.waiting:
        context.set_down()
        return spooled
    if spooled is not None:
        spooled.close()
    return None


async def _end(parking: asyncio.Task[Spooled | None]) -> None:
    """The body is needed no longer, in whatever state it is on its way to a file."""
    parking.cancel()
    await asyncio.wait({parking})
    if not parking.cancelled() and (spooled := parking.result()) is not None:
        spooled.close()
