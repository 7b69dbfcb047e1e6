"""The bytes that go out to one client: in one system call a turn of the loop, and no faster than the client reads.

A written piece waits for the end of the turn, since more follows as a rule. A piece of a stream does not (`write_now`):
all that its upstream has sent until now is one piece.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tornado.iostream import StreamClosedError

if TYPE_CHECKING:
    from server.http.transport.server import TransportServer

AT_ONCE = 64 << 10  # bytes: so much is not kept until the turn's end


class Outgoing:
    """The writing half of a connection. The future that a write returns is done when there is room for more."""

    __slots__ = ("_pieces", "_room", "_server", "_size", "_transport", "closed", "paused")

    def __init__(self, server: TransportServer, transport: asyncio.Transport) -> None:
        self._server, self._transport = server, transport
        self._pieces: list[bytes] = []  # what this turn of the loop has written
        self._size = 0
        self._room: asyncio.Future[None] | None = None
        self.paused = self.closed = False

    def write(self, data: bytes) -> asyncio.Future[None]:
        """Send it with all else that this turn writes."""
        if self.closed:
            return self._server.gone()
        if data:  # Tornado's handlers end each answer with an empty piece
            if not self._pieces:
                self._server.loop.call_soon(self.flush)
            self._pieces.append(data)
            self._size += len(data)
            if self._size >= AT_ONCE:
                self.flush()
        return self._server.written if not self.paused else self._wait_for_room()

    def write_now(self, data: bytes) -> asyncio.Future[None]:
        """Send it at once, or with what waits."""
        if self._pieces or self.closed:
            return self.write(data)
        self._transport.write(data)
        return self._server.written if not self.paused else self._wait_for_room()

    def _wait_for_room(self) -> asyncio.Future[None]:
        if self._room is None or self._room.done():
            self._room = self._server.loop.create_future()
        return self._room

    def write_last(self, data: bytes) -> None:
        """Send it with what waits, at once: nothing comes behind it in this turn."""
        if data:
            self._pieces.append(data)
        self.flush()

    def flush(self) -> None:
        """Send what waits."""
        if self._pieces and not self.closed:
            self._transport.write(self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces))
        self._pieces.clear()
        self._size = 0

    def resume(self) -> None:
        """The client has read enough."""
        self.paused = False
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    def half_close(self) -> None:
        """Nothing more will be written; what was goes out before."""
        self.flush()
        self.closed = True
        if self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()

    def close(self) -> None:
        """Close the connection behind what was written. Twice is once."""
        self.flush()
        self.closed = True
        self._transport.close()

    def end(self) -> None:
        """The connection is gone: a writer that waits for room gets StreamClosedError."""
        self.closed = True
        self._pieces.clear()
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_exception(StreamClosedError())
            room.exception()  # the writer may have gone as well
