"""A long answer in pieces: as fast as it is read, and never an end that looks whole and is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from tornado.iostream import StreamClosedError

from server.http.base import BaseHandler
from server.http.refusals import hang_up
from server.http.services import S
from server.store.base import StoreError


async def stream(handler: BaseHandler[S], pieces: AsyncGenerator[bytes, None]) -> None:
    """Write the pieces and finish. An outage before the first one is raised; a later one breaks off."""
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                handler.write(piece)
                async with asyncio.timeout(handler.services.settings.write_seconds):
                    await handler.flush()
        handler.finish()
    except StoreError:
        if not handler._headers_written:
            raise
        hang_up(handler)
    except (StreamClosedError, TimeoutError):
        hang_up(handler)
