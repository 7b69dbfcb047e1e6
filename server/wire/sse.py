"""Server-sent events, cut out of a byte stream without changing a byte.

An event is a block of lines that ends with an empty line; a line ends with LF, CR or CRLF. The gateway relays each
event's `raw` bytes and reads `name` and `data`. Two promises hold for every way in which the stream may be chopped:
the raw bytes of all events plus `rest()` are exactly what was fed, and names and data are the same.

An event may be many megabytes long (a picture, drawn while one waits). One that grows beyond `LONG` is not collected:
its bytes come out as they come in, as events without data, and the last of them has its name and its data, abridged
(`abridge.py`). Whatever comes whole is treated the same, so that nothing depends on how a stream was chopped.

A CR that ends a block ends it at once, since it is not known whether an LF will follow. If one does, in the next chunk,
it becomes the first byte of the next raw block. There it means nothing, as no newline in front of a block does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from server.wire.abridge import Abridger

LONG = 256 << 10  # bytes of an event that is no longer collected

_NEWLINE = rb"(?>\r\n|\n|\r)"
_BLOCK = re.compile(rb"[\r\n]*+[^\r\n]++(?>" + _NEWLINE + rb"[^\r\n]++)*+" + _NEWLINE * 2)
_MAYBE_END = re.compile(rb"[\r\n]{2}")
_LINE_END = re.compile(_NEWLINE)
_LONGEST_FIELD, _LONGEST_NAME = 16, 256
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(slots=True)
class StreamEvent:
    """One block. `data` is None where the block has no data line: comments, or a name alone.

    `long`: a piece of a long event; only its last one may have a name and data.
    """

    raw: bytes
    name: str
    data: bytes | None
    long: bool = False


class Splitter:
    """Cuts chunks into events. What is longer than `long` bytes comes in pieces."""

    def __init__(self, long: int = LONG) -> None:
        self._long = long
        self._held = bytearray()
        self._inside: _LongEvent | None = None  # whose beginning has been given out
        self._at_start = True

    @property
    def between(self) -> bool:
        """No event has been given out in part."""
        return self._inside is None

    @property
    def empty(self) -> bool:
        """The stream has begun, and what comes next begins an event."""
        return not self._held and self._inside is None and not self._at_start

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """Return the events that this chunk completes, and the pieces of long ones."""
        if self._inside is not None:
            return self._go_on(self._inside, chunk)
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
        return self._give_out() if len(held) > self._long else []

    def rest(self) -> bytes:
        """Return what was fed and belongs to no event yet. At the stream's end it means nothing to a client."""
        return bytes(self._held)

    def unended(self) -> StreamEvent:
        """Return what has begun as the event that it is if the empty line behind it is all that is missing."""
        if self._inside is not None:
            return StreamEvent(b"", self._inside.name, self._inside.data, long=True)
        held = bytes(self._held)
        return _event(held, held.removeprefix(_BYTE_ORDER_MARK) if self._at_start else held)

    def _split(self, data: bytes) -> list[StreamEvent]:
        if self._at_start or b"\r" in data or b"\n\n\n" in data or data.startswith(b"\n"):
            return self._split_anything(data)
        *blocks, rest = data.split(b"\n\n")
        if len(data) <= self._long:
            events = [_quick_event(block) for block in blocks]
        else:
            events = [_quick_event(block) if len(block) <= self._long else _long_event(block) for block in blocks]
        if rest:
            events += self._hold(rest)
        return events

    def _split_anything(self, data: bytes) -> list[StreamEvent]:
        events = []
        end = 0
        while match := _BLOCK.match(data, end):
            raw = data[end : match.end()]
            end = match.end()
            block = self._without_mark(raw)
            events.append(_event(raw, block) if not self._is_long(raw) else _long_event(block, raw))
        return events + self._hold(data[end:])

    def _without_mark(self, raw: bytes) -> bytes:
        at_start, self._at_start = self._at_start, False
        return raw.removeprefix(_BYTE_ORDER_MARK) if at_start else raw

    def _hold(self, rest: bytes) -> list[StreamEvent]:
        self._held += rest
        return self._give_out() if len(self._held) > self._long else []

    def _is_long(self, raw: bytes | bytearray) -> bool:
        """Newlines around it do not count: to which event they belong depends on how the stream was chopped."""
        return len(raw) > self._long and len(raw.strip(b"\r\n")) > self._long

    def _give_out(self) -> list[StreamEvent]:
        """Give out a held event that has become too long."""
        held = bytes(self._held)
        if self._is_long(held):
            self._held.clear()
            self._inside = _LongEvent()
            self._inside.feed(self._without_mark(held).lstrip(b"\r\n"))
            return [StreamEvent(held, "", None, long=True)]
        newlines = len(held) - len(held.lstrip(b"\r\n"))
        if not newlines:
            return []
        del self._held[:newlines]
        self._at_start = False
        return [StreamEvent(held[:newlines], "", None, long=True)]

    def _go_on(self, inside: _LongEvent, chunk: bytes) -> list[StreamEvent]:
        end = inside.feed(chunk)
        if end is None:
            return [StreamEvent(chunk, "", None, long=True)]
        self._inside = None
        last = StreamEvent(chunk[:end], inside.name, inside.data, long=True)
        return [last, *self._split(chunk[end:])] if end < len(chunk) else [last]


