"""The pool process's socket: workers connect, and what the hub has for them goes out once a turn of the event loop."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable
from typing import cast

from keypool.health import KeyEvent
from keypool.keys import Key
from keypool.messages import Decision
from keypool.pool import Pool
from server.dispatcher import Dispatcher
from server.workers.codec import JSON
from server.workers.frames import FrameError, Frames, frame
from server.workers.hub import Hub, Member

log = logging.getLogger("fairgate")

PICTURE_SECONDS = 1.0
MOST_UNREAD = 32 << 20  # bytes that a worker has not read: then it is as good as dead
OPENING_SECONDS = 2.0  # for workers that live already to say what runs with them


class SharedDispatcher(Dispatcher):
    """Runs a pool for the members of a hub. Keys come, go and are judged here; leases are the workers'.

    `flush` is called when the members' outboxes may hold something.
    """

    def __init__(self, pool: Pool, clock: Callable[[], float], flush: Callable[[], None]) -> None:
        super().__init__(pool, clock)
        self._flush = flush
        self.hub = Hub(pool, self.carry_out, self.suspect)

    def carry_out(self, decisions: Iterable[Decision]) -> None:
        self.hub.decided(decisions, self.now())
        self._arm()
        self._flush()

    def learn(self, key_id: str, event: KeyEvent, model: str = "") -> None:
        super().learn(key_id, event, model)
        self.hub.publish(self.now())

    def offer(self, upstream: str, models: Iterable[str]) -> None:
        self._changed(self.pool.offer(upstream, frozenset(models), self.now()))

    def add(self, key: Key) -> None:
        self._changed(self.pool.add(key, self.now()))

    def remove(self, key_id: str) -> None:
        self._changed(self.pool.remove(key_id, self.now()))

    def _changed(self, decisions: Iterable[Decision]) -> None:
        """Keys have come or gone: the workers know them before any of them is granted one."""
        self.hub.publish_keys()
        self.carry_out(decisions)


class PoolServer:
    """Serves workers. `clock` is seconds, monotonic.

    `progress`: how many keys have been asked about, and how many are to be.
    """

    def __init__(self, pool: Pool, clock: Callable[[], float]) -> None:
        self.dispatcher = SharedDispatcher(pool, clock, self.flush_soon)
        self.hub, self._clock = self.dispatcher.hub, clock
        self.progress: Callable[[], tuple[int, int]] = lambda: (0, 0)
        self._connections: dict[Member, _Connection] = {}
        self._flushing = False

    async def serve(self, listening: socket.socket, workers: int) -> None:
        """Accept workers on a unix socket that listens already, until cancelled.

        `workers`: how many live already, and have to say first what runs with them.
        """
        loop = asyncio.get_running_loop()
        listening.setblocking(False)
        self.hub.expect(workers)
        server = await loop.create_unix_server(lambda: _Connection(self), sock=listening)
        if workers:
            loop.call_later(OPENING_SECONDS, self._open)
        try:
            while True:
                self.hub.publish(self._clock())
                self.hub.picture(self._clock(), self.progress())
                self.flush_soon()
                await asyncio.sleep(PICTURE_SECONDS)
        finally:
            server.close()
            for connection in list(self._connections.values()):
                connection.close()

    @property
    def members(self) -> int:
        """How many workers are connected."""
        return len(self._connections)

    def announce(self, what: str, *arguments: JSON) -> None:
        """Have all workers hear something."""
        self.hub.announce(what, *arguments)
        self.flush_soon()

    def flush_soon(self) -> None:
        """Send what the outboxes hold, once this turn of the event loop is over."""
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def connected(self, connection: _Connection) -> Member:
        member = self.hub.came()
        self._connections[member] = connection
        return member

    def heard(self, member: Member, data: bytes, frames: Frames) -> None:
        """Do what a member says. Raises FrameError."""
        now = self._clock()
        for message in frames.feed(data):
            self.hub.hear(member, message, now)
        self.flush_soon()

    def gone(self, member: Member) -> None:
        self._connections.pop(member, None)
        self.hub.left(member, self._clock())

    def _open(self) -> None:
        if self.hub.opening:
            log.warning("not all workers have come back: those that wait are served without them")
            self.hub.open(self._clock())

    def _flush(self) -> None:
        self._flushing = False
        for member, connection in list(self._connections.items()):
            if member.outbox:
                connection.send(frame(member.outbox))
                member.outbox.clear()


class _Connection(asyncio.Protocol):
    """The connection of one worker. An error in what it says ends it, and nothing else."""

    def __init__(self, server: PoolServer) -> None:
        self._server, self._frames = server, Frames()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._member = self._server.connected(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._server.heard(self._member, data, self._frames)
        except Exception as error:
            log.error("a worker said what cannot be understood: %s", error, exc_info=not isinstance(error, FrameError))
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.gone(self._member)

    def send(self, data: bytes) -> None:
        if self._transport.get_write_buffer_size() > MOST_UNREAD:
            log.error("a worker does not read what it is sent, and is taken for dead")
            self.close()
            return
        self._transport.write(data)

    def close(self) -> None:
        self._server.gone(self._member)
        self._transport.abort()
