"""Events of a stream that differ in their text alone: most of an answer is made of these.

One of them is parsed. What stands before its text and what stands behind it, to the end of the event, is a pattern; an
event that has the same bytes around another text would parse to the same document with another text. So the events of
one read are taken apart by one search, and their texts are exactly those that a parser finds.

Everything that a parser might see otherwise fits no pattern, and is parsed: a quote or a line break that is not
escaped, a surrogate, a text that is no UTF-8 by itself. What the text means to a meter, the meter says
(`meter.DeliveryMeter`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

import orjson

LONGEST = 256 << 10  # bytes that are read at once; an event within is never a long one (`sse.LONG`)

# The names of texts in the shapes of all dialects. A quote that is not escaped, with such a name behind it and a colon
# behind that, begins a member of an object: within a string the quote would be escaped, or the colon missing.
_TEXT = re.compile(
    rb'(?<!\\)"(?:content|reasoning_content|reasoning|refusal|text|thinking|partial_json)"[ \t\n]*:[ \t\n]*'
    rb'"((?:[^"\\\x00-\x1f]|\\.)*+)"'
)
_PADDING = re.compile(
    rb'(?<!\\)"obfuscation"[ \t\n]*:[ \t\n]*"((?:[^"\\\x00-\x1f]|\\.)*+)"'
)  # OpenAI's, of another length each
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*+')
_STRING = re.compile(rb'[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u(?![dD][89a-fA-F])[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+')


class Texts(NamedTuple):
    """The texts of some events: where the last event ends, how many texts are not empty, and all of them together."""

    end: int
    pieces: int
    text: str


@dataclass(frozen=True, slots=True)
class Alike:
    """What stands in each event: in front of the text, behind it, and between the padding and the event's end."""

    before: bytes
    after: bytes  # to the event's end, or to its padding
    end: bytes  # behind the padding; empty where there is none

    def read(self, data: bytes) -> Texts | None:
        """The events with which `data` begins, as far as they are all alike; None if it cannot be said."""
        before, last = self.before, self.end or self.after
        if len(data) > LONGEST or not data.startswith(before):
            return None
        end = data.rfind(last)
        if end < len(before):
            return None
        parts = data[len(before) : end].split(last + before)
        if self.end:
            halves = [part.partition(self.after) for part in parts]
            parts = [text for text, _, _ in halves]
            if not all(middle for _, middle, _ in halves) or _text([pad for _, _, pad in halves]) is None:
                return None
        text = _text(parts)
        return None if text is None else Texts(end + len(last), len(parts) - parts.count(b""), text)


def alike(raw: bytes, text: str) -> Alike | None:
    """The pattern of an event that delivers this text and nothing else; None if its text is not found for certain."""
    if raw.find(b"\n\n") != len(raw) - 2 or b"\r" in raw or raw.startswith(b"\n"):
        return None
    texts, pads = list(_TEXT.finditer(raw)), list(_PADDING.finditer(raw))
    if len(texts) != 1 or len(pads) > 1 or _text([texts[0][1]]) != text:
        return None
    start, behind = texts[0].span(1)
    if not pads:
        return Alike(raw[:start], raw[behind:], b"")
    pad, end = pads[0].span(1)
    return Alike(raw[:start], raw[behind:pad], raw[end:]) if pad > behind else None


def _text(parts: list[bytes]) -> str | None:
    """The text that these are together; None if one of them is not the inside of a JSON string by itself."""
    together = b"".join(parts)
    plain = _PLAIN.fullmatch(together) is not None
    if not plain and not all(map(_STRING.fullmatch, parts)):
        return None
    if not together.isascii() and not _are_text(parts):
        return None
    text: str = together.decode() if plain else orjson.loads(b'"%b"' % together)
    return text


def _are_text(parts: list[bytes]) -> bool:
    """Whether each is UTF-8 by itself."""
    try:
        for part in parts:
            part.decode()
    except UnicodeDecodeError:
        return False
    return True
