"""Bytes that two servers could read differently."""

from __future__ import annotations

import orjson
import pytest

from tests.hostile.catalogue import KEY, SIZE, URL, assert_is, assert_is_the_last, invalid, not_allowed, not_listed
from tests.hostile.http_raw import Wire, chunked, request
from tests.hostile.site import CHAT, MESSAGES, ROUTES, Site

RAW400 = b"HTTP/1.1 400 Bad Request\r\n\r\n"  # Tornado's own: it gave up before there was a request
BODY = b'{"model":"gpt-5","messages":[{"role":"user","content":"x"}]}'


def post(*lines: str, body: bytes = BODY) -> bytes:
    """A request whose header lines are exactly these, after the path and before the token."""
    head = "\r\n".join([f"POST {CHAT} HTTP/1.1", *lines, "Content-Type: application/json"])
    return head.encode("latin-1") + b"\r\nAuthorization: Bearer %b\r\n\r\n" + body


HOST = "Host: gateway.test"
LENGTH = f"Content-Length: {len(BODY)}"
CHUNKED = "Transfer-Encoding: chunked"
MALFORMED = {
    "1 a length with a sign": post(HOST, "Content-Length: +1"),
    "2 a length with an underscore": post(HOST, "Content-Length: 1_0"),
    "2 a length in words": post(HOST, "Content-Length: foo"),
    "2 a negative length": post(HOST, "Content-Length: -1"),
    "2 a length in hexadecimal": post(HOST, "Content-Length: 0x10"),
    "2 a length in Arabic-Indic digits": post(HOST, "Content-Length: \xd9\xa1"),
    "2 a length of 5,000 digits": post(HOST, "Content-Length: " + "9" * 5000),
    "2 no length at all": post(HOST, "Content-Length:"),
    "3 two different lengths": post(HOST, LENGTH, "Content-Length: 5"),
    "3 two different lengths in one line": post(HOST, "Content-Length: 5, 6"),
    "4 a length and chunks": post(HOST, LENGTH, CHUNKED, body=chunked(BODY)),
    "5 a host with a path": post("Host: a/#@evil", LENGTH),
    "5 a host with a blank": post("Host: a b", LENGTH),
    "6 no host": post(LENGTH),
    "6 two hosts": post(HOST, "Host: evil.test", LENGTH),
    "7 chunked twice": post(HOST, CHUNKED, CHUNKED, body=chunked(BODY)),
    "7 compressed chunks": post(HOST, "Transfer-Encoding: gzip, chunked", body=chunked(BODY)),
    "7 chunked after a no-break space": post(HOST, "Transfer-Encoding: \xa0chunked", body=chunked(BODY)),
    "7 identity": post(HOST, "Transfer-Encoding: identity"),
    "8 a chunk size 0x2": post(HOST, CHUNKED, body=b"0x2\r\nok\r\n0\r\n\r\n"),
    "8 a chunk size +2": post(HOST, CHUNKED, body=b"+2\r\nok\r\n0\r\n\r\n"),
    "8 a chunk size 1_a": post(HOST, CHUNKED, body=b"1_a\r\n" + b"x" * 26 + b"\r\n0\r\n\r\n"),
    "8 a chunk size zz": post(HOST, CHUNKED, body=b"zz\r\nok\r\n0\r\n\r\n"),
    "8 a chunk extension": post(HOST, CHUNKED, body=b"2;a=b\r\nok\r\n0\r\n\r\n"),
    "8 a chunk longer than it says": post(HOST, CHUNKED, body=b"2\r\nokay\r\n0\r\n\r\n"),
    "8 a trailer": post(HOST, CHUNKED, body=b"2\r\nok\r\n0\r\nX-Trailer: a\r\n\r\n"),
    "9 a folded header": post(HOST, "X-Y: a", " Content-Length: 5", LENGTH),
    "9 a blank in a header's name": post(HOST, "X y: z", LENGTH),
    "9 a blank before the colon": post(HOST, "Content-Length : 5"),
    "9 a NUL in a value": post(HOST, "X-Y: a\x00b", LENGTH),
    "9 a carriage return in a value": post(HOST, "X-Y: a\rX-Injected: b", LENGTH),
    "9 a line without a colon": post(HOST, "nonsense", LENGTH),
    "9 no name": post(HOST, ": nameless", LENGTH),
    "11 the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "11 HTTP/0.9": b"GET /\r\n\r\n",
    "11 HTTP/3.0": b"GET / HTTP/3.0\r\nHost: a\r\n\r\n",
    "11 lower case": b"GET / http/1.1\r\nHost: a\r\n\r\n",
    "11 two blanks": b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    "11 a version without its name": b"GET / 1.1\r\nHost: a\r\n\r\n",
    "11 a method with a colon": b"GE:T / HTTP/1.1\r\nHost: a\r\n\r\n",
    "11 a control character in the target": b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
    "8 a blank behind a chunk size": post(HOST, CHUNKED, body=b"2 \r\nok\r\n0\r\n\r\n"),
    "8 a chunk size without its carriage return": post(HOST, CHUNKED, body=b"2\nok\r\n0\r\n\r\n"),
    "8 an endless chunk extension": post(HOST, CHUNKED, body=b"2;" + b"a" * 20 + b"\r\nok\r\n0\r\n\r\n"),
    "9 a tab before the colon": post(HOST, "Content-Length\t: 5"),
    "9 a first line that is folded": post(" X-Y: a", HOST, LENGTH),
    "9 a control character in a value": post(HOST, "X-Y: a\x1bb", LENGTH),
    "65 a line break in a header that is passed on": post(HOST, "OpenAI-Beta: a\rX-Injected: b", LENGTH),
    "88 1,001 query arguments": request("GET", "/status.json?" + "&".join(["a=b"] * 1001), {}),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_not_clearly_http_is_refused_and_the_connection_closed(services: Site, name: str) -> None:
    with services.untouched(), Wire(services.url) as wire:
        wire.send(MALFORMED[name].replace(b"%b", services.token.encode()))
        assert wire.rest() == RAW400


LENIENT: dict[str, bytes] = {  # Tornado reads them, by its word until its version 6.7
    "a head of bare line feeds": b"GET /healthz HTTP/1.1\nHost: a\n\n",
    "a header that ends with a bare line feed": b"GET /healthz HTTP/1.1\r\nHost: a\nX-Y: b\r\n\r\n",
    "an end with one carriage return": b"GET /healthz HTTP/1.1\r\nHost: a\r\n\n",
    "a version that there is not": b"GET /healthz HTTP/1.7\r\nHost: a\r\n\r\n",
    "chunks of HTTP/1.0": f"GET /healthz HTTP/1.0\r\n{CHUNKED}\r\n\r\n0\r\n\r\n".encode(),
}


@pytest.mark.parametrize("name", LENIENT)
def test_our_own_transport_refuses_what_servers_read_in_two_ways_and_tornado_answers_once(
    services: Site, name: str
) -> None:
    own = services.services.settings.transport == "own"
    with services.untouched(), Wire(services.url) as wire:
        wire.send(LENIENT[name])
        if own:
            assert wire.rest() == RAW400
        else:
            reply = wire.reply()
            assert reply is not None
            assert reply.status == 200


@pytest.mark.parametrize(
    ("status", "target", "headers"),
    [
        (200, "GET /healthz", {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}),
        (
            200,
            "GET /healthz",
            {"Upgrade": "h2c", "Connection": "Upgrade, HTTP2-Settings", "HTTP2-Settings": "AAMAAABk"},
        ),
        (405, "CONNECT evil.test:443", {}),
        (404, "OPTIONS *", {}),
        (404, "GET http://evil.test/healthz", {}),
        (404, "GET /healthz#fragment", {}),
        (405, "FOO /healthz", {}),
    ],
)
def test_what_asks_for_another_protocol_or_place_is_a_request_like_others(
    services: Site, status: int, target: str, headers: dict[str, str]
) -> None:
    """Nothing behind it is lost or becomes a tunnel: the next request has its answer."""
    method, _, place = target.partition(" ")
    with services.untouched(), Wire(services.url) as wire:
        wire.send(request(method, place, services.from_elsewhere() | headers) + request("GET", "/healthz", {}))
        first = wire.reply()
        assert first is not None
        assert first.status == status
        if first.headers.get("connection") != "close":
            second = wire.reply()
            assert second is not None
            assert second.status == 200


def test_an_upgrade_does_not_take_a_body_for_the_next_request(services: Site) -> None:
    smuggled = request("GET", "/smuggled", {})
    headers = services.headers(Upgrade="websocket", Connection="Upgrade")
    with services.untouched(), Wire(services.url) as wire:
        wire.send(request("POST", CHAT, headers, smuggled) + request("GET", "/healthz", {}))
        first, second = wire.reply(), wire.reply()
    assert first is not None
    assert second is not None
    assert (first.status, second.status) == (400, 200)


@pytest.mark.parametrize("name", [name for name in MALFORMED if name[:2] in ("1 ", "2 ", "3 ", "4 ")])
def test_without_a_token_an_unclear_length_is_not_even_looked_at(services: Site, name: str) -> None:
    """The token is asked for first; that the connection ends with the answer keeps the rest from being a request."""
    smuggled = request("GET", "/healthz", {})
    with services.untouched(), Wire(services.url) as wire:
        headers = "\r\n".join(f"{key}: {value}" for key, value in services.from_elsewhere().items()).encode()
        wire.send(MALFORMED[name].replace(b"Authorization: Bearer %b", headers) + smuggled)
        assert_is(wire.reply(), KEY, CHAT)
        assert wire.rest() in (b"", RAW400)


def test_the_same_length_twice_is_one_length(services: Site) -> None:
    # RFC 9112, section 6.3, allows it: proxies are known to double the line.
    body = b'{"model":1}'
    twice = post(HOST, *[f"Content-Length: {len(body)}"] * 2, body=body).replace(b"%b", services.token.encode())
    with services.untouched():
        assert_is(services.ask(twice), invalid("model"), CHAT)


@pytest.mark.parametrize("kilobytes", [33, 70, 1000])
def test_a_header_without_end_is_hung_up_on(services: Site, kilobytes: int) -> None:
    with services.untouched(), Wire(services.url) as wire:
        wire.send(post(HOST, "X-Y: " + "a" * (kilobytes << 10), LENGTH))
        assert wire.rest() == b""


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "FOO", "GET", "PUT", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize("path", ROUTES)
def test_another_method_is_told_which_one_there_is(services: Site, path: str, method: str) -> None:
    refusal = not_listed if (method, path.endswith(CHAT)) == ("GET", True) else not_allowed
    with services.untouched():
        assert_is(services.ask(request(method, path, services.headers())), refusal("POST"), path)
        assert_is(services.ask(request(method, path, {})), refusal("POST"), path)


@pytest.mark.parametrize(
    "target",
    [
        f"http://evil.test{CHAT}",
        "/v1/../admin",
        "/v1/chat%2fcompletions",
        f"{CHAT}%00",
        f"{CHAT};a=b",
        "/V1/chat/completions",
        "/v1/chat/completions\xff",
        "*",
        "evil.test:443",
        "/proxy/http://evil.test/v1/chat/completions",
        "/proxy/evil.test/v1/chat/completions",
        "/static/../server/app.py",
        "/static/%2e%2e/setup.py",
        "/.env",
    ],
)
def test_a_path_is_taken_as_it_stands(services: Site, target: str) -> None:
    with services.untouched():
        assert_is(services.ask(request("POST", target, services.headers(), BODY)), URL, target)


def test_a_body_for_nobody_is_not_waited_for(services: Site) -> None:
    """Else a stranger could have it collected: no route, no limit."""
    for path in ("/nowhere", "/v1/files", "/admins"):
        with services.untouched(), Wire(services.url) as wire:
            wire.send(request("POST", path, services.from_elsewhere() | {"Content-Length": str(1 << 39)}))
            assert_is_the_last(wire, URL, path)


def test_pipelined_requests_are_answered_in_order_and_each_shows_its_token(services: Site) -> None:
    first = request("POST", CHAT, services.headers(), b'{"model":1}')
    second = request("POST", MESSAGES, services.from_elsewhere() | {"Content-Type": "application/json"}, b"{}")
    with services.untouched(), Wire(services.url) as wire:
        wire.send(first + second + first)
        assert_is(wire.reply(), invalid("model"), CHAT)
        assert_is(wire.reply(), KEY, MESSAGES)
        assert_is(wire.reply(), invalid("model"), CHAT)


def test_after_a_refusal_the_connection_serves_on(services: Site) -> None:
    with services.untouched(), Wire(services.url) as wire:
        for _ in range(3):
            wire.send(request("POST", CHAT, services.headers(), b'{"model":1}'))
            reply = wire.reply()
            assert_is(reply, invalid("model"), CHAT)
            assert reply is not None
            assert "connection" not in reply.headers


def test_a_refusal_of_size_needs_a_token_too(services: Site) -> None:
    """A stranger learns nothing about limits."""
    with services.untouched():
        announced = {"Content-Length": str(1 << 40)}
        assert_is(services.ask(request("POST", CHAT, services.from_elsewhere() | announced)), KEY, CHAT)
        assert_is(services.ask(request("POST", CHAT, services.headers() | announced)), SIZE, CHAT)


def test_a_query_is_no_place_for_parameters(services: Site) -> None:
    with services.untouched():
        body = orjson.dumps({"model": None, "messages": []})
        assert_is(services.post(f"{CHAT}?model=gpt-5&api_base=http://127.0.0.1:9", body), invalid("model"), CHAT)
