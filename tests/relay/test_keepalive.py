"""The heart beats in silence only: not inside of an event, not on top of what was not taken, not after the end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from keypool.queues import Forecast
from server.relay.context import ClientLeft
from server.relay.keepalive import STREAM_HEADERS, Keepalive, KeepaliveTiming
from server.wire.openai import OPENAI

SHORT = KeepaliveTiming(queued=0.001, silent=0.001, every=0.001)
SILENCE = 0.03  # seconds: many beats long
BEAT = b": alive\n\n"


class Slow:
    """A client that takes a piece when its gate is open."""

    def __init__(self) -> None:
        self.started = False
        self.heads: list[Mapping[str, str]] = []
        self.pieces: list[bytes] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.writing = 0
        self.gone = False
        self._changed = asyncio.Event()

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        self.heads.append(headers)

    async def send(self, chunk: bytes) -> None:
        if self.gone:
            raise ClientLeft
        self.started = True
        self.pieces.append(chunk)
        self._changed.set()
        self.writing += 1
        assert self.writing == 1, "one piece at a time: the connection has one place for what is being written"
        await self.gate.wait()
        self.writing -= 1

    def send_now(self, chunk: bytes) -> bool:
        if self.gone or not self.gate.is_set():
            return False
        self.pieces.append(chunk)
        return True

    def end(self) -> None:
        """The tests look at the pieces."""

    async def beats(self, number: int) -> None:
        """Return when there have been so many."""
        while self.pieces.count(BEAT) < number:
            await self.another()

    async def another(self) -> None:
        """Return when there is another piece."""
        self._changed.clear()
        await self._changed.wait()


def keepalive(sink: Slow, *, silent: bool = False, timing: KeepaliveTiming = SHORT) -> Keepalive:
    async def nowhere() -> Forecast | None:
        return None

    return Keepalive(sink, None if silent else always, timing, nowhere, {"X-Mine": "1"})


def always(position: int | None, wait: float | None, latest: float | None = None, longer: float = 0.0) -> bytes:
    return BEAT


async def grown() -> list[bytes]:
    """The signs of a request whose wait falls, grows, and is over."""
    sink, said = Slow(), iter([(3, 10.0, 20.0), (2, 9.0, 18.0), (2, 30.0, 60.0)])

    async def outlook() -> Forecast | None:
        found = next(said, None)
        return None if found is None else Forecast(*found)

    heart = Keepalive(sink, OPENAI.heartbeat, SHORT, outlook, {})
    heart.start()
    while len(sink.pieces) < 4:
        await sink.another()
    await heart.stop()
    return sink.pieces[:4]


def test_a_wait_that_has_grown_since_the_last_sign_says_so() -> None:
    assert asyncio.run(grown()) == [
        b": queued position=3 wait=10s latest=20s\n\n",
        b": queued position=2 wait=9s latest=18s\n\n",
        b": queued position=2 wait=30s latest=60s longer=21s\n\n",
        b": waiting\n\n",
    ]


@pytest.mark.gen_test
async def test_it_opens_the_stream_once_and_beats_until_it_is_stopped() -> None:
    sink = Slow()
    beating = keepalive(sink)
    beating.start()
    await sink.beats(3)
    await beating.stop()
    number = len(sink.pieces)
    await asyncio.sleep(SILENCE)
    assert len(sink.pieces) == number
    assert sink.heads == [{**STREAM_HEADERS, "X-Mine": "1"}]


@pytest.mark.gen_test
async def test_between_two_pieces_it_beats_and_inside_of_an_event_it_does_not() -> None:
    sink = Slow()
    beating = keepalive(sink)
    beating.start()
    beating.granted()
    await beating.send(b"data: a\n\n", between=True)
    await sink.beats(2)
    await beating.send(b"data: a pic", between=False)
    number = len(sink.pieces)
    await asyncio.sleep(SILENCE)
    assert len(sink.pieces) == number
    await beating.send(b"ture\n\n", between=True)
    await sink.beats(number + 1)
    await beating.stop()
    assert b"".join(piece for piece in sink.pieces if piece != BEAT) == b"data: a\n\ndata: a picture\n\n"


@pytest.mark.gen_test
async def test_a_client_that_takes_nothing_gets_nothing_on_top() -> None:
    sink = Slow()
    beating = keepalive(sink)
    beating.start()
    sink.gate.clear()
    sending = asyncio.create_task(beating.send(b"data: a\n\n", between=True))
    await asyncio.sleep(SILENCE)
    assert sink.pieces == [b"data: a\n\n"]
    sink.gate.set()
    await sending
    await sink.beats(1)
    await beating.stop()


@pytest.mark.gen_test
async def test_a_beat_that_is_not_taken_is_the_only_one_and_the_answer_waits_for_it() -> None:
    sink = Slow()
    beating = keepalive(sink)
    sink.gate.clear()
    beating.start()
    await sink.beats(1)
    assert not beating.send_now(b"data: a\n\n", between=True)
    sending = asyncio.create_task(beating.send(b"data: a\n\n", between=True))
    await asyncio.sleep(SILENCE)
    assert sink.pieces == [BEAT]
    sink.gate.set()
    await sending
    assert sink.pieces[1] == b"data: a\n\n"
    await beating.stop()


@pytest.mark.gen_test
async def test_whoever_asked_for_none_gets_none() -> None:
    sink = Slow()
    beating = keepalive(sink, silent=True)
    beating.start()
    beating.granted()
    await beating.send(b"data: a\n\n", between=True)
    await asyncio.sleep(SILENCE)
    await beating.stop()
    assert sink.pieces == [b"data: a\n\n"]


@pytest.mark.gen_test
async def test_a_busy_stream_gets_no_beats() -> None:
    sink = Slow()
    beating = keepalive(sink, timing=KeepaliveTiming(queued=60.0, silent=60.0, every=60.0))
    beating.start()
    beating.granted()
    for _ in range(50):
        await beating.send(b"data: a\n\n", between=True)
        await asyncio.sleep(0)
    await beating.stop()
    assert sink.pieces == [b"data: a\n\n"] * 50


@pytest.mark.gen_test
async def test_a_client_that_left_between_two_events_ends_its_request() -> None:
    sink = Slow()

    async def serve() -> None:
        beating = keepalive(sink)
        beating.start()
        await beating.send(b"data: a\n\n", between=True)
        sink.gone = True
        await asyncio.Event().wait()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(serve())
