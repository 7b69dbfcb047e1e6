"""From the upstream's chunks to the client's: whole events, byte for byte, each observed on its way.

Only complete events are passed on. So a line of our own (an error, a heartbeat) always starts on a clean boundary, and
a chunk that the client did not ask for can be left out. Nothing else is changed: what is written, in all, is what came.
"""

from __future__ import annotations

from server.wire.meter import Meter
from server.wire.sse import EventTooLong, Splitter

__all__ = ["EventTooLong", "Relay"]


class Relay:
    """One stream on its way through. `hides_usage`: drop the usage chunk which we asked for and the client did not."""

    def __init__(self, meter: Meter, *, hides_usage: bool) -> None:
        self._meter = meter
        self._hides_usage = hides_usage
        self._splitter = Splitter()

    def feed(self, chunk: bytes) -> bytes:
        """The bytes to write now, perhaps none. Raises EventTooLong."""
        meter = self._meter
        events = self._splitter.feed(chunk)
        if not self._hides_usage:
            for event in events:
                meter.event(event)
            return b"".join([event.raw for event in events])
        return b"".join([event.raw for event in events if not meter.event(event)])

    def end(self) -> bytes:
        """The bytes behind the last event. They mean nothing to a client, and are passed on because they came."""
        return self._splitter.rest()
