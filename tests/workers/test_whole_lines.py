"""Lines of several processes in one log."""

from __future__ import annotations

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from server.workers.whole_lines import PIECE, pieces, writer_to


@settings(max_examples=30)
@given(st.lists(st.integers(0, 3 * PIECE), max_size=20))
def test_every_piece_has_whole_lines_and_is_written_at_once_unless_a_line_alone_is_longer(lengths: list[int]) -> None:
    lines = b"".join(b"x" * length + b"\n" for length in lengths)
    found = list(pieces(lines))
    assert b"".join(found) == lines
    assert all(piece.endswith(b"\n") for piece in found)
    assert all(len(piece) <= PIECE or piece.count(b"\n") == 1 for piece in found)


def test_all_of_it_arrives() -> None:
    reader, writer = os.pipe()
    writer_to(writer)("one\nzwölf\n")
    os.close(writer)
    with os.fdopen(reader) as pipe:
        assert pipe.read() == "one\nzwölf\n"
