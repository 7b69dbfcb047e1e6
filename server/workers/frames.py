"""Frames: messages as bytes on the socket between a worker and the pool process, and back.

A frame is four bytes of length, big-endian, and as many bytes of JSON: an array of messages. All that is said in one
turn of the event loop is one frame, so that it costs one `write` and one parse. A message is an array that begins with
the word that says what it is (`hub.py` and `remote.py` have the tables). Nothing is ever unpickled.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

import orjson

VERSION = 3  # of what is said; both sides must be of the same
MOST = 64 << 20  # bytes of one frame; a longer one is no frame of ours
LENGTH = struct.Struct(">I")

Message = list[Any]


class FrameError(Exception):
    """What came is no frame of ours: the connection cannot be used any more."""


def packed(message: Message) -> bytes:
    """A message as its part of a frame. Records become objects, enumerations their values, tuples and sets arrays."""
    return orjson.dumps(message, default=list, option=orjson.OPT_NON_STR_KEYS)


def frame(parts: Iterable[bytes]) -> bytes:
    """The frame of some packed messages."""
    body = b"[" + b",".join(parts) + b"]"
    return LENGTH.pack(len(body)) + body


class Frames:
    """Cuts what comes into messages, wherever it is cut itself."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are complete now, in their order. Raises FrameError."""
        self._rest += data
        messages: list[Message] = []
        start = 0
        while len(self._rest) - start >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._rest, start)
            if length > self._most:
                raise FrameError(f"a frame of {length} bytes")
            end = start + LENGTH.size + length
            if len(self._rest) < end:
                break
            messages += _messages(bytes(self._rest[start + LENGTH.size : end]))
            start = end
        del self._rest[:start]
        return messages


def _messages(body: bytes) -> list[Message]:
    try:
        found = orjson.loads(body)
    except ValueError:
        raise FrameError("a frame that is no JSON") from None
    if not isinstance(found, list) or not all(isinstance(each, list) and each for each in found):
        raise FrameError("a frame that holds no messages")
    return found
