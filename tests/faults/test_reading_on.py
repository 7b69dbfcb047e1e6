"""A client leaves: who may have had more than what was seen pays for what was generated, as the upstream tells it.

The answer is read on to its usage, for a while, and then it is closed and estimated. The slot stays taken meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from server.ledger.usage import Outcome, UsageRow
from server.relay.drain import MOST_OF_A_PERSON
from tests.fakes.fates import cut_stream, hang, held
from tests.fakes.ledger import Outcome as Seen
from tests.fakes.upstream import FakeUpstream
from tests.faults.asks import chat, messages
from tests.faults.clients import Client
from tests.faults.stage import Stage, until
from tests.gateways import gateway, spec

pytestmark = pytest.mark.slow  # a gateway of its own for each

THINKER, PLAIN = "gpt-5", "gpt-4o"  # by their names the one reasons in silence, the other does not


@asynccontextmanager
async def opened(**settings: Any) -> AsyncIterator[Stage]:
    async with FakeUpstream() as fake:
        upstream = spec(fake, ["sk-upstream-one"], slots=64)
        async with gateway(fake, upstream, **{"drain_usage_seconds": 20.0, **settings}) as running:
            yield Stage(running)


async def only_row(stage: Stage) -> UsageRow:
    (row,) = await stage.rows()
    return row


def reading_on(stage: Stage) -> int:
    return len(stage.running.services.pipeline._usage_drain)


@pytest.mark.parametrize("ask", [chat, messages])
@pytest.mark.gen_test(timeout=20)
async def test_a_plain_answer_is_read_on_and_billed_as_it_was_reported(ask: Any) -> None:
    gate = asyncio.Event()
    async with opened() as stage:
        stage.fake.script(None, held(gate, words=50))
        client = await Client.ask(stage.running, ask("tell me", stream=False))
        await stage.fake.wait_for(lambda: stage.records)
        await client.leave()
        await until(lambda: reading_on(stage) == 1)
        assert sum(key.running for key in stage.pool.keys.values()) == 1, "the slot stays taken"
        gate.set()
        row = await only_row(stage)
        assert (row.status, row.client_aborted, row.usage.estimated) == (Outcome.CANCELLED, True, False)
        assert row.usage.output == stage.records[0].usage.output == 50
        assert row.cost_micro_usd > 0
        assert reading_on(stage) == 0


@pytest.mark.gen_test(timeout=20)
async def test_who_leaves_a_model_that_thinks_pays_for_its_thoughts() -> None:
    gate = asyncio.Event()
    async with opened() as stage:
        stage.fake.script(None, held(gate, after=4, words=60))
        client = await Client.ask(stage.running, chat("think", stream=True, model=THINKER))
        await client.read_until(b"w1")
        await client.leave()
        await until(lambda: reading_on(stage) == 1)
        gate.set()
        row = await only_row(stage)
        assert (row.status, row.usage.output, row.usage.estimated) == (Outcome.CANCELLED, 60, False)


@pytest.mark.gen_test(timeout=20)
async def test_who_leaves_while_the_providers_tools_read_pays_for_what_they_read() -> None:
    gate = asyncio.Event()
    async with opened() as stage:
        stage.fake.script(None, held(gate, after=4, words=60))
        asked = chat("look it up", stream=True, model=PLAIN)
        client = await Client.ask(stage.running, replace(asked, document={**asked.document, "web_search_options": {}}))
        await client.read_until(b"w1")
        await client.leave()
        await until(lambda: reading_on(stage) == 1)
        gate.set()
        row = await only_row(stage)
        assert (row.usage.output, row.usage.estimated) == (60, False)


@pytest.mark.gen_test(timeout=20)
async def test_who_leaves_at_the_finish_reason_gets_the_usage_billed_that_comes_behind_it() -> None:
    gate = asyncio.Event()
    async with opened() as stage:
        stage.fake.script(None, held(gate, after=7, words=5))  # the head, five words, the reason; then the usage
        client = await Client.ask(stage.running, chat("short", stream=True, model=PLAIN))
        await client.read_until(b'"finish_reason":"stop"')
        await client.leave()
        await until(lambda: reading_on(stage) == 1)
        gate.set()
        row = await only_row(stage)
        assert (row.usage.output, row.usage.estimated) == (5, False)


@pytest.mark.gen_test(timeout=20)
async def test_a_stream_that_hides_nothing_is_closed_at_once() -> None:
    async with opened() as stage:
        stage.fake.script(None, held(asyncio.Event(), after=4, words=60))
        client = await Client.ask(stage.running, chat("talk", stream=True, model=PLAIN))
        await client.read_until(b"w1")
        await client.leave()
        row = await only_row(stage)
        assert (row.usage.estimated, 0 < row.usage.output < 60) == (True, True)
        assert stage.records[0].outcome is Seen.CLIENT_LEFT


@pytest.mark.gen_test(timeout=20)
async def test_after_its_time_an_answer_is_closed_and_estimated_by_the_time_it_had() -> None:
    async with opened(drain_usage_seconds=0.05) as stage:
        stage.fake.script(None, hang())
        client = await Client.ask(stage.running, chat("hello", stream=False, model=THINKER))
        await stage.fake.wait_for(lambda: stage.records)
        await client.leave()
        row = await only_row(stage)
        assert (row.status, row.client_aborted, row.usage.estimated) == (Outcome.CANCELLED, True, True)
        assert row.usage.output > 0
        assert stage.records[0].outcome is Seen.CLIENT_LEFT


@pytest.mark.gen_test(timeout=20)
async def test_an_upstream_that_fails_then_is_not_replaced_and_bills_nothing() -> None:
    async with opened() as stage:
        stage.fake.script(None, replace(cut_stream(1), delivery=replace(cut_stream(1).delivery, first_byte=0.2)))
        client = await Client.ask(stage.running, chat("hello", stream=True, model=THINKER))
        await stage.fake.wait_for(lambda: stage.records)
        await client.leave()
        await until(lambda: reading_on(stage) == 1)
        row = await only_row(stage)
        assert (row.attempts, len(stage.records)) == (1, 1)


def by_an_administrator(stage: Stage, request_id: str) -> None:
    stage.running.services.pipeline.cancel(request_id)


def by_the_end_of_the_gateway(stage: Stage, request_id: str) -> None:
    stage.running.services.pipeline.stop()


@pytest.mark.parametrize("ended", [by_an_administrator, by_the_end_of_the_gateway])
@pytest.mark.gen_test(timeout=20)
async def test_it_is_ended(ended: Callable[[Stage, str], None]) -> None:
    async with opened() as stage:
        stage.fake.script(None, hang())
        client = await Client.ask(stage.running, chat("hello", stream=False, model=THINKER))
        await stage.fake.wait_for(lambda: stage.records)
        await client.leave()
        await until(lambda: reading_on(stage) == 1)
        (request_id,) = stage.running.services.pipeline._usage_drain.timers
        ended(stage, request_id)
        row = await only_row(stage)
        assert (row.status, row.client_aborted, row.usage.estimated) == (Outcome.CANCELLED, True, True)


@pytest.mark.gen_test(timeout=20)
async def test_one_person_s_answers_are_read_on_in_a_small_number_only() -> None:
    async with opened() as stage:
        stage.fake.script(None, hang().for_ever())
        asks = [chat(f"{number}", stream=False, model=THINKER) for number in range(MOST_OF_A_PERSON + 2)]
        clients = await asyncio.gather(*(Client.ask(stage.running, ask) for ask in asks))
        await stage.fake.wait_for(lambda: len(stage.records) == len(asks))
        for client in clients:
            await client.leave()
        await until(lambda: sum(record.outcome is Seen.CLIENT_LEFT for record in stage.records) == 2)
        assert reading_on(stage) == MOST_OF_A_PERSON
        stage.running.services.pipeline.stop()
        assert len(await stage.rows()) == len(asks)
        assert reading_on(stage) == 0
