"""The one reader of bodies: it collects what a handler wants, within its bounds, and drops the rest.

A handler says by `largest_body` how much it reads; 0 is nothing, and then what comes is dropped. Whatever is collected
is held of the `BodyBudget`: a length that is announced before the first byte is read, chunks as they come.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from server.body_budget import Held
from server.wire.errors import TooLarge

_LENGTH = re.compile(r"[0-9]{1,18}")


def announced_length(headers: Mapping[str, str]) -> int | None:
    """The body's length by its header: 0 for no body, None where the header has none, or none that can be read."""
    if "Transfer-Encoding" in headers:
        return None
    length = headers.get("Content-Length", "0")
    return int(length) if _LENGTH.fullmatch(length) else None


class Body:
    """The body of one request. Sizes are bytes."""

    __slots__ = ("_held", "_most", "_pieces", "came")

    def __init__(self, held: Held | None, most: int) -> None:
        """`held`: None drops what comes, and `most` bounds how much of that is read at all."""
        self._held, self._most = held, most
        self._pieces: list[bytes] = []
        self.came = 0

    def expect(self, length: int) -> None:
        """Hold what is announced. Raises TooLarge, TooMuchAtOnce, BodiesFull."""
        if length > self._most:
            raise TooLarge
        if self._held is not None:
            self._held.grows_to(length)

    def add(self, chunk: bytes) -> None:
        """A piece has come. Raises TooLarge, TooMuchAtOnce, BodiesFull; then nothing is kept any more."""
        self.came += len(chunk)
        if self._held is None or self.came > self._held.size:  # else it is held already, as it was announced
            try:
                self.expect(self.came)
            except Exception:
                self._pieces.clear()
                raise
        if self._held is not None:
            self._pieces.append(chunk)

    def take(self) -> bytes:
        """All that has come; it is kept here no longer."""
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces = []
        return body

    def becomes(self, size: int) -> None:
        """It is as long as this, once it is unpacked. Raises TooMuchAtOnce, BodiesFull."""
        if self._held is not None:
            self._held.becomes(size)

    def end(self) -> None:
        """Keep nothing and hold nothing. Twice is once."""
        self._pieces.clear()
        if self._held is not None:
            self._held.end()
