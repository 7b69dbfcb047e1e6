"""One connection without a socket: order, bounds, times and ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    HTTPOutputError,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.iostream import StreamClosedError

from server.http.transport.client import BAD_REQUEST, CONTINUE, DROPPED_BYTES
from server.http.transport.exchange import Exchange
from server.http.transport.server import READ_AT_ONCE, ConnectionBounds
from tests.transport.memory import Line, turns

BOUNDS = ConnectionBounds(
    most_header=1000, most_body=100_000, header_seconds=10, kept_seconds=70, body_seconds=30, write_seconds=50
)
GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
CHUNKED = b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Asked(HTTPMessageDelegate):
    """A request whose test says what its handler does. `heard`: what it was called with, in order."""

    def __init__(self, app: App, connection: HTTPConnection) -> None:
        assert isinstance(connection, Exchange)
        self.exchange, self._app = connection, app
        self.heard: list[str] = []
        self.body = bytearray()
        connection.set_close_callback(lambda: self.heard.append("left"))

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        assert isinstance(start_line, RequestStartLine)
        self.heard.append(start_line.path)
        return self._app.preparing

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        self.body += chunk
        self.heard.append("data")
        return self._app.taking

    def finish(self) -> None:
        self.heard.append("all")

    def on_connection_close(self) -> None:
        self.heard.append("closed")

    def answer(self, body: bytes = b"", code: int = 200, reason: str = "OK", **headers: str) -> None:
        """The whole answer, with its length."""
        named = HTTPHeaders({name.replace("_", "-"): value for name, value in headers.items()})
        named["Content-Length"] = str(len(body))
        self.exchange.write_headers(ResponseStartLine("", code, reason), named, body)
        self.exchange.finish()


class App(HTTPServerConnectionDelegate):
    """Keeps the requests. `preparing`, `taking`: what each handler waits for before its body, and with each piece."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.preparing: asyncio.Future[None] | None = None
        self.taking: asyncio.Future[None] | None = None

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        self.asked.append(Asked(self, request_conn))
        return self.asked[-1]


class Talk(Line):
    """A client and its application."""

    def __init__(self) -> None:
        self.app = App()
        super().__init__(self.app, BOUNDS)

    def after(self, seconds: float) -> bool:
        """Whether the connection has been ended when so much time has gone by."""
        self.server.end_overdue(self.server.loop.time() + seconds)
        return self.transport.aborted


# Order


@pytest.mark.gen_test
async def test_what_is_sent_behind_a_request_waits_for_its_answer() -> None:
    talk = Talk()
    talk.send(GET + POST + b"hello" + GET)
    await turns()
    assert [asked.heard for asked in talk.app.asked] == [["/a", "all"]]
    talk.app.asked[0].answer(b"one")
    await turns()
    assert [asked.heard for asked in talk.app.asked] == [["/a", "all"], ["/b", "data", "all"]]
    talk.app.asked[1].answer(b"two")
    await turns()
    assert len(talk.app.asked) == 3
    assert talk.transport.written.count(b"HTTP/1.1 200 OK") == 2
    assert talk.transport.written.endswith(b"\r\n\r\ntwo")


@pytest.mark.gen_test
async def test_while_an_answer_is_made_no_more_is_read_than_may_wait() -> None:
    talk = Talk()
    talk.send(GET + b"x" * BOUNDS.most_header)
    assert talk.transport.reading
    talk.send(b"x")
    assert not talk.transport.reading
    talk.app.asked[0].answer()
    await turns()
    assert talk.transport.aborted, "it was no head"


@pytest.mark.gen_test
async def test_reading_goes_on_when_what_waited_has_become_a_request() -> None:
    talk = Talk()
    talk.send(GET * 100)
    for _ in range(99):
        talk.app.asked[-1].answer()
        await turns(3)
    assert len(talk.app.asked) == 100
    assert talk.transport.reading


@pytest.mark.gen_test
async def test_one_answer_is_one_write() -> None:
    talk = Talk()
    talk.send(GET)
    talk.app.asked[0].answer(b"x" * 1000)
    await turns()
    talk.send(GET)
    exchange = talk.app.asked[1].exchange
    exchange.write_headers(ResponseStartLine("", 200, "OK"), HTTPHeaders(), b"first")
    exchange.write(b"second")
    await turns()
    exchange.write(b"third")
    exchange.finish()
    assert [write.count(b"HTTP/1.1") for write in talk.transport.writes] == [1, 1, 0]
    assert talk.transport.writes[1].endswith(b"\r\n\r\n5\r\nfirst\r\n6\r\nsecond\r\n")
    assert talk.transport.writes[2] == b"5\r\nthird\r\n0\r\n\r\n"


