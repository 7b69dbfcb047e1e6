"""A long JSON document, abridged while it comes by: pictures are megabytes, and the figures beside them a few bytes.

What comes out is JSON again, with the same members at the same places, in which long strings are cut. Once much has
been kept they are cut shorter, and of arrays the rest is left out. So a meter reads it like any other document, and
finds what was used, wherever in the document it stands. Of an object no member is left out, since any of them may be
the one that matters; a document that is still too long, or nested too deeply, is given up.

It is cut in one pass over bytes that may be chopped anywhere, with a state for "in a string" and a stack of brackets;
runs of text and of numbers are jumped over by patterns, so the cost is that of a search.
"""

from __future__ import annotations

import re

LONGEST_STRING = 16 << 10  # bytes that are kept of a string
SHORT_STRING = 256  # and once `MUCH` has been kept
MUCH = 512 << 10
MOST = 1 << 20  # bytes of an abridged document
DEEPEST = 64
_QUOTE = 0x22

_PLAIN = re.compile(rb'[^"\[\]{},]*+')  # outside of strings: what opens, closes and separates nothing
_ESCAPED = re.compile(rb'[^"\\]*+(?>\\.[^"\\]*+)*+', re.DOTALL)  # inside of a string


def _balanced(depth: int) -> bytes:
    """The pattern of bytes to skip in one go: whole strings, bytes between them, and brackets nested so deeply."""
    whole = rb'[^"\[\]{}]++|"' + _ESCAPED.pattern + rb'"'
    inside = whole
    for _ in range(depth):
        inside = whole + rb"|[\[{](?>" + inside + rb")*+[\]}]"
    return rb"(?>" + inside + rb")*+"


_SKIPPED = re.compile(_balanced(4), re.DOTALL)
# Whole characters and whole escapes, pairs of surrogates too: a string may be cut behind any of them.
_UNITS = re.compile(rb"[^\\]*+(?>(?>\\u[dD][89abAB]..\\u....|\\u(?![dD][89a-fA-F])....|\\[^u])[^\\]*+)*+", re.DOTALL)


class Abridger:
    """One document. Feed it, then ask for the abridged `document`."""

    def __init__(self) -> None:
        self._out = bytearray()
        self._stack = bytearray()  # the brackets that are open
        self._string: bytearray | None = None  # what is kept of the string that is open
        self._cut = False  # no more of that string is kept
        self._escape = False  # the last byte was a backslash in a string
        self._skips: int | None = None  # how many brackets were open in the array whose rest is left out
        self._given_up = False

    def feed(self, data: bytes) -> None:
        at, end = 0, len(data)
        while at < end and not self._given_up:
            if self._string is not None:
                at = self._in_string(data, at)
            elif self._skips is not None:
                at = self._skip(data, at)
            else:
                at = self._outside(data, at)

    def document(self) -> bytes:
        """Return the abridged document; what is no JSON if it was none, or was given up."""
        return b"" if self._given_up else bytes(self._out)

    def _in_string(self, data: bytes, at: int) -> int:
        """Read a string on, to its end or to the end of what there is."""
        start = at
        if self._escape:
            at, self._escape = at + 1, False
        end = _string_end(data, at)
        if end == len(data):
            self._keep(data[start:])
        elif data[end] == _QUOTE:
            self._keep(data[start:end])
            self._close_string()
        else:  # a backslash, the last byte that there is
            self._keep(data[start:])
            self._escape = True
        return end + 1

    def _keep(self, text: bytes) -> None:
        assert self._string is not None, "only inside of one"
        if self._cut or self._skips is not None:
            return
        self._string += text
        most = LONGEST_STRING if len(self._out) < MUCH else SHORT_STRING
        if len(self._string) > most:
            self._cut = True
            whole = _UNITS.match(bytes(self._string[:most]))
            self._string = bytearray(whole[0].decode("utf-8", "ignore").encode()) if whole else bytearray()

    def _close_string(self) -> None:
        assert self._string is not None, "only inside of one"
        if self._skips is None:
            self._write(self._string + b'"')
        self._string, self._cut = None, False

    def _outside(self, data: bytes, at: int) -> int:
        end = _PLAIN.match(data, at).end()  # type: ignore[union-attr]  # it matches anywhere
        if end > at:
            self._write(data[at:end])
        if end == len(data):
            return end
        sign = data[end : end + 1]
        if sign == b'"':
            self._string = bytearray()
        elif sign == b"," and len(self._out) >= MUCH and self._stack.endswith(b"["):
            self._skips = len(self._stack)
            return end + 1
        elif sign in b"[{":
            self._stack += sign
            self._given_up |= len(self._stack) > DEEPEST
        elif sign in b"]}":
            del self._stack[-1:]
        self._write(sign)
        return end + 1

    def _skip(self, data: bytes, at: int) -> int:
        """Leave out the rest of an array: whatever is nested in it, and up to the bracket that closes it."""
        end = _SKIPPED.match(data, at).end()  # type: ignore[union-attr]  # it matches anywhere
        if end == len(data):
            return end
        sign = data[end : end + 1]
        if sign == b'"':  # a string that ends in a later chunk
            self._string = bytearray()
        elif sign in b"[{":
            self._stack += sign
            self._given_up |= len(self._stack) > DEEPEST
        else:
            if len(self._stack) == self._skips:
                self._skips = None
                return end  # it closes the array itself, and is kept
            del self._stack[-1:]
        return end + 1

    def _write(self, kept: bytes | bytearray) -> None:
        self._out += kept
        self._given_up |= len(self._out) > MOST


def _string_end(data: bytes, at: int) -> int:
    """Where a string that goes on at `at` ends: its quote, a backslash that is the last byte, or the data's end."""
    quote = data.find(b'"', at)
    end = len(data) if quote < 0 else quote
    escape = data.find(b"\\", at, end)  # pictures have none
    return end if escape < 0 else _ESCAPED.match(data, escape).end()  # type: ignore[union-attr]  # it matches anywhere
