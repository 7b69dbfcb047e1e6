"""Whoever says how long they would wait is told the truth at once; everybody is told how long they did."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults.asks import Ask, chat, error_in, messages
from tests.faults.stage import Stage
from tests.waiting.conftest import Opener
from tests.waiting.services import ask, full, get, one_slot, queued

QUESTIONS = [chat("q", stream=False), chat("q", stream=True), messages("q", stream=False), messages("q", stream=True)]
questions = pytest.mark.parametrize("question", QUESTIONS, ids=["chat", "chat stream", "messages", "messages stream"])


@pytest.fixture(scope="module")
def stage(open_stage: Opener) -> Stage:
    return open_stage(one_slot)


@questions
@pytest.mark.gen_test
async def test_who_would_not_wait_is_served_where_nobody_has_to(stage: Stage, question: Ask) -> None:
    await stage.set()
    heard = await ask(stage, question, X_Max_Wait="0")
    assert heard.status == 200
    assert (heard.headers["x-queue-position"], heard.headers["x-queue-wait-ms"]) == ("0", "0")


@questions
@pytest.mark.gen_test
async def test_who_would_not_wait_is_refused_at_once_where_they_would_have_to(stage: Stage, question: Ask) -> None:
    await stage.set()
    async with full(stage):
        heard = await ask(stage, question, X_Max_Wait="0")
        assert heard.status == 429
        assert error_in(heard.body)["message"] == "The wait would be longer than you allowed."
        assert int(heard.headers["retry-after"]) >= 1
        assert stage.waiting == 0
    assert len(await stage.rows()) == 1, "who was refused has cost nothing"


@pytest.mark.gen_test
async def test_who_would_wait_a_little_is_refused_for_a_longer_queue_before_it_has_been_waited(stage: Stage) -> None:
    await stage.set()
    other = await stage.running.token_of("the-patient-one")
    async with full(stage) as gate:
        patient = [asyncio.create_task(ask(stage, chat(f"{n}", stream=False), other)) for n in range(5)]
        await queued(stage, 5)
        heard = await ask(stage, chat("q", stream=False), X_Max_Wait="0.5")
        assert (heard.status, error_in(heard.body)["code"]) == (429, "wait_too_long")
        assert int(heard.headers["retry-after"]) >= 1
        gate.set()
        assert {each.status for each in await asyncio.gather(*patient)} == {200}


@pytest.mark.gen_test
async def test_who_was_promised_less_than_it_took_is_refused_in_the_same_words(stage: Stage) -> None:
    await stage.set()
    async with full(stage):
        heard = await ask(stage, chat("q", stream=False), X_Max_Wait="0.05")
        assert (heard.status, error_in(heard.body)["code"]) == (429, "wait_too_long")


@pytest.mark.gen_test
async def test_who_would_wait_long_enough_is_served(stage: Stage) -> None:
    await stage.set()
    async with full(stage) as gate:
        second = asyncio.create_task(ask(stage, chat("q", stream=False), X_Max_Wait="100"))
        await queued(stage)
        gate.set()
        assert (await second).status == 200


@pytest.mark.gen_test
@pytest.mark.parametrize("junk", ["soon", "-1", "1e9", "nan", "inf", "", "١", "9999999999"])
async def test_a_wait_that_is_no_number_of_seconds_is_refused(stage: Stage, junk: str) -> None:
    await stage.set()
    heard = await ask(stage, chat("q", stream=False), X_Max_Wait=junk)
    error = error_in(heard.body)
    assert (heard.status, error["code"], error["param"]) == (400, "invalid_value", "X-Max-Wait")
    assert stage.records == []


@questions
@pytest.mark.gen_test
async def test_an_answer_tells_the_place_and_the_time_in_the_queue(stage: Stage, question: Ask) -> None:
    await stage.set()
    async with full(stage) as gate:
        second = asyncio.create_task(ask(stage, question))
        await queued(stage)
        await asyncio.sleep(0.02)
        gate.set()
        heard = await second
    assert heard.headers["x-queue-position"] == "1"
    assert int(heard.headers["x-queue-wait-ms"]) >= 20
    status, explained = await get(stage.running, f"/api/explain/{heard.headers['x-request-id']}")
    assert (status, explained["position"], explained["queue_ms"]) == (200, 1, int(heard.headers["x-queue-wait-ms"]))
