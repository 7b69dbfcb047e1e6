"""Clients that begin and never come to an end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hostile.http_raw import Wire, request
from tests.hostile.site import CHAT, TRANSPORTS, Site, site

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=TRANSPORTS)
def hasty(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A gateway that waits for nobody."""
    with site(transport=request.param, header_seconds=0.2, body_seconds=0.2) as built:
        yield built


BEGUN = {
    "11 the hello of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(128, 250)),
    "11 HTTP/0.9 without an end": b"GET /\r\n",
    "15 nothing": b"",
    "15 a header that stops": b"POST /v1/messages HTTP/1.1\r\nHost: a\r\nX-Y",
}
HALF = {
    "16 a body that does not begin": ({"Content-Length": "100"}, b""),
    "16 a body that stops": ({"Content-Length": "100"}, b"{"),
    "16 a chunk that stops": ({"Transfer-Encoding": "chunked"}, b"10\r\nabc"),
    "16 chunks without an end": ({"Transfer-Encoding": "chunked"}, b"2\r\n{}\r\n"),
}


@pytest.mark.parametrize("name", BEGUN)
def test_who_stops_in_the_header_is_hung_up_on(hasty: Site, name: str) -> None:
    # TLS and HTTP/0.9 should get a bare 400 by the list; there is nothing to answer before the header's end has come.
    with hasty.untouched(), Wire(hasty.url) as wire:
        wire.send(BEGUN[name])
        assert wire.rest() == b""


@pytest.mark.parametrize("path", [CHAT, "/healthz"])
@pytest.mark.parametrize("name", HALF)
def test_who_stops_in_the_body_is_hung_up_on(hasty: Site, name: str, path: str) -> None:
    framing, body = HALF[name]
    method = "POST" if path == CHAT else "GET"
    with hasty.untouched(), Wire(hasty.url) as wire:
        wire.send(request(method, path, hasty.headers() | framing) + body)
        assert wire.rest() == b""


def test_drops_now_and_then_do_not_keep_a_connection(hasty: Site) -> None:
    """The time is for the whole header, not from one byte to the next."""
    with hasty.untouched(), Wire(hasty.url) as wire:
        for _ in range(1000):
            wire.send(b"X")
            if wire.closes_within(0.02):
                return
        pytest.fail("still open")