@pytest.mark.gen_test
async def test_a_piece_of_a_stream_waits_for_no_turn_of_the_loop() -> None:
    talk = Talk()
    talk.send(GET)
    exchange = talk.app.asked[0].exchange
    exchange.write_headers(ResponseStartLine("", 200, "OK"), HTTPHeaders(), b"first")
    exchange.write_now(b"second")  # behind what waits
    assert not talk.transport.writes
    await turns()
    exchange.write_now(b"third")
    assert talk.transport.writes[1:] == [b"5\r\nthird\r\n"]


# Bodies


@pytest.mark.gen_test
async def test_the_body_waits_for_the_handler_and_the_handler_for_the_body() -> None:
    talk = Talk()
    talk.app.preparing = talk.server.loop.create_future()
    talk.app.taking = talk.server.loop.create_future()
    talk.send(POST + b"hel")
    await turns()
    assert talk.app.asked[0].heard == ["/b"]
    talk.app.preparing.set_result(None)
    await turns()
    assert talk.app.asked[0].heard == ["/b", "data"]
    talk.send(b"lo" + b"x" * 2000)
    await turns()
    assert talk.app.asked[0].heard == ["/b", "data"], "it is still busy with the first piece"
    assert not talk.transport.reading
    talk.app.taking.set_result(None)
    await turns()
    assert talk.app.asked[0].heard == ["/b", "data", "data", "all"]
    assert talk.app.asked[0].body == b"hello"


@pytest.mark.gen_test
async def test_a_handler_that_takes_the_last_chunk_slowly_gets_nothing_of_the_next_request() -> None:
    talk = Talk()
    talk.app.taking = talk.server.loop.create_future()
    talk.send(CHUNKED + b"5\r\nhello\r\n0\r\n\r\n" + GET)
    await turns()
    assert talk.app.asked[0].heard == ["/c", "data"]
    talk.app.taking.set_result(None)
    await turns()
    assert talk.app.asked[0].heard == ["/c", "data", "all"]
    talk.app.asked[0].answer()
    await turns()
    assert talk.app.asked[1].heard == ["/a", "all"]


@pytest.mark.parametrize("length", [1, READ_AT_ONCE - 1, READ_AT_ONCE + 1, 100_000])
@pytest.mark.gen_test
async def test_a_body_comes_whole(length: int) -> None:
    talk = Talk()
    body = bytes(range(251)) * 400
    talk.send(POST.replace(b"5", b"%d" % length) + body[:length] + GET)
    await turns()
    assert bytes(talk.app.asked[0].body) == body[:length]
    assert talk.app.asked[0].heard[-1] == "all"


@pytest.mark.gen_test
async def test_tiny_chunks_leave_others_their_turns() -> None:
    talk = Talk()
    talk.send(CHUNKED + b"1\r\nx\r\n" * 5000 + b"0\r\n\r\n")
    assert not talk.transport.reading
    assert "all" not in talk.app.asked[0].heard
    await turns(20)
    assert talk.app.asked[0].body == b"x" * 5000
    assert talk.app.asked[0].heard[-1] == "all"
    assert talk.transport.reading


@pytest.mark.parametrize(
    "data",
    [
        POST.replace(b"5", b"100001"),
        CHUNKED + b"186a1\r\n",
        CHUNKED + b"5\r\nhello!",
        CHUNKED + b"5;a=b\r\nhello",
        POST.replace(b"Host", b"Transfer-Encoding: chunked\r\nHost"),
    ],
)
@pytest.mark.gen_test
async def test_a_body_that_is_none_ends_the_connection(data: bytes) -> None:
    talk = Talk()
    talk.send(data)
    await turns()
    assert talk.transport.written == BAD_REQUEST
    assert talk.transport.half_closed
    assert talk.app.asked[0].heard[-1] == "closed"


