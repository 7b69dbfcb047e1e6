"""The splitter: byte-exact at every cut, and in agreement with the official SDK's own decoder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai._streaming import SSEDecoder

from server.wire.sse import Splitter, StreamEvent

CHAT = (
    b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\n'
    b"data: [DONE]\n\n"
)
MESSAGES = (
    b'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":9}}}\n\n'
    b'event: ping\ndata: {"type":"ping"}\n\n'
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
)
SCRIPTS = {
    "chat": CHAT,
    "messages": MESSAGES,
    "CRLF": MESSAGES.replace(b"\n", b"\r\n"),
    "CR": MESSAGES.replace(b"\n", b"\r"),
    "mixed line ends": b"data: a\r\n\ndata: b\n\r\ndata: c\r\rdata: d\n\rdata: e\r\n\r\n: end\n\n",
    "comments": b": hello\n\n:\n\n: queued position=3\n: wait=12s\ndata: x\n\n:no space\n\ndata: y\n\n",
    "multi-line data": b"data: one\ndata\ndata:\ndata: four\n\nevent: e\ndata: five\ndata:  two spaces\n\n",
    "other fields": b"id: 7\nretry: 100\nunknown: x\ndatax: y\ndata:z\n\nevent\ndata: e\n\nid: alone\n\n",
    "byte order mark": b"\xef\xbb\xbfdata: first\n\n\xef\xbb\xbfdata: no field\n\ndata: third\n\n",
    "Unicode": "event: größe\ndata: 你好，世界 \U0001f600\u2028\u2029\x85\x0b\x0c\ndata: é\n\n".encode() * 3,
    "too many newlines": b"\n\n\ndata: a\n\n\n\n\n\ndata: b\n\n\r\n\r\n\ndata: c\n\n\n",
    "unfinished": b"data: a\n\ndata: never finished\n",
}


def fed(chunks: Iterable[bytes], splitter: Splitter | None = None) -> tuple[list[StreamEvent], bytes]:
    splitter = splitter or Splitter()
    events = [event for chunk in chunks for event in splitter.feed(chunk)]
    return events, splitter.rest()


def meaning(events: Iterable[StreamEvent]) -> list[tuple[str, bytes | None]]:
    return [(event.name, event.data) for event in events]


def in_two(script: bytes) -> Iterator[list[bytes]]:
    for cut in range(len(script) + 1):
        yield [script[:cut], script[cut:]]


def in_three(script: bytes) -> Iterator[list[bytes]]:
    """Cut around every line end, where everything interesting happens, and once more shortly behind."""
    ends = [at for at, byte in enumerate(script) if byte in b"\r\n"]
    for end in ends:
        for first in range(max(0, end - 1), end + 3):
            for second in range(first, first + 16):
                yield [script[:first], script[first:second], script[second:]]


def in_equal_parts(script: bytes) -> Iterator[list[bytes]]:
    for size in range(1, len(script)):
        yield [script[start : start + size] for start in range(0, len(script), size)]


@pytest.mark.slow
def test_no_way_to_chop_a_stream_changes_a_byte_or_an_event() -> None:
    combinations = 0
    for script in SCRIPTS.values():
        whole = meaning(fed([script])[0])
        for chunks in (*in_two(script), *in_three(script), *in_equal_parts(script)):
            events, rest = fed(chunks)
            assert b"".join(event.raw for event in events) + rest == script
            assert meaning(events) == whole
            combinations += 1
    assert combinations >= 10_000


def whole_events(events: Iterable[StreamEvent]) -> list[tuple[str, bytes | None]]:
    """What means something: of a long event its last piece."""
    return [(event.name, event.data) for event in events if event.name or event.data is not None]


@pytest.mark.slow
@pytest.mark.parametrize("long", [3, 5, 30])
def test_what_comes_in_pieces_is_the_same_event_at_the_end(long: int) -> None:
    for script in SCRIPTS.values():
        whole = whole_events(fed([script])[0])
        for chunks in (*in_two(script), *in_equal_parts(script)):
            events, rest = fed(chunks, Splitter(long))
            assert b"".join(event.raw for event in events) + rest == script
            assert whole_events(events) == whole


@pytest.mark.slow
def test_a_long_event_is_the_same_in_every_way_to_chop_it() -> None:
    picture = b'event: partial_image\r\ndata: {"type":"p","b64_json":"' + b"A" * 20_000 + b'","n":1}\r\n\r\n'
    script = picture + b'data: {"usage":1}\n\n' + picture.replace(b"\r\n", b"\r")
    whole = whole_events(fed([script], Splitter(1000))[0])
    assert [name for name, _ in whole] == ["partial_image", "", "partial_image"]
    assert [len(data or b"") for _, data in whole] == [16_416, 11, 16_416]
    for size in (*range(1, 50), 999, 1000, 1001, 4096, 20_000):
        events, rest = fed([script[start : start + size] for start in range(0, len(script), size)], Splitter(1000))
        assert b"".join(event.raw for event in events) + rest == script
        assert whole_events(events) == whole
        assert all(len(event.raw) <= 1000 + size for event in events), "piece by piece"


def test_between_two_events_is_never_inside_of_a_long_one() -> None:
    splitter = Splitter(long=10)
    between = []
    for chunk in (b"data: short\n\n"[:6], b"x" * 20, b"x\n", b"\ndata: y", b"\n\n"):
        splitter.feed(chunk)
        between.append(splitter.between)
    assert between == [True, False, False, True, True]


_FIELDS = (b"data: a", b"data:b", b"data", b"event: x", b"event:y", b": c", b"id", b"z", "é😀".encode())
_NEWLINES = (b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n")
_pieces = st.sampled_from(_FIELDS) | st.sampled_from(_NEWLINES)


@settings(deadline=None, max_examples=120)
@given(st.lists(_pieces, max_size=30), st.lists(st.integers(0, 80), max_size=8))
def test_any_bytes_come_out_as_they_went_in_and_mean_the_same(pieces: list[bytes], cuts: list[int]) -> None:
    script = b"".join(pieces)
    chunks = [script[start:end] for start, end in pairwise([0, *sorted(cuts), len(script)])]
    events, rest = fed(chunks)
    assert b"".join(event.raw for event in events) + rest == script
    assert meaning(events) == meaning(fed([script])[0])


@settings(deadline=None, max_examples=120)
@given(st.lists(_pieces, max_size=30))
def test_the_official_decoder_reads_the_same_events(pieces: list[bytes]) -> None:
    script = b"".join(piece for piece in pieces if piece != b"id") + b"\n\n"
    ours = [(name, (data or b"").decode()) for name, data in meaning(fed([script])[0]) if name or data is not None]
    theirs = [(event.event or "", event.data) for event in SSEDecoder().iter_bytes(iter([script]))]
    assert ours == theirs


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("comments", [("", None), ("", None), ("", b"x"), ("", None), ("", b"y")]),
        ("multi-line data", [("", b"one\n\n\nfour"), ("e", b"five\n two spaces")]),
        ("other fields", [("", b"z"), ("", b"e"), ("", None)]),
        ("byte order mark", [("", b"first"), ("", None), ("", b"third")]),
        ("too many newlines", [("", b"a"), ("", b"b"), ("", b"c")]),
        ("mixed line ends", [("", b"a"), ("", b"b"), ("", b"c"), ("", b"d"), ("", b"e"), ("", None)]),
        ("unfinished", [("", b"a")]),
    ],
)
def test_blocks_are_read_as_the_standard_says(script: str, expected: list[tuple[str, bytes | None]]) -> None:
    assert meaning(fed([SCRIPTS[script]])[0]) == expected


def test_an_event_that_ends_in_a_carriage_return_is_not_held_back() -> None:
    splitter = Splitter()
    assert splitter.feed(b"data: a\r\n\r") == [StreamEvent(b"data: a\r\n\r", "", b"a")]
    assert splitter.feed(b"\ndata: b\n\n") == [StreamEvent(b"\ndata: b\n\n", "", b"b")]


def test_several_events_in_one_chunk_come_at_once() -> None:
    assert [event.data for event in Splitter().feed(b"data: a\n\ndata: b\n\ndata: c\n\ndat")] == [b"a", b"b", b"c"]


@pytest.mark.parametrize("filler", [b"x", b"data: x\n", b"\n", b"\r\n", b": wait\n"])
def test_of_an_event_without_an_end_little_is_held(filler: bytes) -> None:
    splitter = Splitter(long=100)
    out = b"".join(event.raw for _ in range(1000) for event in splitter.feed(filler))
    assert len(splitter.rest()) <= 100 + len(filler)
    assert out + splitter.rest() == filler * 1000


def test_the_limit_is_for_one_event_and_not_for_the_stream() -> None:
    splitter = Splitter(long=100)
    events = [event for _ in range(100) for event in splitter.feed(b"data: " + b"x" * 80 + b"\n\n")]
    assert (len(events), any(event.long for event in events)) == (100, False)
