"""A long answer in pieces: as fast as it is read, and never an end that looks whole and is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from tornado.iostream import StreamClosedError

from server.http.base import BaseHandler
from server.store.base import StoreError


async def stream(handler: BaseHandler, pieces: AsyncGenerator[bytes, None]) -> None:
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


def hang_up(handler: BaseHandler) -> None:
    """Close the connection: nobody reads any more, or what was sent cannot be mended."""
    handler._finished = True
    connection = handler.request.connection
    written_to = connection.stream if connection else None  # type: ignore[attr-defined]  # HTTP/1.1, as all here is
    if written_to is not None:
        written_to.close()
