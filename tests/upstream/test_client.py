"""The client over real sockets, on both event loops: what it keeps, what it closes, and how its waits end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from server.httpclient.addresses import target_of
from server.httpclient.client import HttpClient
from server.httpclient.connecting import connect
from server.httpclient.connection import HIGH
from server.httpclient.errors import CannotConnect, ConnectionDropped, HttpFailure, MalformedAnswer, NoAnswerInTime
from tests.upstream.conftest import Run
from tests.upstream.servers import DIRECTLY, Talk, always, answering, asking, body_of, client, serving

OK = b"HTTP/1.1 200 OK\r\n"
ANSWER = OK + b"Content-Length: 2\r\n\r\nhi"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LARGE = bytes(range(256)) * (48 << 10)  # 12 MiB: more than the kernel's buffers take


def test_requests_go_out_one_after_another_over_one_connection(run: Run) -> None:
    async def test() -> None:
        async with serving(always(ANSWER)) as served, client() as asked:
            for _ in range(3):
                assert await body_of(asked, served.url()) == (200, b"hi")
            assert (served.connections, len(served.heads)) == (1, 3)
            assert served.heads[0] == (
                b"POST /v1/x HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nX-Test: 1\r\nContent-Length: 2\r\n\r\n" % served.port
            )
            await asyncio.gather(*(body_of(asked, served.url()) for _ in range(3)))
            assert served.connections == 3

    run(test())


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        ANSWER + b"more",
        OK + b"Keep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nhi",
    ],
)
def test_a_connection_is_not_kept_where_the_server_ends_it_or_cannot_be_trusted_with_it(
    run: Run, answer: bytes
) -> None:
    async def test() -> None:
        async with serving(always(answer)) as served, client(glance=0.01) as asked:
            assert await body_of(asked, served.url()) == (200, b"hi")
            await served.left.wait()
            assert await body_of(asked, served.url()) == (200, b"hi")
            assert served.connections == 2

    run(test())


def test_a_kept_connection_ends_when_it_is_old_or_when_something_comes_that_was_not_asked_for(run: Run) -> None:
    async def speaking_first(talk: Talk) -> None:
        await talk.request()
        await talk.say(ANSWER)
        await talk.say(ANSWER)
        await talk.gone()

    async def test() -> None:
        async with serving(always(ANSWER)) as served, client(kept=0.02, glance=0.01) as asked:
            await body_of(asked, served.url())
            await served.left.wait()
        async with serving(speaking_first) as served, client() as asked:
            await body_of(asked, served.url())
            await served.left.wait()

    run(test())


def test_what_met_a_closing_connection_says_so_and_what_met_a_new_one_does_not(run: Run) -> None:
    async def one_each(talk: Talk) -> None:
        await talk.request()
        await talk.say(ANSWER)
        await talk.request()

    async def partly(talk: Talk) -> None:
        await talk.request()
        await talk.say(ANSWER)
        await talk.request()
        await talk.say(b"HTTP/1.1 ")

    async def never(talk: Talk) -> None:
        await talk.request()

    async def untouched(asked: HttpClient, url: str) -> bool:
        with pytest.raises(ConnectionDropped) as dropped:
            await body_of(asked, url)
        return dropped.value.untouched

    async def test() -> None:
        for script, kept, expected in ((one_each, True, True), (partly, True, False), (never, False, False)):
            async with serving(script) as served, client() as asked:
                if kept:
                    await body_of(asked, served.url())
                assert await untouched(asked, served.url()) is expected

    run(test())


def test_a_server_that_speaks_before_it_is_asked_is_not_believed(run: Run) -> None:
    async def script(talk: Talk) -> None:
        await talk.say(ANSWER)
        await talk.gone()

    async def test() -> None:
        async with serving(script) as served:
            opened = await connect(target_of(served.url()).origin, DIRECTLY, 5.0)
            await served.left.wait()
            with pytest.raises(ConnectionDropped):
                opened.start(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"", bodiless=False)
            assert not opened.untouched

    run(test())


def test_over_a_connection_of_its_own_and_no_other(run: Run) -> None:
    async def test() -> None:
        async with serving(always(ANSWER)) as served, client() as asked:
            await body_of(asked, served.url())
            async with await asked.send("GET", served.url(), {}, b"", 5.0, DIRECTLY, anew=True, keep=False) as response:
                assert await response.read() == b"hi"
            await served.left.wait()
            await body_of(asked, served.url())
            assert served.connections == 2

    run(test())


def test_an_answer_in_every_way_that_http_has(run: Run) -> None:
    cases = {
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ANSWER: b"hi",
        CHUNKED + b"1;ext=1\r\nh\r\n1\r\ni\r\n0\r\nTrailer: x\r\n\r\n": b"hi",
        OK + b"\r\nhi": b"hi",
        b"HTTP/1.0 200 OK\r\n\r\nhi": b"hi",
        b"HTTP/1.1 204 No Content\r\n\r\n": b"",
        b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\nContent-Length: 2\r\n\r\nhi": b"hi",
    }

    async def test() -> None:
        for answer, body in cases.items():
            async with serving(answering(answer)) as served, client() as asked:
                status, found = await body_of(asked, served.url())
                assert (status, found) == (int(answer.rpartition(b"HTTP/1.")[2][2:5]), body)
                assert len(served.heads) == 1

    run(test())


def test_the_answer_to_head_has_no_body(run: Run) -> None:
    async def test() -> None:
        async with serving(answering(OK + b"Content-Length: 2\r\n\r\n")) as served, client() as asked:
            assert await body_of(asked, served.url(), "HEAD", b"") == (200, b"")

    run(test())


@pytest.mark.parametrize(
    "answer",
    [
        b"nonsense\r\n\r\n",
        OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi!",
        OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ],
)
def test_what_is_no_answer_is_refused_and_its_connection_closed(run: Run, answer: bytes) -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(answer)
        await talk.gone()

    async def test() -> None:
        async with serving(script) as served, client() as asked:
            with pytest.raises(MalformedAnswer):
                await body_of(asked, served.url())
            await served.left.wait()

    run(test())


def test_what_came_before_an_answer_broke_is_read_before_it_is_said(run: Run) -> None:
    endings: dict[bytes, type[HttpFailure]] = {b"": ConnectionDropped, b"zz\r\n": MalformedAnswer}

    async def test() -> None:
        for ending, error in endings.items():
            async with asking(answering(CHUNKED + b"2\r\nhi\r\n" + ending)) as (_served, response):
                assert await response.read() == b"hi"
                for _ in range(2):
                    with pytest.raises(error):
                        await response.read()

    run(test())


def test_a_reset_is_an_answer_that_broke_whatever_its_end_would_have_been(run: Run) -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(OK + b"\r\nhi")
        opened = talk.writer.get_extra_info("socket")
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await hit.wait()
        talk.writer.transport.abort()

    hit = asyncio.Event()

    async def test() -> None:
        async with asking(script) as (_served, response):
            assert await response.read() == b"hi"
            hit.set()
            with pytest.raises(ConnectionDropped):
                await response.read()

    run(test())


def test_nothing_to_connect_to(run: Run) -> None:
    async def test() -> None:
        async with client() as asked:
            with socket.socket() as unused:
                unused.bind(("127.0.0.1", 0))
                for host in ("127.0.0.1", "no-such-name.invalid"):
                    with pytest.raises(CannotConnect):
                        await body_of(asked, f"http://{host}:{unused.getsockname()[1]}/")

    run(test())


@pytest.mark.parametrize("before", [b"", OK, b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_a_head_that_does_not_come_in_time(run: Run, before: bytes) -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(before)
        await talk.gone()

    async def test() -> None:
        async with serving(script) as served, client(glance=0.01) as asked:
            with pytest.raises(NoAnswerInTime):
                await body_of(asked, served.url(), patience=0.05)
            await served.left.wait()

    run(test())


@pytest.mark.slow
def test_a_silence_within_an_answer_ends_it_and_a_slow_answer_does_not_end(run: Run) -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(CHUNKED)
        for _ in range(12):
            await talk.say(b"2\r\nhi\r\n")
            await asyncio.sleep(0.02)
        await talk.gone()

    async def test() -> None:
        async with asking(script, patience=0.05, idle=0.15, glance=0.01) as (served, response):
            heard = b""
            with pytest.raises(NoAnswerInTime):
                while True:
                    heard += await response.read()
            assert heard == b"hi" * 12
            await served.left.wait()

    run(test())


@pytest.mark.parametrize("begun", [False, True])
def test_a_request_that_is_given_up_closes_its_socket_at_once(run: Run, begun: bool) -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        if begun:
            await talk.say(CHUNKED + b"2\r\nhi\r\n")
        await talk.gone()

    async def test() -> None:
        async with serving(script) as served, client() as asked:
            task = asyncio.create_task(body_of(asked, served.url()))
            while not served.bodies:
                await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await served.left.wait()

    run(test())


def test_leaving_the_block_early_closes_the_socket(run: Run) -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(CHUNKED + b"2\r\nhi\r\n")
        await talk.gone()

    async def test() -> None:
        async with serving(script) as served, client() as asked:
            response = await asked.send("POST", served.url(), {}, b"{}", 5.0, DIRECTLY)
            assert await response.read() == b"hi"
            for _ in range(2):
                response.close()
            await served.left.wait()
            with pytest.raises(ConnectionDropped):  # what follows there belongs to another request
                await response.read()

    run(test())


@pytest.mark.slow
def test_a_slow_reader_slows_the_server_down(run: Run) -> None:
    sent = 0

    async def script(talk: Talk) -> None:
        nonlocal sent
        await talk.request()
        await talk.say(OK + b"Content-Length: %d\r\n\r\n" % (4 * len(LARGE)))
        for _ in range(4):
            for at in range(0, len(LARGE), 1 << 16):
                await talk.say(LARGE[at : at + (1 << 16)])
                sent += 1 << 16

    async def test() -> None:
        async with asking(script) as (_served, response):
            before = -1
            while before != sent:  # until the server can write no more
                before = sent
                await asyncio.sleep(0.05)
            assert sent < 3 * len(LARGE)
            length, longest = 0, 0
            while piece := await response.read():
                length, longest = length + len(piece), max(longest, len(piece))
            assert length == 4 * len(LARGE)
            assert longest <= HIGH + (512 << 10)  # what waits, and one piece of the socket's

    run(test())


@pytest.mark.slow
def test_a_large_body_goes_out_whole_and_is_not_copied(run: Run) -> None:
    async def script(talk: Talk) -> None:
        await talk.head()
        length = 0
        while length < len(LARGE):
            piece = await talk.reader.read(1 << 16)
            assert piece == LARGE[length : length + len(piece)]
            length += len(piece)
        await talk.say(ANSWER)

    async def test() -> None:
        async with serving(script) as served, client() as asked:
            tracemalloc.start()
            try:
                assert await body_of(asked, served.url(), body=LARGE) == (200, b"hi")
                assert tracemalloc.get_traced_memory()[1] < len(LARGE) / 4
            finally:
                tracemalloc.stop()

    run(test())


def test_an_answer_that_begins_before_the_body_is_written_is_heard_and_its_connection_ends(run: Run) -> None:
    async def script(talk: Talk) -> None:
        await talk.head()
        await talk.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await talk.gone()

    async def test() -> None:
        async with serving(script) as served, client() as asked:
            assert await body_of(asked, served.url(), body=LARGE * 2) == (413, b"no")
            await served.left.wait()

    run(test())


def test_a_name_with_several_addresses_is_reached_by_the_one_that_answers(run: Run) -> None:
    async def test() -> None:
        async with serving(always(ANSWER)) as served, client() as asked:  # on 127.0.0.1, and not on ::1
            assert await body_of(asked, served.url("localhost")) == (200, b"hi")

    run(test())


def test_an_address_of_ipv6(run: Run) -> None:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as tried:
        tried.bind(("::1", 0))

        async def test() -> None:
            async with serving(always(ANSWER), host="::1") as served, client() as asked:
                assert await body_of(asked, served.url("[::1]")) == (200, b"hi")
                assert b"Host: [::1]:%d" % served.port in served.heads[0]

        run(test())
        return
    pytest.skip("this machine has no IPv6")  # what is read of such an address, test_proxies.py tries everywhere


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts the timers that are set."""

    timers = 0

    def call_at(self, when: float, callback: Callable[..., Any], *args: Any, **more: Any) -> asyncio.TimerHandle:
        self.timers += 1
        return super().call_at(when, callback, *args, **more)


def test_no_read_sets_a_timer() -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(CHUNKED)
        for _ in range(500):
            await talk.say(b"2\r\nhi\r\n")
            await asyncio.sleep(0)
        await talk.say(b"0\r\n\r\n")

    async def test() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, CountingLoop)
        async with asking(script, glance=60.0) as (_served, response):
            before, reads = loop.timers, 0
            while await response.read():
                reads += 1
            assert reads > 20
            assert loop.timers == before

    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        runner.run(test())
