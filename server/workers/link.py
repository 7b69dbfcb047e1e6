"""A worker's connection to the pool process: made again when it ends, and written to once a turn of the event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import cast

from server.tasks import end
from server.workers.frames import FrameError, Frames, Message, frame, packed

log = logging.getLogger("fairgate")

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # seconds between two attempts to connect


class Link:
    """`hear` gets each message; `greet` gives what is said first on a new connection; `lost` is called at its end.

    What is said while there is no connection goes nowhere: the next greeting says how everything stands.
    """

    def __init__(
        self,
        path: Path,
        hear: Callable[[Message], None],
        greet: Callable[[], Iterable[Message]],
        lost: Callable[[], None],
    ) -> None:
        self._path, self._hear, self._greet, self._lost = path, hear, greet, lost
        self._transport: asyncio.Transport | None = None
        self._ended = asyncio.Event()
        self._parts: list[bytes] = []
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Connect, and again whenever the connection has ended."""
        self._task = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Say what is still to be said, and connect no more."""
        task, self._task = self._task, None
        await end(task)
        self._flush()
        if self._transport is not None:
            self._transport.close()
            await self._ended.wait()

    def say(self, *message: object) -> None:
        """Send a message, with all others of this turn of the event loop."""
        if self._transport is None:
            return
        if not self._parts:
            asyncio.get_running_loop().call_soon(self._flush)
        self._parts.append(packed(list(message)))

    def heard(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self._hear(message)

    def made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._ended.clear()
        self._parts = [packed(message) for message in self._greet()]
        self._flush()

    def broke(self) -> None:
        self._transport = None
        self._parts.clear()
        self._ended.set()
        self._lost()

    def _flush(self) -> None:
        if self._parts and self._transport is not None:
            self._transport.write(frame(self._parts))
            self._parts.clear()

    async def _keep(self) -> None:
        loop, pause = asyncio.get_running_loop(), FIRST_PAUSE
        while True:
            try:
                await loop.create_unix_connection(lambda: _Wire(self), str(self._path))
            except OSError:
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            await self._ended.wait()
            await asyncio.sleep(FIRST_PAUSE)
            pause = FIRST_PAUSE


class _Wire(asyncio.Protocol):
    """One connection."""

    def __init__(self, link: Link) -> None:
        self._link, self._frames = link, Frames()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._link.made(self._transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._link.heard(self._frames.feed(data))
        except FrameError as error:
            log.error("the pool process said what cannot be understood: %s", error)
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.broke()
