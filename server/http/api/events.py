"""`GET /events`: the moving numbers of the status page, as server-sent events."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from tornado.iostream import StreamClosedError

from server.http.pages.public import PageHandler
from server.http.refusals import hang_up
from server.http.services import StatusServices
from server.relay.keepalive import STREAM_HEADERS
from server.wire.errors import QueueFull

RETRY_MS = 5000  # until a browser that has lost us asks again


class Events(PageHandler[StatusServices]):
    """One event every two seconds. A browser that finds it full asks for the page itself now and then."""

    _task: asyncio.Task[None] | None = None

    async def get(self) -> None:
        live = self.services.status_service.live
        if live.full:
            raise QueueFull(retry_after=60.0)
        for name, value in STREAM_HEADERS.items():
            self.set_header(name, value)
        self._task = asyncio.current_task()
        try:
            await self._send(f"retry: {RETRY_MS}\n\n".encode())
            async with aclosing(live.listen(self.language)) as events:
                async for event in events:
                    await self._send(b"data: " + event + b"\n\n")
        except (StreamClosedError, TimeoutError, asyncio.CancelledError):
            hang_up(self)  # the client has gone
        else:
            self.finish()

    def on_connection_close(self) -> None:
        """The browser has gone: stop waiting for the next event."""
        super().on_connection_close()
        if self._task is not None:
            self._task.cancel()

    async def _send(self, piece: bytes) -> None:
        self.write(piece)
        async with asyncio.timeout(self.services.settings.write_seconds):
            await self.flush()
