"""A client leaves: its place in the queue, its key and its upstream's time are free at once, and its row is written.

Here no answer is read on for its usage (`DRAIN_USAGE_SECONDS=0`); that is `test_reading_on.py`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tornado.ioloop import IOLoop

from server.config.specs import UpstreamSpec
from server.ledger.usage import Outcome, UsageRow
from server.wire.unreported import SPEED
from tests.fakes.fates import Ending, cut_stream, hang, held, ok, rate_limit
from tests.fakes.ledger import Outcome as Seen
from tests.fakes.upstream import FakeUpstream
from tests.faults.asks import conversation
from tests.faults.clients import Client
from tests.faults.conftest import Opener
from tests.faults.stage import Stage, until
from tests.gateways import spec

FEW, MANY = 30, 100
PLENTY = 2 * MANY  # slots: nobody has to wait who is not meant to
BOUND = 0.050  # seconds between a client's leaving and the upstream's seeing it, in 99 of 100 cases
LONGEST = 1.0  # and in the other one, on a machine that is busy with other things
NARROW, DEAF = "gpt-narrow", "gpt-deaf"  # models: of one key with a single slot; behind a door that nobody opens
DIALECTS = ("openai", "anthropic")

GUESTS: list[Client] = []  # of the test that runs; who has not left by its end is shown out

counts = pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])


@contextmanager
def deaf_door() -> Iterator[int]:
    """A port where connections are neither accepted nor refused: its backlog is full."""
    with socket.socket() as door, socket.socket() as first, socket.socket() as second:
        door.bind(("127.0.0.1", 0))
        door.listen(0)
        port: int = door.getsockname()[1]
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        yield port


@pytest.fixture(scope="module")
def opened(open_stage: Opener) -> Iterator[Stage]:
    with deaf_door() as port:

        def specs(fake: FakeUpstream) -> tuple[UpstreamSpec, ...]:
            deaf = f"http://127.0.0.1:{port}/v1"
            return (
                spec(fake, slots=PLENTY),
                spec(fake, ["sk-upstream-narrow"], name="narrow", models=(NARROW,), slots=1),
                spec(fake, ["sk-upstream-deaf"], name="deaf", models=(DEAF,), slots=PLENTY, base_url=deaf),
            )

        yield open_stage(specs, queue_per_person=2 * MANY, drain_usage_seconds=0.0)


@pytest.fixture
def stage(opened: Stage, io_loop: IOLoop) -> Iterator[Stage]:
    io_loop.run_sync(opened.set)
    yield opened
    io_loop.run_sync(lambda: leave(GUESTS))
    GUESTS.clear()


async def arrive(stage: Stage, count: int, *, stream: bool, model: str | None = None) -> list[Client]:
    """So many clients who have asked, in both dialects by turns."""
    asks = [
        conversation(DIALECTS[number % 2], f"client {number}", stream=stream, model=model) for number in range(count)
    ]
    clients = await asyncio.gather(*(Client.ask(stage.running, ask) for ask in asks))
    GUESTS.extend(clients)
    return list(clients)


async def leave(clients: list[Client]) -> None:
    await asyncio.gather(*(client.leave() for client in clients))


async def leave_and_measure(stage: Stage, clients: list[Client]) -> list[float]:
    """Leave one after the other; the seconds until the upstream has seen each of them go."""
    took = []
    gone = {record.number for record in stage.records if record.client_left_at is not None}
    for client in clients:
        await client.leave()
        await stage.fake.wait_for(
            lambda: any(each.client_left_at and each.number not in gone for each in stage.records)
        )
        record = next(each for each in stage.records if each.client_left_at and each.number not in gone)
        gone.add(record.number)
        assert record.client_left_at is not None
        assert client.left_at is not None
        took.append(record.client_left_at - client.left_at)
    return sorted(took)


async def hold_to_one_row_each(stage: Stage, count: int) -> list[UsageRow]:
    """Every dispatched request is on the ledger, once, as cancelled by its client; nothing else is left of it."""
    rows = await stage.rows()
    assert [row.status for row in rows] == [Outcome.CANCELLED] * count
    assert all(row.client_aborted for row in rows)
    assert [row.attempts for row in rows] == [1] * count
    return rows


def hold_to_bound(took: list[float], count: int) -> None:
    """The bound on times holds where many were measured: a single late one says more about the machine."""
    if count == MANY:
        assert took[int(0.99 * len(took)) - 1] <= BOUND
        assert took[-1] <= LONGEST


@counts
@pytest.mark.gen_test(timeout=30)
async def test_who_leaves_the_queue_is_never_dispatched(stage: Stage, count: int) -> None:
    gate = asyncio.Event()
    stage.fake.script("sk-upstream-narrow", held(gate))
    holder = (await arrive(stage, 1, stream=True, model=NARROW))[0]
    await stage.fake.wait_for(lambda: stage.records)
    clients = await arrive(stage, count, stream=True, model=NARROW)
    await until(lambda: stage.waiting == count)
    await leave(clients)
    await until(lambda: stage.waiting == 0)
    assert len(stage.pool.tickets) == 1
    gate.set()
    await holder.read_until(b"[DONE]")
    await holder.leave()
    assert [row.status for row in await stage.rows()] == [Outcome.COMPLETED]
    assert len(stage.records) == 1


@counts
@pytest.mark.gen_test(timeout=30)
async def test_who_leaves_while_we_connect_keeps_no_slot(stage: Stage, count: int) -> None:
    clients = await arrive(stage, count, stream=True, model=DEAF)
    await until(lambda: sum(key.running for key in stage.pool.keys.values()) == count)
    await leave(clients)
    await hold_to_one_row_each(stage, count)


@counts
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "plain"])
@pytest.mark.gen_test(timeout=60)
async def test_who_leaves_before_the_head_stops_the_upstream(stage: Stage, count: int, stream: bool) -> None:
    stage.fake.script(None, hang().for_ever())
    clients = await arrive(stage, count, stream=stream)
    await stage.fake.wait_for(lambda: len(stage.records) == count)
    hold_to_bound(await leave_and_measure(stage, clients), count)
    rows = await hold_to_one_row_each(stage, count)
    assert {record.outcome for record in stage.records} == {Seen.CLIENT_LEFT}
    assert all(row.usage.estimated and row.first_byte_ms is None for row in rows)
    assert all(row.usage.output <= SPEED * row.duration_ms / 1000 + 1 for row in rows), "it had no time for more"


@counts
@pytest.mark.gen_test(timeout=60)
async def test_who_leaves_in_mid_stream_stops_the_upstream(stage: Stage, count: int) -> None:
    stage.fake.script(None, held(asyncio.Event(), after=8, words=100).for_ever())
    clients = await arrive(stage, count, stream=True)
    for client in clients:
        await client.read_until(b"w4")
    hold_to_bound(await leave_and_measure(stage, clients), count)
    rows = await hold_to_one_row_each(stage, count)
    assert {record.outcome for record in stage.records} == {Seen.CLIENT_LEFT}
    assert all(row.usage.estimated and 0 < row.usage.output < 100 and row.streamed for row in rows)


@counts
@pytest.mark.gen_test(timeout=60)
async def test_who_leaves_while_a_plain_answer_comes_stops_the_upstream(stage: Stage, count: int) -> None:
    stage.fake.script(None, cut_stream(1, Ending.STALL).for_ever())
    clients = await arrive(stage, count, stream=False)
    await stage.fake.wait_for(lambda: sum(record.bytes_written > 600 for record in stage.records) == count)
    hold_to_bound(await leave_and_measure(stage, clients), count)
    await hold_to_one_row_each(stage, count)
    assert {record.outcome for record in stage.records} == {Seen.CLIENT_LEFT}


@counts
@pytest.mark.gen_test(timeout=60)
async def test_who_leaves_between_two_attempts_is_not_tried_again(stage: Stage, count: int) -> None:
    for number in range(count):
        stage.renew_pool()  # one request may be repeated, hundreds may not: there is a budget
        stage.fake.script("sk-upstream-narrow", rate_limit(retry_after=30))
        client = (await arrive(stage, 1, stream=bool(number % 2), model=NARROW))[0]
        await until(lambda: stage.waiting == 1 and not any(key.running for key in stage.pool.keys.values()))
        await client.leave()
        await stage.quiet()
    rows = await hold_to_one_row_each(stage, count)
    assert len(stage.records) == count
    assert {(row.usage.input, row.usage.output) for row in rows} == {(0, 0)}, "a refusal costs nothing"


@pytest.mark.gen_test(timeout=30)
async def test_the_slot_of_who_left_goes_to_who_waits(stage: Stage) -> None:
    stage.fake.script("sk-upstream-narrow", hang(), ok("here you are"))
    first = (await arrive(stage, 1, stream=True, model=NARROW))[0]
    await stage.fake.wait_for(lambda: stage.records)
    second = (await arrive(stage, 1, stream=True, model=NARROW))[0]
    await until(lambda: stage.waiting == 1)
    await first.leave()
    await second.read_until(b"[DONE]")
    await second.leave()
    assert {row.status for row in await stage.rows()} == {Outcome.CANCELLED, Outcome.COMPLETED}
