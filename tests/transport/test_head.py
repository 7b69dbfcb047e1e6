"""The head of a request: the grammar of RFC 9112, and nothing that servers read in two ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.httputil import HTTPHeaders, HTTPInputError

from server.http.transport.head import KEPT_NAME, MOST_FIELDS, HeadSearch, read_head

LINE = b"GET / HTTP/1.1"
REFUSED = {
    "an empty head": b"",
    "HTTP/0.9": b"GET /",
    "HTTP/1.2": b"GET / HTTP/1.2",
    "HTTP/2.0": b"GET / HTTP/2.0",
    "the preface of HTTP/2": b"PRI * HTTP/2.0",
    "a version in lower case": b"GET / http/1.1",
    "a version of two digits": b"GET / HTTP/1.10",
    "two blanks": b"GET  / HTTP/1.1",
    "a tab": b"GET\t/ HTTP/1.1",
    "a blank in the target": b"GET /a b HTTP/1.1",
    "a blank behind the version": b"GET / HTTP/1.1 ",
    "a blank before the method": b" GET / HTTP/1.1",
    "no target": b"GET  HTTP/1.1",
    "a method with a colon": b"GE:T / HTTP/1.1",
    "a method with a bracket": b"GET( / HTTP/1.1",
    "a control character in the target": b"GET /\x01 HTTP/1.1",
    "a delete character in the target": b"GET /\x7f HTTP/1.1",
    "a bare line feed": LINE + b"\nHost: a",
    "a bare line feed in a value": LINE + b"\r\nHost: a\nX: b",
    "a bare carriage return": LINE + b"\r\nHost: a\rX: b",
    "a carriage return before the line's end": LINE + b"\r\nHost: a\r\r\nX: b",
    "a folded line": LINE + b"\r\nHost: a\r\n b",
    "a line folded with a tab": LINE + b"\r\nHost: a\r\n\tb",
    "a folded first line": LINE + b"\r\n X: b\r\nHost: a",
    "a blank before the colon": LINE + b"\r\nHost : a",
    "a tab before the colon": LINE + b"\r\nHost\t: a",
    "a blank in a name": LINE + b"\r\nA Host: a",
    "no name": LINE + b"\r\n: a",
    "no colon": LINE + b"\r\nHost",
    "an empty line in the middle": LINE + b"\r\n\r\nHost: a",
    "a NUL": LINE + b"\r\nHost: a\x00",
    "a NUL in a name": LINE + b"\r\nHo\x00st: a",
    "an escape in a value": LINE + b"\r\nHost: a\x1b[2J",
    "a letter that is no ASCII in a name": LINE + b"\r\nH\xf6st: a",
    "a name in quotes": LINE + b'\r\n"Host": a',
    "more lines than there may be": LINE + b"\r\nX: a" * (MOST_FIELDS + 1),
}
TAKEN = {
    "no header": LINE,
    "an empty value": LINE + b"\r\nX:",
    "blanks around a value": LINE + b"\r\nX: \t a b\t c \t",
    "no blank before a value": LINE + b"\r\nX:a",
    "a colon in a value": LINE + b"\r\nHost: a:80",
    "a letter that is no ASCII in a value": LINE + b"\r\nX: \xe9\xff",
    "the same name twice": LINE + b"\r\nX: a\r\nx: b",
    "every character of a name": LINE + b"\r\n!#$%&'*+-.^_`|~09AZaz: a",
    "an unknown method": b"FOO / HTTP/1.0",
    "absolute form": b"GET http://a/b?c HTTP/1.1",
    "authority form": b"CONNECT a:443 HTTP/1.1",
    "asterisk form": b"OPTIONS * HTTP/1.1",
    "a fragment": b"GET /a#b HTTP/1.1",
    "as many lines as there may be": LINE + b"\r\nX: a" * MOST_FIELDS,
    "a long name": LINE + b"\r\n" + b"x-" * KEPT_NAME + b"y: a",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_head_is_refused(name: str) -> None:
    with pytest.raises(HTTPInputError):
        read_head(REFUSED[name])


@pytest.mark.parametrize("name", TAKEN)
def test_a_head_is_read_as_tornado_reads_it(name: str) -> None:
    start_line, headers = read_head(TAKEN[name])
    first, _, rest = TAKEN[name].decode("latin-1").partition("\r\n")
    assert " ".join(start_line) == first
    assert list(headers.get_all()) == list(HTTPHeaders.parse(rest).get_all())
    assert headers.get("x") == HTTPHeaders.parse(rest).get("x")


@given(st.lists(st.tuples(st.sampled_from(["a", "X-B", "x-b", "C"]), st.text("ab ,;\t\xe9", max_size=6)), max_size=8))
def test_headers_behave_as_tornados_whatever_is_done_with_them(fields: list[tuple[str, str]]) -> None:
    lines = "".join(f"\r\n{name}: {value}" for name, value in fields)
    _, ours = read_head(LINE + lines.encode("latin-1"))
    theirs = HTTPHeaders.parse(lines.removeprefix("\r\n"))
    assert (ours, str(ours), ours.copy()) == (theirs, str(theirs), theirs)
    for headers in (ours, theirs):
        headers.pop("a", None)
        headers.add("X-B", "new")
        headers["C"] = "set"
    assert list(ours.get_all()) == list(theirs.get_all())
    assert dict(ours) == dict(theirs)


# Where a head ends

ENDED = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize("cut", range(len(ENDED)))
def test_a_head_may_come_in_pieces(cut: int) -> None:
    search, buffer = HeadSearch(100), bytearray(ENDED[:cut])
    assert search.take(buffer) is None
    buffer += ENDED[cut:] + b"next"
    assert search.take(buffer) == ENDED[:-4]
    assert buffer == b"next"


def test_one_empty_line_before_a_head_is_nothing_and_two_are_an_empty_head() -> None:
    assert HeadSearch(100).take(bytearray(b"\r\n" + ENDED)) == ENDED[:-4]
    assert HeadSearch(100).take(bytearray(b"\r\n\r\n\r\n" + ENDED)) == b"", "which `read_head` refuses"


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\n", b"\n\r\n"])
def test_a_head_that_ends_without_a_carriage_return_is_refused_and_not_waited_for(end: bytes) -> None:
    with pytest.raises(HTTPInputError):
        HeadSearch(100).take(bytearray(b"GET / HTTP/1.1" + end))


@pytest.mark.parametrize(
    ("data", "too_long"),
    [
        (b"x" * 100, False),
        (b"x" * 101, True),
        (b"x" * 96 + b"\r\n\r\n" + b"x" * 10, False),
        (b"x" * 97 + b"\r\n\r\n", True),
    ],
)
def test_a_head_has_a_length_at_most(data: bytes, too_long: bool) -> None:
    search = HeadSearch(100)
    taken = search.take(bytearray(data))
    assert search.too_long is too_long
    assert (taken is not None) is (b"\r\n\r\n" in data and not too_long)
