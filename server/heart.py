"""Signs of life in a stream whose request still waits.

For the first seconds nothing is sent, so that a quick failure keeps its true status. Then the stream is opened and a
comment goes out now and then: proxies do not close it, and its client may read where it stands. From then on an error
can only be told inside the stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from keypool.queues import Forecast
from server.story import ClientLeft, Sink
from server.wire.dialect import Dialect

EVENT_STREAM = "text/event-stream"
# Proxies must not hold events back to fill a buffer.
STREAM_HEADERS = {"Content-Type": EVENT_STREAM, "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


@dataclass(frozen=True, slots=True)
class Pulse:
    """Seconds: until the first beat in the queue, until the first beat while an upstream is silent, between beats."""

    queued: float = 5.0
    silent: float = 15.0
    every: float = 10.0


class Heart:
    """Beats from `start` to `stop`. `outlook` says where the request stands; None once it has a key.

    `headers` go with the head of the stream, if a beat has to open it.
    """

    def __init__(
        self,
        sink: Sink,
        dialect: Dialect,
        pulse: Pulse,
        outlook: Callable[[], Forecast | None],
        headers: Mapping[str, str],
    ) -> None:
        self._sink, self._dialect, self._pulse, self._outlook = sink, dialect, pulse, outlook
        self._headers = {**STREAM_HEADERS, **headers}
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._owner = asyncio.current_task()

    def start(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._pulse.queued, self._begin)

    def granted(self) -> None:
        """The request has a key: what it waits for now is usually quick."""
        if self._task is None and self._timer is not None:
            self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_later(self._pulse.silent, self._begin)

    async def stop(self) -> None:
        """Be silent, and leave nothing half written."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    def _begin(self) -> None:
        self._task = asyncio.create_task(self._beat())

    async def _beat(self) -> None:
        self._sink.start(200, self._headers)
        try:
            while True:
                forecast = self._outlook()
                position, wait = (forecast.position, forecast.seconds) if forecast else (None, None)
                await self._sink.send(self._dialect.heartbeat(position, wait))
                await asyncio.sleep(self._pulse.every)
        except ClientLeft:
            if self._owner is not None:
                self._owner.cancel()
