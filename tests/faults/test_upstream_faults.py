"""Whatever an upstream does, the caller hears the truth, in its dialect, and the ledger has one row that fits."""

from __future__ import annotations

import asyncio
import json
import logging
import socket

import aiohttp
import pytest
from tornado.ioloop import IOLoop

from server.config.specs import UpstreamSpec
from server.ledger.usage import Outcome, UsageRow
from server.wire.anthropic import ANTHROPIC
from server.wire.errors import NoKey, UpstreamTimeout
from server.wire.openai import OPENAI
from tests.fakes.fates import held, ok, rate_limit, revoked
from tests.fakes.upstream import FakeUpstream
from tests.faults.asks import Heard, conversation, hear
from tests.faults.cells import (
    CELLS,
    KEYS,
    NOWHERE,
    OVERDUE,
    REFUSED,
    STALLS,
    UNNOTICED,
    Cell,
    error_after,
    refusal_with,
)
from tests.faults.conftest import Opener
from tests.faults.stage import Stage, until
from tests.gateways import spec

DIALECTS = {"openai": OPENAI, "anthropic": ANTHROPIC}
# What may be said to a client, by name; a gateway that says more tells of the people's keys and of itself.
OURS = {"content-type", "content-length", "transfer-encoding", "date", "x-request-id", "x-content-type-options"}
OURS |= {"x-queue-wait-ms", "x-queue-position", "cache-control", "x-accel-buffering", "request-id"}
OURS_WITH_ERRORS = OURS | {"retry-after", "retry-after-ms", "x-should-retry"}

streamed_or_plain = pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
dialects = pytest.mark.parametrize("dialect", DIALECTS)


def table(cells: tuple[Cell, ...]) -> pytest.MarkDecorator:
    """Each cell of the table in each dialect and manner that it is about."""
    values = [
        pytest.param(cell, dialect, stream, id=f"{cell.name}-{dialect}-{'stream' if stream else 'plain'}")
        for cell in cells
        for dialect in DIALECTS
        for stream in (True, False)
        if cell.applies(dialect, stream=stream)
    ]
    return pytest.mark.parametrize(("cell", "dialect", "stream"), values)


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def specs(fake: FakeUpstream) -> tuple[UpstreamSpec, ...]:
    def elsewhere(model: str, url: str) -> UpstreamSpec:
        return spec(fake, [f"{key}-{model}" for key in KEYS], name=model, models=(model,), base_url=url)

    return (
        spec(fake, KEYS),
        elsewhere(REFUSED, f"http://127.0.0.1:{closed_port()}/v1"),
        elsewhere(NOWHERE, "http://fairgate.invalid/v1"),
    )


@pytest.fixture(scope="module")
def patient(open_stage: Opener) -> Stage:
    return open_stage(specs)


@pytest.fixture(scope="module")
def impatient(open_stage: Opener) -> Stage:
    return open_stage(specs, first_byte_seconds=0.15, idle_seconds=0.15)


@pytest.fixture
def stage(patient: Stage, io_loop: IOLoop) -> Stage:
    io_loop.run_sync(patient.set)
    return patient


@pytest.fixture
def hasty_stage(impatient: Stage, io_loop: IOLoop) -> Stage:
    io_loop.run_sync(impatient.set)
    return impatient


async def asked(stage: Stage, dialect: str, *, stream: bool, model: str | None = None) -> Heard:
    async with aiohttp.ClientSession() as session:
        text = "What does the gateway do when the provider fails?"
        return await hear(session, stage.running, conversation(dialect, text, stream=stream, model=model))


async def the_row(stage: Stage) -> UsageRow:
    rows = await stage.rows()
    assert len(rows) == 1
    return rows[0]


async def hold_to(cell: Cell, stage: Stage, dialect: str, *, stream: bool) -> Heard:
    """Play a cell of the table and compare everything that can be seen of it."""
    stage.fake.script(None, *cell.fates)
    heard = await asked(stage, dialect, stream=stream, model=cell.model)
    hold_answer_to(cell, heard, dialect)
    assert len(stage.records) == cell.attempts
    *attempts, row = sorted(await stage.rows(), key=lambda row: -len(row.request_id))
    assert [(each.status, each.usage.estimated) for each in attempts] == [(Outcome.FAILED, True)] * cell.rows
    assert (row.status, row.client_aborted) == (cell.outcome, False)
    assert row.attempts == (cell.attempts if cell.sent is None else cell.sent)
    if cell.told is not None:
        assert row.usage.estimated == cell.billed
        assert (row.usage.input > 0) == cell.billed
    else:
        assert row.usage == stage.records[-1].usage
    return heard


def hold_answer_to(cell: Cell, heard: Heard, dialect: str) -> None:
    """The whole answer is known: nothing of the upstream's own words is in it."""
    if cell.told is None:
        assert heard.status == 200
        assert b"error" not in heard.body
        return
    mine, refusal, request_id = DIALECTS[dialect], cell.told(), heard.headers["x-request-id"]
    if cell.in_band:
        assert heard.status == 200
        assert heard.body.endswith(mine.event(refusal, request_id))
        assert heard.body.count(b'"error"') == (2 if dialect == "anthropic" else 1)
        assert b"[DONE]" not in heard.body
        assert b"message_stop" not in heard.body
        return
    assert heard.status == mine.status(refusal)
    assert json.loads(heard.body) == json.loads(mine.body(refusal, request_id))
    assert heard.headers.get("retry-after") == cell.retry_after
    assert heard.headers.get("x-should-retry") == (None if refusal.retriable else "false")
    assert set(heard.headers) <= OURS_WITH_ERRORS


