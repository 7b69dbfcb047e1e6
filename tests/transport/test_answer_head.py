"""How an answer says where it ends, and whether the connection goes on: a table."""

from __future__ import annotations

import pytest
from tornado.httputil import HTTPHeaders, RequestStartLine, ResponseStartLine

from server.http.transport.answer_head import AnswerHead, answer_head, keeps_alive


def head(asked: str, wishes: str, code: int, **headers: str) -> AnswerHead:
    line = RequestStartLine(*asked.split(" "))
    named = HTTPHeaders({name.replace("_", "-"): value for name, value in headers.items()})
    return answer_head(line, wishes, ResponseStartLine("", code, "Reason"), named, not keeps_alive(line, wishes))


NEW, OLD = "GET / HTTP/1.1", "GET / HTTP/1.0"
LENGTH, CHUNKS, NOTHING = "Content-Length: 5", "Transfer-Encoding: chunked", ""


@pytest.mark.parametrize(
    ("asked", "wishes", "code", "headers", "end", "last", "said"),
    [
        (NEW, "", 200, {"Content_Length": "5"}, LENGTH, False, ""),
        (NEW, "keep-alive", 200, {"Content_Length": "5"}, LENGTH, False, ""),
        (NEW, "", 200, {}, CHUNKS, False, ""),
        (NEW, "close", 200, {}, CHUNKS, True, "close"),
        (NEW, "te, close", 200, {"Content_Length": "5"}, LENGTH, True, "close"),
        (NEW, "", 200, {"Connection": "close", "Content_Length": "5"}, LENGTH, True, "close"),
        (NEW, "", 204, {}, NOTHING, False, ""),
        (NEW, "", 304, {}, NOTHING, False, ""),
        ("HEAD / HTTP/1.1", "", 200, {}, NOTHING, False, ""),
        ("HEAD / HTTP/1.1", "", 200, {"Content_Length": "5"}, LENGTH, False, ""),
        (OLD, "", 200, {"Content_Length": "5"}, LENGTH, True, "close"),
        (OLD, "keep-alive", 200, {"Content_Length": "5"}, LENGTH, False, "Keep-Alive"),
        (OLD, "keep-alive", 200, {}, NOTHING, True, "close"),
        (OLD, "keep-alive", 204, {}, NOTHING, False, "Keep-Alive"),
    ],
)
def test_the_end_of_an_answer(
    asked: str, wishes: str, code: int, headers: dict[str, str], end: str, last: bool, said: str
) -> None:
    made = head(asked, wishes, code, **headers)
    lines = made.data.decode().split("\r\n")
    assert lines[0] == f"HTTP/1.1 {code} Reason"
    assert lines[-2:] == ["", ""]
    framing = [line for line in lines if line.startswith(("Content-Length", "Transfer-Encoding"))]
    assert framing == ([end] if end else [])
    assert [line for line in lines if line.startswith("Connection")] == ([f"Connection: {said}"] if said else [])
    assert made.last is last
    assert made.chunked is (end == CHUNKS)


def test_what_a_head_or_a_304_announces_is_not_sent() -> None:
    assert head("HEAD / HTTP/1.1", "", 200, Content_Length="5").left == 0
    assert head(NEW, "", 304, Content_Length="5").left == 0
    assert head(NEW, "", 200, Content_Length="5").left == 5
    assert head(NEW, "", 200).left is None


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\r\n\r\n<html>"])
def test_no_header_of_an_answer_breaks_out_of_its_line(value: str) -> None:
    headers = HTTPHeaders()
    headers._as_list["X-Y"] = [value]  # Tornado refuses it earlier
    with pytest.raises(ValueError, match="line break"):
        answer_head(RequestStartLine("GET", "/", "HTTP/1.1"), "", ResponseStartLine("", 200, "OK"), headers, False)


@pytest.mark.parametrize(
    ("version", "wishes", "kept"),
    [
        ("HTTP/1.1", "", True),
        ("HTTP/1.1", "upgrade", True),
        ("HTTP/1.1", "close", False),
        ("HTTP/1.1", "keep-alive, close", False),
        ("HTTP/1.1", "closed", True),
        ("HTTP/1.0", "", False),
        ("HTTP/1.0", "keep-alive", True),
        ("HTTP/1.0", "keep-alive,close", False),
    ],
)
def test_whether_a_connection_serves_on(version: str, wishes: str, kept: bool) -> None:
    assert keeps_alive(RequestStartLine("GET", "/", version), wishes) is kept