class _LongEvent:
    """Reads the lines of one block as they come, and keeps what a meter looks at."""

    def __init__(self) -> None:
        self._abridger: Abridger | None = None  # of the data, if there are some
        self._name = b""
        self._line = bytearray()  # how the line begins, until its field is known
        self._field: bytes | None = None  # of the line that has begun
        self._value = False  # something of its value has come; a space in front of it is not a part of it
        self._empty = True  # nothing of the line has come
        self._after_return = False  # the last byte was a CR that ended a line: an LF would belong to it

    @property
    def name(self) -> str:
        return self._name.decode("utf-8", "replace")

    @property
    def data(self) -> bytes | None:
        return None if self._abridger is None else self._abridger.document()

    def feed(self, chunk: bytes) -> int | None:
        """Read on; return where the block ends in this chunk, None if it does not."""
        at = 1 if self._after_return and chunk.startswith(b"\n") else 0
        self._after_return = self._after_return and not chunk
        while match := _LINE_END.search(chunk, at):
            if match.start() > at:
                self._text(chunk[at : match.start()])
            at = match.end()
            if self._empty:
                return at
            self._line_ends()
            self._after_return = at == len(chunk) and chunk.endswith(b"\r")
        if at < len(chunk):
            self._text(chunk[at:])
        return None

    def _text(self, text: bytes) -> None:
        self._empty = False
        if self._field is None:
            self._line += text
            field, colon, text = bytes(self._line).partition(b":")
            if not colon and len(field) <= _LONGEST_FIELD:
                return
            self._begin(field)
            if not text:
                return
        if not self._value:
            self._value = True
            text = text.removeprefix(b" ")
        if self._abridger is not None and self._field == b"data":
            self._abridger.feed(text)
        elif self._field == b"event" and len(self._name) < _LONGEST_NAME:
            self._name += text

    def _begin(self, field: bytes) -> None:
        """A line's field is known."""
        self._field, self._value = field, False
        self._line.clear()
        if field == b"event":
            self._name = b""
        elif field == b"data":
            if self._abridger is None:
                self._abridger = Abridger()
            else:
                self._abridger.feed(b"\n")

    def _line_ends(self) -> None:
        if self._field is None:
            self._begin(bytes(self._line))
        self._field, self._empty = None, True
        self._line.clear()


def _long_event(block: bytes, raw: bytes | None = None) -> StreamEvent:
    """A long event that has come whole; of `block` alone the empty line at its end is missing."""
    reader = _LongEvent()
    reader.feed((block + b"\n\n" if raw is None else block).lstrip(b"\r\n"))
    return StreamEvent(block + b"\n\n" if raw is None else raw, reader.name, reader.data, long=True)


def _quick_event(block: bytes) -> StreamEvent:
    """Most blocks are a single line of data."""
    raw = block + b"\n\n"
    if block.startswith(b"data: ") and b"\n" not in block:
        return StreamEvent(raw, "", block[6:])
    return _event(raw, block)


def _event(raw: bytes, block: bytes) -> StreamEvent:
    name = ""
    data = []
    for line in block.splitlines():
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ").decode("utf-8", "replace")
    return StreamEvent(raw, name, b"\n".join(data) if data else None)
