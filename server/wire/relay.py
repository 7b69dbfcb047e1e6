"""From the upstream's chunks to the client's: whole events, byte for byte, each observed on its way.

Only complete events are passed on, and the pieces of very long ones. So a line of our own (an error, a heartbeat)
always starts on a clean boundary, and a chunk that the client did not ask for can be left out. Nothing else is changed:
what is written, in all, is what came.
"""

from __future__ import annotations

import re

from server.wire.meter import Meter, json_object
from server.wire.sse import Splitter, StreamEvent

LONGEST_STREAM = 512 << 20  # bytes; a stream may be longer than a plain answer, since no more than an event is kept

_EVENTS = re.compile(rb"(?:\xef\xbb\xbf)?[\r\n]*(?::|(?:data|event|id|retry)[:\r\n])")
_DOCUMENT = re.compile(rb"(?:\xef\xbb\xbf)?\s*[\[{]")
TURNS = 3  # tries in one read to go on with many events at once, each behind one that is parsed; then all are parsed
TELLING = 16  # bytes at the beginning of an answer that tell which of the two it is


class StreamTooLong(Exception):
    """A stream goes on for longer than it may here."""


class Relay:
    """One stream on its way through. `hides_usage`: drop the usage chunk which we asked for and the client did not."""

    def __init__(
        self, meter: Meter, *, hides_usage: bool, longest: int = LONGEST_STREAM, splitter: Splitter | None = None
    ) -> None:
        self._meter = meter
        self._hides_usage = hides_usage
        self._splitter = splitter or Splitter()
        self._half_newline = False  # the hidden chunk ended in a CR whose LF may follow
        self._left = longest

    @property
    def between(self) -> bool:
        """Whether the bytes written so far end where an event ends."""
        return self._splitter.between

    def feed(self, chunk: bytes) -> bytes:
        """The bytes to write now, perhaps none. Raises StreamTooLong."""
        self._left -= len(chunk)
        if self._left < 0:
            raise StreamTooLong
        end = self._texts(chunk)
        return chunk if end == len(chunk) else self._mixed(chunk, end)

    def _mixed(self, chunk: bytes, end: int) -> bytes:
        """The same for a read of which only so many bytes go on with the text at its beginning."""
        written: list[bytes] = []
        for turn in range(TURNS):
            if turn:
                end = self._texts(chunk)
            if end == len(chunk):
                return b"".join([*written, chunk])
            more = chunk.find(b"\n\n", end) + 2
            if more < 2 or more == len(chunk):
                break
            written += [chunk[:end], self._parsed(chunk[end:more])]
            chunk = chunk[more:]
        else:
            end = 0
        return b"".join([*written, chunk[:end], self._parsed(chunk[end:])])

    def _texts(self, chunk: bytes) -> int:
        """Have the meter observe all at once what only goes on with the text; such events pass as they came."""
        return 0 if self._half_newline or not self._splitter.empty else self._meter.texts(chunk)

    def _parsed(self, chunk: bytes) -> bytes:
        """Each event by itself."""
        events = self._splitter.feed(chunk)
        hidden = [self._meter.event(event) for event in events]
        if self._hides_usage and (self._half_newline or True in hidden):
            return b"".join(map(self._shown, events, hidden))
        return b"".join([event.raw for event in events])

    def end(self) -> bytes:
        """The bytes behind the last event. They mean nothing to a client, and are passed on because they came.

        Some servers leave out the empty line behind their last word: if it is whole, the meter hears of it.
        """
        last, rest = self._splitter.unended(), self._whole_newlines(self._splitter.rest())
        whole = last.data == b"[DONE]" or (last.data is not None and json_object(last.data) is not None)
        hidden = whole and self._meter.event(last)
        return b"" if hidden and self._hides_usage else rest

    def _shown(self, event: StreamEvent, hidden: bool) -> bytes:
        """An event's bytes; of a hidden one only the newlines in front, since they may belong to the event before.

        A long one is never hidden: its beginning has gone out before its kind is known.
        """
        raw = self._whole_newlines(event.raw)
        if not hidden or event.long:
            return raw
        self._half_newline = raw.endswith(b"\r")
        return raw[: len(raw) - len(raw.lstrip(b"\r\n"))]

    def _whole_newlines(self, raw: bytes) -> bytes:
        """The bytes behind a hidden chunk, without the second half of that chunk's last newline."""
        if not self._half_newline:
            return raw
        self._half_newline = False
        return raw.removeprefix(b"\n")


def is_stream(beginning: bytes) -> bool | None:
    """Whether an answer that begins so is a stream of events, whatever it is called; None if it does not tell."""
    if _EVENTS.match(beginning):
        return True
    return False if _DOCUMENT.match(beginning) else None
