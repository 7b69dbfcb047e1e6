"""What a chunk costs, in steps and not in seconds: a bound of 60 microseconds is far from both."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest

from bench.translation import begun, chunk
from server.wire.translate.translation import PAIRS, Asker, Spoken

CHUNKS = 50
MOST_CALLS = 60  # of functions, ours and built in, for a chunk: each takes a tenth of a microsecond to one


@pytest.mark.parametrize(("asker", "spoken"), PAIRS)
def test_a_chunk_takes_a_few_dozen_calls_however_long_the_stream_is(asker: Asker, spoken: Spoken) -> None:
    reader, piece, calls = begun(asker, spoken), chunk(spoken), [0]

    def count(_: FrameType, event: str, __: Any) -> None:
        calls[0] += event in ("call", "c_call")

    found = []
    for _ in range(2):
        calls[0] = 0
        before = sys.getprofile()
        sys.setprofile(count)
        try:
            for _ in range(CHUNKS):
                assert b" hello" in reader.feed(piece)
        finally:
            sys.setprofile(before)
        found.append(calls[0])
    first, second = found
    assert first <= MOST_CALLS * CHUNKS
    assert second <= first + CHUNKS, "the later a chunk, the dearer it is"
