"""What is an answer, where it ends, and what is refused: the same at every way to cut the bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.httpclient.answer_reader import MOST_HEAD, MOST_HEADERS, MOST_IDLE_BYTES, AnswerReader
from server.httpclient.errors import ConnectionDropped, MalformedAnswer

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@dataclass
class Read:
    """What a reader made of some bytes and of the end of the connection."""

    status: int = 0
    body: bytes = b""
    complete: bool = False
    keep_alive: bool = False
    refused: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)


def read(data: bytes, *cuts: int, bodiless: bool = False, ends: bool = False) -> Read:
    """Feed these bytes, cut at these places."""
    reader, found = AnswerReader(), Read()
    reader.begin(bodiless=bodiless)
    edges = [0, *sorted(cuts), len(data)]
    try:
        for start, end in pairwise(edges):
            if start < end:
                reader.feed(data[start:end])
        if ends:
            reader.end()
    except (MalformedAnswer, ConnectionDropped) as error:
        found.refused = type(error).__name__
    found.status, found.body = reader.status if reader.has_head else 0, reader.take()
    found.complete, found.keep_alive = reader.complete, reader.keep_alive
    found.headers = [] if not reader.has_head else list(reader.headers.items())
    return found


GOOD = {
    "length": (OK + b"Content-Length: 3\r\n\r\nabc", b"abc", True),
    "tabs": (OK + b"Content-Length:\t3\t\r\n\r\nabc", b"abc", True),
    "no body": (OK + b"Content-Length: 0\r\n\r\n", b"", True),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", b"", True),
    "chunks": (CHUNKED + b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", b"abc0123456789", True),
    "capitals": (OK + b"transfer-encoding: CHUNKED \r\n\r\n1\r\na\r\n0\r\n\r\n", b"a", True),
    "extensions": (CHUNKED + b'3;a=b;c="d"\r\nabc\r\n0;x\r\n\r\n', b"abc", True),
    "trailers": (CHUNKED + b"3\r\nabc\r\n0\r\nX-Sum: 1\r\nX-Other: 2\r\n\r\n", b"abc", True),
    "told to close": (OK + b"Connection: close\r\nContent-Length: 3\r\n\r\nabc", b"abc", False),
    "1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", b"abc", False),
    "1.0 kept": (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc", b"abc", True),
    "continue": (b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n" + OK + b"Content-Length: 3\r\n\r\nabc", b"abc", True),
    "hints": (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 3 + OK + b"Content-Length: 1\r\n\r\na", b"a", True),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
    "304": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", b"", True),
    "not asked for": (OK + b"Content-Length: 3\r\n\r\nabc" + OK + b"Content-Length: 3\r\n\r\nxyz", b"abc", False),
    "more than it said": (OK + b"Content-Length: 3\r\n\r\nabcdef", b"abc", False),
    "upgrade offered": (OK + b"Upgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 3\r\n\r\nabc", b"abc", True),
}


@pytest.mark.parametrize("name", GOOD)
def test_an_answer_ends_where_it_says_at_every_cut(name: str) -> None:
    data, body, keep_alive = GOOD[name]
    for cuts in [(), range(len(data)), *((cut,) for cut in range(len(data)))]:
        found = read(data, *cuts)
        assert (found.refused, found.complete, found.body) == ("", True, body)
        if "not asked" not in name and "more than" not in name:
            assert found.keep_alive is keep_alive


@pytest.mark.parametrize("name", ["not asked for", "more than it said"])
def test_what_follows_an_answer_ends_the_connection_and_not_the_answer(name: str) -> None:
    data, body, _ = GOOD[name]
    found = read(data)
    assert (found.body, found.complete, found.keep_alive) == (body, True, False)


BAD = {
    "two lengths": OK + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "two other lengths": OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "a list of lengths": OK + b"Content-Length: 3, 3\r\n\r\nabc",
    "a signed length": OK + b"Content-Length: +3\r\n\r\nabc",
    "a negative length": OK + b"Content-Length: -3\r\n\r\nabc",
    "a hexadecimal length": OK + b"Content-Length: 0x3\r\n\r\nabc",
    "an endless length": OK + b"Content-Length: 99999999999999999999999\r\n\r\nabc",
    "an empty length": OK + b"Content-Length: \r\n\r\nabc",
    "length and chunks": OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "chunks and length": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "chunked twice": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "packed and chunked": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked and packed": OK + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "identity": OK + b"Transfer-Encoding: identity\r\n\r\nabc",
    "nearly chunked": OK + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked in 1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "no chunk size": CHUNKED + b"zz\r\nabc\r\n0\r\n\r\n",
    "a prefixed chunk size": CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
    "a negative chunk size": CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n",
    "an endless chunk": CHUNKED + b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "a space behind the size": CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n",
    "a line feed behind the size": CHUNKED + b"3\nabc\r\n0\r\n\r\n",
    "a chunk longer than its size": CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
    "a chunk without its end": CHUNKED + b"3\r\nabc0\r\n\r\n",
    "a line feed in an extension": CHUNKED + b"3;a\nabc\r\n0\r\n\r\n",
    "a nul in an extension": CHUNKED + b"3;a=\x00\r\nabc\r\n0\r\n\r\n",
    "a length as a trailer": CHUNKED + b"3\r\nabc\r\n0\r\nContent-Length: 5\r\n\r\n",
    "a folded header": OK + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "a space before the colon": OK + b"Content-Length : 3\r\n\r\nabc",
    "no colon": OK + b"X\r\nContent-Length: 0\r\n\r\n",
    "no name": OK + b": x\r\nContent-Length: 0\r\n\r\n",
    "a nul": OK + b"X: a\x00b\r\nContent-Length: 0\r\n\r\n",
    "a bare carriage return": OK + b"X: a\rb\r\nContent-Length: 0\r\n\r\n",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "0.9": b"HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n",
    "2.0": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "ICY": b"ICY 200 OK\r\nContent-Length: 0\r\n\r\n",
    "a long status": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "a short status": b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "a low status": b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
    "switching": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nxyz",
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "too long a head": OK + b"X: " + b"a" * MOST_HEAD + b"\r\nContent-Length: 0\r\n\r\n",
    "too many headers": OK + b"X: a\r\n" * (MOST_HEADERS + 1) + b"Content-Length: 0\r\n\r\n",
    "endless trailers": CHUNKED + b"0\r\n" + b"X: 123456789\r\n" * (MOST_HEAD // 14 + 1) + b"\r\n",
    "endless interim answers": b"HTTP/1.1 103 Early Hints\r\n\r\n" * (MOST_IDLE_BYTES // 26),
    "an endless reason": b"HTTP/1.1 200 " + b"a" * (MOST_IDLE_BYTES + 1),
}


@pytest.mark.parametrize("name", BAD)
def test_an_answer_whose_end_two_programs_could_see_differently_is_refused_at_every_cut(name: str) -> None:
    data = BAD[name]
    every = range(len(data)) if len(data) < 1_000 else range(0, len(data), len(data) // 12)
    for cuts in [(), every, *((cut,) for cut in every)]:
        found = read(data, *cuts)
        assert (found.refused, found.keep_alive) == ("MalformedAnswer", False), cuts


def test_chunk_extensions_without_end_are_refused() -> None:
    """What comes in one piece is as long as the socket gives; the count begins behind the head of its piece."""
    data = CHUNKED + b"3;" + b"a" * (2 * MOST_IDLE_BYTES)
    assert read(data, *range(0, len(data), 4_096)).refused == "MalformedAnswer"


def test_without_a_length_the_clean_end_of_the_connection_is_the_end() -> None:
    for head in (OK + b"\r\n", b"HTTP/1.0 200 OK\r\n\r\n"):
        assert read(head + b"abc") == Read(200, b"abc", complete=False)
        assert read(head + b"abc", ends=True) == Read(200, b"abc", complete=True)


@pytest.mark.parametrize("name", ["length", "chunks", "trailers", "extensions"])
def test_an_answer_that_says_its_end_is_cut_where_the_connection_ends_before(name: str) -> None:
    data = GOOD[name][0]
    for length in range(len(data)):
        found = read(data[:length], ends=True)
        assert (found.refused, found.complete) == ("ConnectionDropped", False)


def test_the_answer_to_head_has_no_body_whatever_it_says() -> None:
    found = read(OK + b"Content-Length: 3\r\n\r\n", bodiless=True)
    assert (found.complete, found.body, found.keep_alive) == (True, b"", False)


def test_headers_are_found_by_any_case_the_first_counts_and_what_came_before_or_after_is_not_among_them() -> None:
    reader = AnswerReader()
    reader.feed(
        b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + OK + b"X-A: 1\r\nx-a: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    reader.feed(b"0\r\nX-Late: 1\r\n\r\n")
    assert (reader.headers["x-A"], reader.headers.getall("X-A")) == ("1", ["1", "2"])
    assert "Link" not in reader.headers
    assert "X-Late" not in reader.headers


def test_one_answer_after_another_over_one_connection() -> None:
    reader = AnswerReader()
    for number in range(3):
        reader.begin(bodiless=False)
        reader.feed(OK + b"X: %d\r\nContent-Length: 1\r\n\r\n%d" % (number, number))
        assert (reader.headers["X"], reader.take(), reader.keep_alive) == (str(number), b"%d" % number, True)


@pytest.mark.slow
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.lists(st.integers(0, 500), max_size=6))
def test_chunks_come_out_as_they_went_in_however_they_are_cut(pieces: list[bytes], cuts: list[int]) -> None:
    data = CHUNKED + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    found = read(data, *(cut for cut in cuts if cut < len(data)))
    assert (found.body, found.complete, found.keep_alive) == (b"".join(pieces), True, True)


@pytest.mark.slow
@given(st.binary(max_size=300), st.integers(0, 300))
def test_no_bytes_whatever_do_anything_but_be_refused(data: bytes, cut: int) -> None:
    for start in (b"", OK, CHUNKED):
        found = read(start + data, min(cut, len(start + data)), ends=True)
        assert found.refused in ("", "MalformedAnswer", "ConnectionDropped")
