"""Signs of life in a stream, while its request waits and while its upstream thinks.

For the first seconds nothing is sent, so that a quick failure keeps its true status. Then the stream is opened and a
sign of life goes out now and then: proxies do not close it, and its client may read where it stands. From then on an
error can only be said inside the stream. It is the same in the middle of an answer: a model may think for minutes, and
whatever is between it and its user takes silence for death.

One timer for the whole request looks when something was sent last; no piece of an answer sets one. A sign goes out only
between two events, only while it is the upstream that is waited for, and never before the last one has gone out: so
a client that reads slowly gets none on top of what it has not read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from keypool.queues import Forecast
from server.relay.context import ClientLeft, Sink
from server.wire.keepalive import Sign

EVENT_STREAM = "text/event-stream"
LEAST_GROWTH = 1.0  # seconds: less is rounding
# Proxies must not hold events back to fill a buffer.
STREAM_HEADERS = {"Content-Type": EVENT_STREAM, "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


@dataclass(frozen=True, slots=True)
class KeepaliveTiming:
    """Seconds: until the first beat in the queue, while an upstream is silent, and between beats in the queue.

    `opening`: for so long, what only opens an answer is held back at most (`exchange.py`).
    """

    queued: float = 5.0
    silent: float = 15.0
    every: float = 10.0
    opening: float = 30.0


class Keepalive:
    """Beats from `start` to `stop`. `outlook` says where the request stands; None once it has a key.

    `sign` makes what is sent; None if this client gets none. `headers` go with the head of the stream, if a beat has to
    open it.
    """

    def __init__(
        self,
        sink: Sink,
        sign: Sign | None,
        timing: KeepaliveTiming,
        outlook: Callable[[], Awaitable[Forecast | None]],
        headers: Mapping[str, str],
    ) -> None:
        self._sink, self._sign, self._pulse, self._outlook = sink, sign, timing, outlook
        self._headers = {**STREAM_HEADERS, **headers}
        self._loop = asyncio.get_running_loop()
        self._over: float | None = None  # when the wait is over, by the last sign
        self._last, self._pause, self._next_pause = 0.0, timing.queued, timing.every
        self._open = True  # nothing is being sent, and the stream is between two events
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._owner = asyncio.current_task()

    def start(self) -> None:
        if self._sign is not None:
            self._last = self._loop.time()
            self._timer = self._loop.call_later(self._pause, self._look)

    def granted(self) -> None:
        """The request has a key: what it waits for now is usually quick."""
        self._next_pause = self._pulse.silent
        if not self._sink.started:
            self._last, self._pause = self._loop.time(), self._pulse.silent

    async def send(self, piece: bytes, *, between: bool) -> None:
        """Pass a piece of the stream on; `between`: it ends where an event does. Raises ClientLeft."""
        if self._task is not None:
            await asyncio.wait((self._task,))
        self._open = False
        await self._sink.send(piece)
        self._open, self._last, self._pause = between, self._loop.time(), self._pulse.silent

    def send_now(self, piece: bytes, *, between: bool) -> bool:
        """The same if nothing has to be waited for; False: it was not passed on, and is to be sent."""
        if self._task is not None or not self._sink.send_now(piece):
            return False
        self._open, self._last, self._pause = between, self._loop.time(), self._pulse.silent
        return True

    async def stop(self) -> None:
        """Be silent, and leave nothing half written."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    async def rest(self) -> None:
        """Return when no beat is on its way: the head of the answer is to be set, or was by a beat."""
        if self._task is not None:
            await asyncio.wait((self._task,))

    def _look(self) -> None:
        wait = self._last + self._pause - self._loop.time()
        if wait <= 0:
            wait = self._pause
            if self._open and self._task is None:
                self._task = asyncio.create_task(self._beat())
                wait = self._next_pause
        self._timer = self._loop.call_later(wait, self._look)

    async def _beat(self) -> None:
        assert self._sign is not None, "without it there is no timer"
        if not self._sink.started:
            self._sink.start(200, self._headers)
        forecast = await self._outlook()
        try:
            await self._sink.send(self._sign(None, None) if forecast is None else self._standing(forecast))
            self._last, self._pause = self._loop.time(), self._next_pause
        except ClientLeft:
            if self._owner is not None:
                self._owner.cancel()
        finally:
            self._task = None

    def _standing(self, forecast: Forecast) -> bytes:
        """Where the request stands; a wait that has grown since the last sign says so."""
        assert self._sign is not None
        over = self._loop.time() + forecast.seconds
        longer = 0.0 if self._over is None else over - self._over
        self._over = over
        shown = longer if longer >= LEAST_GROWTH else 0.0
        return self._sign(forecast.position, forecast.seconds, forecast.latest, shown)
