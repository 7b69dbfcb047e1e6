"""Server-sent events, cut out of a byte stream without changing a byte.

An event is a block of lines that ends with an empty line; a line ends with LF, CR or CRLF. The gateway relays each
event's `raw` bytes and reads `name` and `data`. Two promises hold for every way in which the stream may be chopped:
the raw bytes of all events plus `rest()` are exactly what was fed, and names and data are the same.

A CR that ends a block ends it at once, since nobody knows whether an LF will follow. If one does, in the next chunk,
it becomes the first byte of the next raw block. There it means nothing, as no newline in front of a block does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NEWLINE = rb"(?>\r\n|\n|\r)"
_BLOCK = re.compile(rb"[\r\n]*+[^\r\n]++(?>" + _NEWLINE + rb"[^\r\n]++)*+" + _NEWLINE * 2)
_MAYBE_END = re.compile(rb"[\r\n]{2}")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class EventTooLong(Exception):
    """An event had no end within the limit."""


@dataclass(slots=True)
class Event:
    """One block. `data` is None where the block has no data line: comments, or a name alone."""

    raw: bytes
    name: str
    data: bytes | None


class Splitter:
    """Cuts chunks into events. A partial event above `max_event` bytes raises `EventTooLong`."""

    def __init__(self, max_event: int = 1 << 20) -> None:
        self._max = max_event
        self._held = bytearray()
        self._at_start = True

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the events that this chunk completes."""
        held = self._held
        if not held:
            return self._split(chunk)
        # Only the new bytes are searched, else an event that trickles in would be read again with every chunk.
        start = max(0, len(held) - 3)
        held += chunk
        if _MAYBE_END.search(held, start):
            data = bytes(held)
            held.clear()
            return self._split(data)
        self._check_length()
        return []

    def rest(self) -> bytes:
        """Return what was fed and belongs to no event yet. At the stream's end it means nothing to a client."""
        return bytes(self._held)

    def _split(self, data: bytes) -> list[Event]:
        if self._at_start or b"\r" in data or b"\n\n\n" in data or data.startswith(b"\n"):
            return self._split_anything(data)
        *blocks, rest = data.split(b"\n\n")
        if rest:
            self._hold(rest)
        return [_quick_event(block) for block in blocks]

    def _split_anything(self, data: bytes) -> list[Event]:
        events = []
        end = 0
        while match := _BLOCK.match(data, end):
            raw = data[end : match.end()]
            end = match.end()
            events.append(_event(raw, self._without_mark(raw)))
        self._hold(data[end:])
        return events

    def _without_mark(self, raw: bytes) -> bytes:
        at_start, self._at_start = self._at_start, False
        return raw.removeprefix(_BYTE_ORDER_MARK) if at_start else raw

    def _hold(self, rest: bytes) -> None:
        self._held += rest
        self._check_length()

    def _check_length(self) -> None:
        if len(self._held) > self._max:
            raise EventTooLong


def _quick_event(block: bytes) -> Event:
    """Most blocks are a single line of data."""
    raw = block + b"\n\n"
    if block.startswith(b"data: ") and b"\n" not in block:
        return Event(raw, "", block[6:])
    return _event(raw, block)


def _event(raw: bytes, block: bytes) -> Event:
    name = ""
    data = []
    for line in block.splitlines():
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ").decode("utf-8", "replace")
    return Event(raw, name, b"\n".join(data) if data else None)
