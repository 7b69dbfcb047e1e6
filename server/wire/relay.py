"""From the upstream's chunks to the client's: whole events, byte for byte, each observed on its way.

Only complete events are passed on. So a line of our own (an error, a heartbeat) always starts on a clean boundary, and
a chunk that the client did not ask for can be left out. Nothing else is changed: what is written, in all, is what came.
"""

from __future__ import annotations

from server.wire.meter import Meter
from server.wire.sse import Event, EventTooLong, Splitter

__all__ = ["EventTooLong", "Relay"]


class Relay:
    """One stream on its way through. `hides_usage`: drop the usage chunk which we asked for and the client did not."""

    def __init__(self, meter: Meter, *, hides_usage: bool) -> None:
        self._meter = meter
        self._hides_usage = hides_usage
        self._splitter = Splitter()
        self._half_newline = False  # the hidden chunk ended in a CR whose LF may follow

    def feed(self, chunk: bytes) -> bytes:
        """The bytes to write now, perhaps none. Raises EventTooLong."""
        events = self._splitter.feed(chunk)
        hidden = [self._meter.event(event) for event in events]
        if self._hides_usage and (self._half_newline or True in hidden):
            return b"".join(map(self._shown, events, hidden))
        return b"".join([event.raw for event in events])

    def end(self) -> bytes:
        """The bytes behind the last event. They mean nothing to a client, and are passed on because they came."""
        return self._whole_newlines(self._splitter.rest())

    def _shown(self, event: Event, hidden: bool) -> bytes:
        """An event's bytes; of a hidden one only the newlines in front, since they may belong to the event before."""
        raw = self._whole_newlines(event.raw)
        if not hidden:
            return raw
        self._half_newline = raw.endswith(b"\r")
        return raw[: len(raw) - len(raw.lstrip(b"\r\n"))]

    def _whole_newlines(self, raw: bytes) -> bytes:
        """What follows a hidden chunk, without the second half of that chunk's last newline."""
        if not self._half_newline:
            return raw
        self._half_newline = False
        return raw.removeprefix(b"\n")
