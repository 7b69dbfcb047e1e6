"""Lines that several processes write into one pipe or file, none of which may be cut by another's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

PIECE = 4096  # bytes that a system writes to a pipe as one piece (PIPE_BUF of Linux)


def writer_to(descriptor: int) -> Callable[[str], None]:
    """A function that writes whole lines to an open file, in pieces that stay whole."""

    def write(text: str) -> None:
        for piece in pieces(text.encode()):
            while piece:  # more than one turn only for a line that is longer than a piece
                piece = piece[os.write(descriptor, piece) :]

    return write


def pieces(lines: bytes) -> Iterator[bytes]:
    """As many whole lines at a time as fit; a line that does not fit is a piece of its own."""
    begin = end = 0
    for line in lines.splitlines(keepends=True):
        if end > begin and end - begin + len(line) > PIECE:
            yield lines[begin:end]
            begin = end
        end += len(line)
    if end > begin:
        yield lines[begin:end]
