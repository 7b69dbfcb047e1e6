"""Strict JSON for bodies that come from strangers.

A parser that is kinder than the upstream's is a hole: of `{"model": "cheap", "model": "dear"}` one side would bill the
first and the other serve the second. orjson already refuses `NaN`, overlong numbers, lone surrogates, a byte order mark
and everything that is not UTF-8. What it lets through is found here: nesting and element counts that would keep the
event loop busy, and duplicate keys.

The trick is the *skeleton*: the body without its string literals, made by three primitives that run in C and never
backtrack. In it every `:` belongs to one member, so more colons than members in the parsed tree mean a duplicate key,
at any depth and however it was spelt (`"mod\\u0065l"`).
"""

from __future__ import annotations

import codecs
from array import array
from itertools import accumulate
from typing import Any

import orjson

from server.wire.errors import ByteOrderMark, InvalidJson, TooComplex

MAX_DEPTH = 64
MAX_CONTAINERS = 50_000  # objects and arrays: about 50 ms to parse and read
MAX_STRINGS = 200_000  # keys included
MAX_COMMAS = 600_000  # an embeddings request may carry 300,000 token numbers

_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CONTAINERS = frozenset((dict, list))
_BRACKETS = b"{}[]"
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in _BRACKETS)
_UP_OR_DOWN = bytes.maketrans(b"{[}]", b"\x01\x01\xff\xff")  # as signed bytes: +1 +1 -1 -1


def loads(body: bytes) -> dict[str, Any]:
    """Parse a JSON object.

    Raises `TooComplex` when it is too deep or has too many elements, `InvalidJson` for everything else that is wrong,
    and of these `ByteOrderMark` for what an editor has put in front of it.
    """
    if body.startswith(_MARKS):
        raise ByteOrderMark
    skeleton = _skeleton(body)
    _refuse_monsters(skeleton)
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise InvalidJson from None
    if type(document) is not dict or _members(document) != skeleton.count(b":"):
        raise InvalidJson
    return document


def _skeleton(body: bytes) -> bytes:
    """Return the body without string literals. Of a body that is not JSON it may be anything: orjson refuses that."""
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    if body.count(b'"') > 2 * MAX_STRINGS:
        raise TooComplex
    return b"".join(body.split(b'"')[::2])


def _refuse_monsters(skeleton: bytes) -> None:
    containers = skeleton.count(b"{") + skeleton.count(b"[")
    if containers > MAX_CONTAINERS or skeleton.count(b",") > MAX_COMMAS:
        raise TooComplex
    if containers > MAX_DEPTH and _depth(skeleton) > MAX_DEPTH:
        raise TooComplex


def _depth(skeleton: bytes) -> int:
    steps = array("b", skeleton.translate(_UP_OR_DOWN, _NO_BRACKETS))
    return max(accumulate(steps), default=0)


def _members(document: dict[str, Any]) -> int:
    """Count the members of all objects in the tree."""
    count = 0
    pending: list[Any] = [document]
    for node in pending:  # it grows while we walk
        if type(node) is dict:
            count += len(node)
            node = node.values()
        if not _CONTAINERS.isdisjoint(map(type, node)):
            pending += [child for child in node if type(child) in _CONTAINERS]
    return count