@pytest.mark.gen_test
async def test_a_handler_may_say_how_much_and_how_long() -> None:
    talk = Talk()
    talk.app.preparing = talk.server.loop.create_future()
    talk.send(POST + b"hell")
    talk.app.asked[0].exchange.set_body_timeout(5.0)
    talk.app.preparing.set_result(None)
    await turns()
    assert talk.after(6.0)
    talk = Talk()
    talk.app.preparing = talk.server.loop.create_future()
    talk.send(POST + b"hello")
    talk.app.asked[0].exchange.set_max_body_size(4)
    talk.app.preparing.set_result(None)
    await turns()
    assert talk.transport.written == BAD_REQUEST


@pytest.mark.parametrize(
    ("head", "asked_for"),
    [
        (POST.replace(b"Host", b"Expect: 100-continue\r\nHost"), True),
        (POST.replace(b"Host", b"Expect: 100-Continue\r\nHost"), True),
        (POST.replace(b"Host", b"Expect: 100-continue\r\nHost").replace(b"1.1", b"1.0"), False),
        (POST.replace(b"Host", b"Expect: something\r\nHost"), False),
        (POST.replace(b"Host", b"Expect: 100-continue\r\nHost") + b"h", False),
        (GET.replace(b"Host", b"Expect: 100-continue\r\nHost"), False),
        (POST, False),
    ],
)
@pytest.mark.gen_test
async def test_a_body_is_asked_for_where_its_client_waits(head: bytes, asked_for: bool) -> None:
    talk = Talk()
    talk.app.preparing = talk.server.loop.create_future()
    talk.send(head)
    await turns()
    assert talk.transport.writes == [], "not before the handler wants it"
    talk.app.preparing.set_result(None)
    await turns()
    assert talk.transport.writes == ([CONTINUE] if asked_for else [])


# Times, of which none is measured here


@pytest.mark.gen_test
async def test_how_long_a_client_may_be_silent() -> None:
    talk = Talk()
    assert not talk.after(9)
    assert talk.after(11), "a new connection"
    talk = Talk()
    talk.send(GET)
    assert not talk.after(10_000), "an answer has the time that its handler gives it"
    talk.app.asked[0].answer()
    await turns()
    assert not talk.after(69), "between two requests"
    talk.send(b"GET")
    assert not talk.after(9)
    assert talk.after(11), "from the first byte on it has the time of a head"
    talk = Talk()
    talk.send(POST + b"hell")
    assert not talk.after(29)
    assert talk.after(31), "a body"
    assert talk.transport.writes == []


@pytest.mark.gen_test
async def test_one_byte_now_and_then_gives_no_more_time() -> None:
    talk = Talk()
    talk.send(b"G")
    before = talk.client.deadline
    talk.send(b"E")
    assert talk.client.deadline == before
    talk.send(GET[2:])
    talk.app.asked[0].answer()
    talk.send(POST + b"h")
    before = talk.client.deadline
    talk.send(b"e")
    assert talk.client.deadline == before


@pytest.mark.gen_test
async def test_who_does_not_read_the_last_answer_is_not_waited_for_for_ever() -> None:
    for head in (GET, GET.replace(b"Host", b"Connection: close\r\nHost")):
        talk = Talk()
        talk.send(head)
        talk.client.pause_writing()
        talk.app.asked[0].answer()
        await turns()
        talk.send(GET)
        assert len(talk.app.asked) == 1, "the next request waits until the client has read"
        assert not talk.after(49)
        assert talk.after(51)


@pytest.mark.gen_test
async def test_a_client_that_reads_again_is_served_again() -> None:
    talk = Talk()
    talk.send(GET + GET)
    talk.client.pause_writing()
    talk.app.asked[0].answer()
    await turns()
    talk.client.resume_writing()
    await turns()
    assert len(talk.app.asked) == 2


# Writing no faster than the client reads


@pytest.mark.gen_test
async def test_who_writes_waits_for_a_client_that_does_not_read() -> None:
    talk = Talk()
    talk.send(GET)
    exchange = talk.app.asked[0].exchange
    assert exchange.write_headers(ResponseStartLine("", 200, "OK"), HTTPHeaders(), b"x").done()
    talk.client.pause_writing()
    waiting = exchange.write(b"y")
    assert not waiting.done()
    talk.client.resume_writing()
    assert waiting.done()
    talk.client.pause_writing()
    waiting = exchange.write(b"z")
    waiting.cancel()
    again = exchange.write(b"z")
    assert not again.done(), "a writer that has given up takes nothing from the next one"
    talk.lose()
    with pytest.raises(StreamClosedError):
        await again
    with pytest.raises(StreamClosedError):
        await exchange.write(b"late")


