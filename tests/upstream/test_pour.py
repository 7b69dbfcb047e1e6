"""Pieces of an answer that are handed on within the loop's own call: which ones, until when, and what ends it."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from server.httpclient.connection import HIGH, POURED, Connection
from server.httpclient.errors import HttpFailure, MalformedAnswer, NoAnswerInTime

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Wire:
    """A transport that takes everything, and notes whether it is read from."""

    reading = True
    closing = False

    def write(self, data: bytes) -> None:
        """It goes nowhere."""

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def abort(self) -> None:
        self.closing = True


class Answered:
    """A connection whose answer has begun, and what was handed on of it. `full_at`: the piece that is not taken."""

    def __init__(self, full_at: int = 0) -> None:
        self.wire, self.pieces, self.full_at = Wire(), list[bytes](), full_at
        self.connection = Connection(asyncio.get_running_loop())
        self.connection.connection_made(cast(Any, self.wire))
        self.connection.start(b"POST / HTTP/1.1\r\n\r\n", b"", bodiless=False)
        self.connection.data_received(HEAD)

    def take(self, piece: bytes) -> bool:
        self.pieces.append(piece)
        return len(self.pieces) != self.full_at

    async def pouring(self) -> asyncio.Task[None]:
        task = asyncio.create_task(self.connection.pour(9.0, self.take))
        await asyncio.sleep(0)
        return task

    def comes(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.connection.data_received(b"%x\r\n%b\r\n" % (len(piece), piece))

    async def read(self) -> bytes:
        return await self.connection.read(9.0)


@pytest.mark.gen_test
async def test_pieces_are_handed_on_as_they_come_and_no_task_runs_for_them() -> None:
    answered = Answered()
    task = await answered.pouring()
    answered.comes(b"a", b"b", b"c")
    assert (answered.pieces, task.done()) == ([b"a", b"b", b"c"], False)
    answered.connection.data_received(b"1\r\nd\r\n0\r\n\r\n")
    await task
    assert (answered.pieces, await answered.read()) == ([b"a", b"b", b"c", b"d"], b"")
    assert answered.connection.release()


@pytest.mark.gen_test
async def test_what_comes_behind_a_piece_that_was_not_taken_is_read() -> None:
    answered = Answered(full_at=2)
    task = await answered.pouring()
    answered.comes(b"a", b"b", b"c", b"d")
    await task
    assert (answered.pieces, await answered.read()) == ([b"a", b"b"], b"cd")


@pytest.mark.gen_test
async def test_much_at_once_is_read_and_paused_as_ever() -> None:
    answered = Answered()
    task = await answered.pouring()
    answered.comes(b"a" * POURED, b"b" * (POURED + 1), b"c", b"d" * HIGH)
    await task
    assert (answered.pieces, answered.wire.reading) == ([b"a" * POURED], False)
    assert await answered.read() == b"b" * (POURED + 1) + b"c" + b"d" * HIGH
    assert answered.wire.reading


@pytest.mark.gen_test
async def test_it_does_not_begin_where_a_read_has_something_to_say() -> None:
    answered = Answered()
    answered.comes(b"a")
    await (await answered.pouring())
    assert (answered.pieces, await answered.read()) == ([], b"a")
    answered.connection.data_received(b"0\r\n\r\n")
    await (await answered.pouring())
    assert await answered.read() == b""


@pytest.mark.gen_test
async def test_what_taking_raises_is_raised_once_to_the_one_who_waits() -> None:
    answered = Answered()

    def fails(piece: bytes) -> bool:
        raise KeyError(piece)

    task = asyncio.create_task(answered.connection.pour(9.0, fails))
    await asyncio.sleep(0)
    answered.comes(b"a", b"b")
    with pytest.raises(KeyError, match="a"):
        await task
    assert await answered.read() == b"b"


@pytest.mark.gen_test
async def test_a_task_that_was_cancelled_takes_nothing_more() -> None:
    answered = Answered()
    task = await answered.pouring()
    answered.comes(b"a")
    task.cancel()
    answered.comes(b"b")  # before the task has had its turn
    await asyncio.wait([task])
    answered.comes(b"c")
    assert (task.cancelled(), answered.pieces) == (True, [b"a"])


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("ends", "failure"), [("silence", NoAnswerInTime), ("nonsense", MalformedAnswer), ("lost", HttpFailure)]
)
async def test_a_failure_is_said_by_the_next_read(ends: str, failure: type[HttpFailure]) -> None:
    answered = Answered()
    task = await answered.pouring()
    for _ in range(3):  # each piece begins the wait anew
        answered.connection.look(8.0)
        answered.comes(b"a")
    assert not task.done()
    match ends:
        case "silence":
            answered.connection.look(10.0)
            answered.connection.look(10.0)
        case "nonsense":
            answered.connection.data_received(b"no length\r\n")
        case "lost":
            answered.connection.connection_lost(None)
    await task
    with pytest.raises(failure):
        await answered.read()
    assert answered.pieces == [b"a"] * 3
