"""Where a body ends. What is doubtful is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.httputil import HTTPHeaders, HTTPInputError, RequestStartLine

from server.http.transport.framing import STEPS_AT_ONCE, ChunkedBody, length_of

MOST = 1000


def length(*lines: str, version: str = "HTTP/1.1") -> int | None:
    headers = HTTPHeaders()
    for line in lines:
        headers.parse_line(line)
    return length_of(RequestStartLine("POST", "/", version), headers)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((), 0),
        (("Content-Length: 0",), 0),
        (("Content-Length: 5",), 5),
        (("Content-Length: 005",), 5),
        (("Content-Length: 5", "Content-Length: 5"), 5),
        (("Content-Length: 5, 5",), 5),
        (("Content-Length: " + "9" * 18,), 10**18 - 1),
        (("Transfer-Encoding: chunked",), None),
        (("Transfer-Encoding: CHUNKED",), None),
    ],
)
def test_the_length_of_a_body(lines: tuple[str, ...], expected: int | None) -> None:
    assert length(*lines) == expected


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length:",),
        ("Content-Length: +5",),
        ("Content-Length: -5",),
        ("Content-Length: 5.0",),
        ("Content-Length: 0x5",),
        ("Content-Length: 1_0",),
        ("Content-Length: 5 5",),
        ("Content-Length: \xb2",),
        ("Content-Length: " + "9" * 19,),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: 5, 6",),
        ("Content-Length: 5,",),
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: gzip, chunked",),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding: identity",),
        ("Transfer-Encoding: \xa0chunked",),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding: chunked;q=1",),
        ("Transfer-Encoding:",),
    ],
)
def test_what_is_not_one_clear_length_is_refused(lines: tuple[str, ...]) -> None:
    with pytest.raises(HTTPInputError):
        length(*lines)


def test_http_1_0_has_no_chunks() -> None:
    with pytest.raises(HTTPInputError):
        length("Transfer-Encoding: chunked", version="HTTP/1.0")


# Chunks

BODY = b"5\r\nhello\r\n00a\r\n 0123\r\n789\r\nB\r\nworld\r\n0\r\n\r\r\n0\r\n\r\n"
CONTENT = b"hello 0123\r\n789world\r\n0\r\n\r"


def taken(*pieces: bytes) -> tuple[bytes, bytes, bool]:
    """The body, what is left in the buffer, and whether it has ended."""
    chunks, buffer, content = ChunkedBody(MOST), bytearray(), b""
    for piece in pieces:
        buffer += piece
        if not chunks.ended:
            content += chunks.take(buffer)
    return content, bytes(buffer), chunks.ended


@pytest.mark.parametrize("cut", range(len(BODY)))
def test_a_body_in_chunks_may_be_cut_anywhere(cut: int) -> None:
    assert taken(BODY[:cut], BODY[cut:] + b"next") == (CONTENT, b"next", True)


@given(st.lists(st.binary(min_size=1, max_size=9), max_size=9), st.integers(1, 7))
def test_any_body_comes_out_as_it_was(pieces: list[bytes], step: int) -> None:
    data = b"".join(b"%X\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    slices = [data[at : at + step] for at in range(0, len(data), step)]
    assert taken(*slices) == (b"".join(pieces), b"", True)


REFUSED = {
    "a sign": b"+5\r\nhello\r\n",
    "a minus": b"-5\r\nhello\r\n",
    "hexadecimal with its sign": b"0x5\r\nhello\r\n",
    "an underscore": b"0_5\r\nhello\r\n",
    "a blank before the size": b" 5\r\nhello\r\n",
    "a blank behind the size": b"5 \r\nhello\r\n",
    "no size": b"\r\nhello\r\n",
    "no digit": b"g\r\nhello\r\n",
    "a size of 17 digits": b"00000000000000005\r\nhello\r\n",
    "a size without an end": b"1" * 17,
    "an extension": b"5;a=b\r\nhello\r\n",
    "a long extension that does not end": b"5;" + b"a" * 100,
    "a bare line feed behind the size": b"5\nhello\r\n",
    "a bare carriage return behind the size": b"5\rhello\r\n",
    "a bare line feed behind the chunk": b"5\r\nhello\n",
    "more bytes than it says": b"5\r\nhello!\r\n",
    "two bytes more": b"5\r\nhello!!\r\n",
    "a trailer": b"0\r\nX: y\r\n\r\n",
    "a bare line feed at the end": b"0\r\n\n",
    "a body that is too long": b"3e9\r\n",
    "a size beyond everything": b"f" * 16 + b"\r\n",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_chunk_is_refused_whether_it_comes_whole_or_byte_by_byte(name: str) -> None:
    data = REFUSED[name]
    with pytest.raises(HTTPInputError):
        taken(data)
    with pytest.raises(HTTPInputError):
        taken(*[data[at : at + 1] for at in range(len(data))])


def test_all_chunks_together_have_a_length_at_most() -> None:
    chunk = b"64\r\n" + b"x" * 100 + b"\r\n"
    assert taken(chunk * 10 + b"0\r\n\r\n") == (b"x" * MOST, b"", True)
    with pytest.raises(HTTPInputError):
        taken(chunk * 10 + b"1\r\nx")


def test_tiny_chunks_are_taken_in_turns() -> None:
    chunks, buffer = ChunkedBody(1 << 20), bytearray(b"1\r\nx\r\n" * STEPS_AT_ONCE + b"0\r\n\r\n")
    turns = []
    while not chunks.ended:
        turns.append(len(chunks.take(buffer)))
        assert not chunks.starved
    assert sum(turns) == STEPS_AT_ONCE
    assert max(turns) == STEPS_AT_ONCE // 3
