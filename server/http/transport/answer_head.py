"""The head of an answer, and how it says where the answer ends. RFC 9112, sections 6 and 9. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tornado.httputil import HTTPHeaders, RequestStartLine, ResponseStartLine

from server.http.transport.headers import Headers

_DIGITS = re.compile(r"[0-9]+")


@dataclass(slots=True)
class AnswerHead:
    """`chunked`: the answer goes out in chunks. `left`: bytes it must still have, None where no length is announced.

    `last`: the connection ends with this answer.
    """

    data: bytes
    chunked: bool
    left: int | None
    last: bool


def answer_head(
    asked: RequestStartLine, wishes: str, start_line: ResponseStartLine, headers: HTTPHeaders, last: bool
) -> AnswerHead:
    """The head as it goes out. `wishes`: the request's Connection header, in lower case. Raises ValueError."""
    code, bodiless = start_line.code, has_no_body(asked.method, start_line.code)
    length = _length(headers)
    chunked = not bodiless and length is None and asked.version == "HTTP/1.1"
    if not bodiless and length is None and not chunked:
        last = True  # only the end of the connection tells HTTP/1.0 where such an answer ends
    last = last or headers.get("Connection", "").lower() == "close"
    if chunked:
        headers["Transfer-Encoding"] = "chunked"
    if last:
        headers["Connection"] = "close"
    elif asked.version == "HTTP/1.0" and wishes == "keep-alive":
        headers["Connection"] = "Keep-Alive"
    fields = headers.lines() if isinstance(headers, Headers) else [f"{n}: {value}" for n, value in headers.get_all()]
    lines = [f"HTTP/1.1 {code} {start_line.reason}", *fields]
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1:
        raise ValueError("a line break in a header of an answer")
    left = 0 if asked.method == "HEAD" or code == 304 else length
    return AnswerHead(f"{text}\r\n\r\n".encode("latin-1"), chunked, left, last)


def has_no_body(method: str, code: int) -> bool:
    """Whether an answer has no body by what it answers: neither a length nor chunks tell where it ends."""
    return method == "HEAD" or code in (204, 304) or 100 <= code < 200


def keeps_alive(asked: RequestStartLine, wishes: str) -> bool:
    """Whether the connection may serve on behind this request."""
    said = [each.strip() for each in wishes.split(",")] if wishes else []
    if asked.version == "HTTP/1.1":
        return "close" not in said
    return "keep-alive" in said and "close" not in said


def _length(headers: HTTPHeaders) -> int | None:
    length = headers.get("Content-Length")
    if length is None:
        return None
    if _DIGITS.fullmatch(length) is None:
        raise ValueError("an answer's length is no number")
    return int(length)