@table(CELLS)
@pytest.mark.gen_test(timeout=20)
async def test_a_fault_has_its_status_its_words_its_attempts_and_its_row(
    stage: Stage, cell: Cell, dialect: str, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        heard = await hold_to(cell, stage, dialect, stream=stream)
    hold_secrets_back(heard, caplog.text)


@table(STALLS)
@pytest.mark.gen_test(timeout=20)
async def test_a_stall_ends_when_patience_does(hasty_stage: Stage, cell: Cell, dialect: str, stream: bool) -> None:
    await hold_to(cell, hasty_stage, dialect, stream=stream)
    await hasty_stage.fake.wait_for(lambda: hasty_stage.records[0].client_left_at)


def hold_secrets_back(heard: Heard, log: str) -> None:
    said = heard.body.decode() + repr(heard.headers) + log
    for key in KEYS:
        assert key not in said
        assert f"{key[:8]}*" not in said, "not even what a provider shows of a key"
    assert "org-fake" not in said


@dialects
@pytest.mark.gen_test
async def test_an_error_in_mid_stream_is_passed_on_and_no_second_one_follows(stage: Stage, dialect: str) -> None:
    gate = asyncio.Event()
    stage.fake.script(None, error_after(gate, 4))
    answer = asyncio.ensure_future(asked(stage, dialect, stream=True))
    await stage.fake.wait_for(lambda: stage.records and stage.records[0].events_written == 4)
    await until(lambda: any(key.standing(model).since for key in stage.pool.keys.values() for model in key.models))
    gate.set()
    heard = await answer
    assert heard.status == 200
    assert heard.error["message"].startswith(("Overloaded", "The server had an error"))
    assert heard.body.count(b'"error":') == 1
    row = await the_row(stage)
    assert (row.status, row.attempts) == (Outcome.CUT, 1)
    assert row.usage.estimated


@streamed_or_plain
@dialects
@pytest.mark.gen_test
async def test_the_callers_own_mistake_is_told_in_the_upstreams_words_without_its_secrets(
    stage: Stage, dialect: str, stream: bool
) -> None:
    stage.fake.script(None, refusal_with(f"bad tool for {KEYS[0]} of org-AbCdEfGh12345678 in proj_AbCdEfGh12345678"))
    heard = await asked(stage, dialect, stream=stream)
    assert heard.status == 400
    assert heard.error["message"] == "bad tool for *** of *** in ***"
    assert set(heard.headers) <= OURS
    row = await the_row(stage)
    assert (row.status, row.attempts, row.usage.input, row.usage.output) == (Outcome.REJECTED, 1, 0, 0)
    assert len(stage.records) == 1


@streamed_or_plain
@dialects
@pytest.mark.gen_test
async def test_of_the_upstreams_headers_none_is_passed_on_by_accident(stage: Stage, dialect: str, stream: bool) -> None:
    stage.fake.script(None, ok())
    heard = await asked(stage, dialect, stream=stream)
    assert heard.status == 200
    assert set(heard.headers) <= OURS


@dialects
@pytest.mark.gen_test
async def test_when_all_keys_rest_the_caller_may_come_back_when_the_first_one_wakes(stage: Stage, dialect: str) -> None:
    for key, seconds in zip(KEYS, (9, 7, 8), strict=True):
        stage.fake.script(key, rate_limit(retry_after=seconds))
    heard = await asked(stage, dialect, stream=True)
    assert heard.status == DIALECTS[dialect].status(NoKey())
    assert heard.headers["retry-after"] == "7"


@dialects
@pytest.mark.gen_test
async def test_a_key_that_was_refused_once_is_not_used_again(stage: Stage, dialect: str) -> None:
    stage.fake.script(None, revoked())
    for _ in range(6):
        assert (await asked(stage, dialect, stream=False)).status == 200
    refused = stage.records[0].key
    assert [record.key for record in stage.records].count(refused) == 1


@table(UNNOTICED)
@pytest.mark.slow
@pytest.mark.gen_test(timeout=20)
async def test_a_chunk_that_is_none_does_not_keep_the_caller_waiting(
    stage: Stage, cell: Cell, dialect: str, stream: bool
) -> None:
    await hold_to(cell, stage, dialect, stream=stream)


@pytest.fixture(scope="module")
def brief(open_stage: Opener) -> Stage:
    return open_stage(total_seconds=0.7)  # on a busy machine a request may need a tenth of that to be sent


@dialects
@pytest.mark.gen_test
async def test_an_answer_that_takes_too_long_in_all_ends_with_an_error_that_is_not_its_callers(
    brief: Stage, dialect: str
) -> None:
    await brief.set()
    brief.fake.script(None, held(asyncio.Event(), after=5))
    heard = await asked(brief, dialect, stream=True)
    assert heard.status == 200
    assert heard.body.endswith(DIALECTS[dialect].event(UpstreamTimeout(), heard.headers["x-request-id"]))
    row = await the_row(brief)
    assert (row.status, row.client_aborted, row.usage.estimated) == (Outcome.CANCELLED, False, True)
    await brief.fake.wait_for(lambda: brief.records[0].client_left_at)


@table(OVERDUE)
@pytest.mark.gen_test(timeout=20)
async def test_a_plain_answer_may_take_its_time_but_no_longer_than_the_whole_may(
    brief: Stage, cell: Cell, dialect: str, stream: bool
) -> None:
    await brief.set()
    await hold_to(cell, brief, dialect, stream=stream)
    await brief.fake.wait_for(lambda: brief.records[0].client_left_at)