# Ends


@pytest.mark.parametrize("end", ["eof", "lost", "close"])
@pytest.mark.parametrize(
    ("data", "heard"), [(GET, ["/a", "all", "left"]), (POST + b"hell", ["/b", "data", "closed"]), (b"GET", None)]
)
@pytest.mark.gen_test
async def test_a_request_hears_once_that_its_client_has_left(data: bytes, heard: list[str] | None, end: str) -> None:
    talk = Talk()
    talk.send(data)
    if end == "eof":
        assert not talk.client.eof_received()
    elif end == "close":
        talk.client.close()
    talk.client.connection_lost(None)
    await turns()
    assert [asked.heard for asked in talk.app.asked] == ([heard] if heard else [])
    assert talk.client.closed()


@pytest.mark.gen_test
async def test_a_handler_that_decides_hears_it_afterwards() -> None:
    """Else it would hold what it has not taken yet, and not give it back."""
    talk = Talk()
    talk.app.preparing = talk.server.loop.create_future()
    talk.send(POST + b"hello")
    talk.lose()
    await turns()
    assert talk.app.asked[0].heard == ["/b"]
    talk.app.preparing.set_result(None)
    await turns()
    assert talk.app.asked[0].heard == ["/b", "closed"]


@pytest.mark.gen_test
async def test_an_answer_before_its_body_is_the_last_and_is_not_destroyed_by_what_still_comes() -> None:
    talk = Talk()
    talk.send(POST + b"he")
    talk.app.asked[0].answer(b"no")
    await turns()
    assert talk.app.asked[0].heard == ["/b", "data", "closed"]
    assert (talk.transport.half_closed, talk.transport.closing) == (True, False)
    talk.send(b"llo" + GET)
    assert len(talk.app.asked) == 1
    talk.send(b"x" * DROPPED_BYTES)
    assert talk.transport.aborted


@pytest.mark.gen_test
async def test_what_is_dropped_behind_the_last_word_is_bounded_in_time() -> None:
    talk = Talk()
    talk.send(b"nonsense\r\n\r\n")
    assert talk.transport.written == BAD_REQUEST
    assert talk.after(3)


@pytest.mark.gen_test
async def test_a_head_that_is_too_long_ends_the_connection_without_a_word() -> None:
    talk = Talk()
    talk.send(b"GET / HTTP/1.1\r\nX: " + b"x" * 1000)
    assert (talk.transport.aborted, talk.transport.writes, talk.app.asked) == (True, [], [])


@pytest.mark.gen_test
async def test_what_an_application_finds_wrong_with_a_head_is_told_in_the_same_words() -> None:
    class Strict(App):
        def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
            raise HTTPInputError("no host")

    line = Line(Strict(), BOUNDS)
    line.send(GET)
    assert line.transport.written == BAD_REQUEST


@pytest.mark.gen_test
async def test_a_fault_outside_of_any_handler_ends_one_connection(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(App):
        def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
            raise RuntimeError("secret")

    line = Line(Broken(), BOUNDS)
    line.send(GET)
    assert line.transport.aborted
    assert [record.getMessage() for record in caplog.records] == ["a connection is closed: RuntimeError"]


@pytest.mark.gen_test
async def test_an_answer_is_as_long_as_it_says() -> None:
    for body, ends in ((b"", True), (b"toolong", False)):
        talk = Talk()
        talk.send(GET)
        exchange = talk.app.asked[0].exchange
        exchange.write_headers(ResponseStartLine("", 200, "OK"), HTTPHeaders({"Content-Length": "5"}))
        with pytest.raises(HTTPOutputError):
            exchange.finish() if ends else exchange.write(body)
        assert talk.client.closed()


@pytest.mark.gen_test
async def test_all_connections_end_with_their_server() -> None:
    talk = Talk()
    talk.send(GET)
    ending = asyncio.ensure_future(talk.server.close_all_connections())
    await turns()
    assert talk.transport.aborted
    assert not ending.done()
    talk.client.connection_lost(None)
    await ending
    assert talk.app.asked[0].heard == ["/a", "all", "left"]
