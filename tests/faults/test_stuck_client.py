"""A client that does not read costs a bounded amount of everything, and not for long."""

from __future__ import annotations

import asyncio

import pytest
from tornado.ioloop import IOLoop

from server.ledger.usage import Outcome
from tests.fakes.fates import ok
from tests.fakes.ledger import Outcome as Seen
from tests.faults.asks import conversation
from tests.faults.clients import Client
from tests.faults.conftest import Opener
from tests.faults.stage import Stage, until

STUCK = 3  # clients
PIECE, PIECES = 256 << 10, 96  # bytes of an event, events of an answer: 24 MiB
# What the systems on both sides of the gateway may hold between them: Linux lets a socket's buffers grow to 4 MiB for
# sending and 6 MiB for receiving. The gateway adds no more than a piece or two.
IN_BETWEEN = 16 << 20
WRITE_SECONDS = 0.4

dialects = pytest.mark.parametrize("dialect", ["openai", "anthropic"])


@pytest.fixture(scope="module")
def opened(open_stage: Opener) -> Stage:
    return open_stage(write_seconds=WRITE_SECONDS)


@pytest.fixture
def stage(opened: Stage, io_loop: IOLoop) -> Stage:
    io_loop.run_sync(opened.set)
    return opened


@pytest.mark.slow
@dialects
@pytest.mark.gen_test(timeout=30)
async def test_the_upstream_is_paused_and_after_a_while_the_client_is_closed(stage: Stage, dialect: str) -> None:
    stage.fake.script(None, ok(" ".join(["x" * PIECE] * PIECES)).for_ever())
    ask = conversation(dialect, "Tell me everything.", stream=True)
    clients = await asyncio.gather(*(Client.ask(stage.running, ask) for _ in range(STUCK)))
    await stage.fake.wait_for(lambda: sum(record.client_left_at is not None for record in stage.records) == STUCK, 20)
    for record in stage.records:
        assert record.outcome is Seen.CLIENT_LEFT
        assert record.bytes_written < IN_BETWEEN < PIECE * PIECES
    rows = await stage.rows()
    assert [(row.status, row.client_aborted, row.usage.estimated) for row in rows] == [
        (Outcome.CANCELLED, True, True)
    ] * STUCK
    assert all(row.usage.output > 0 for row in rows), "what was taken off our hands was delivered"
    for client in clients:
        assert b"[DONE]" not in await client.read_all(), "the connection was closed"
        await client.leave()


@pytest.mark.slow
@pytest.mark.gen_test(timeout=30)
async def test_a_stuck_client_does_not_hold_its_key_while_a_plain_answer_waits_for_it(stage: Stage) -> None:
    stage.fake.script(None, ok("x" * (24 << 20)))
    client = await Client.ask(stage.running, conversation("openai", "Tell me everything.", stream=False))
    await stage.fake.wait_for(lambda: stage.records and stage.records[0].outcome is Seen.ANSWERED, 10)
    await until(lambda: stage.running.services.dispatcher.idle)
    await until(lambda: stage.running.services.pipeline.running == 1)  # its row is written already
    rows = await stage.rows()
    assert [(row.status, row.usage) for row in rows] == [(Outcome.COMPLETED, stage.records[0].usage)]
    assert len(await client.read_all()) < 24 << 20, "and it was closed as well"
    await client.leave()
