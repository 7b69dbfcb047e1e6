"""An administrator sees each request of this moment and may end it; people's rights are kept in the queue."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from keypool.live import LiveRequest, live
from server.ledger.usage import Outcome
from server.policy.groups import Group, group_body
from server.store.base import Record
from server.wire.errors import Cancelled
from tests.fakes.fates import held
from tests.faults.asks import Ask, Heard, chat, error_in, messages
from tests.faults.conftest import Opener, io_loop, open_stage
from tests.faults.stage import Stage, until
from tests.waiting.services import ask, full, get, one_slot, queued

__all__ = ["io_loop", "open_stage"]

QUESTIONS = [chat("q", stream=False), chat("q", stream=True), messages("q", stream=False), messages("q", stream=True)]
questions = pytest.mark.parametrize("question", QUESTIONS, ids=["chat", "chat stream", "messages", "messages stream"])
CANCELLED = "An administrator ended this request."


@pytest.fixture(scope="module")
def stage(open_stage: Opener) -> Stage:
    return open_stage(one_slot)


@pytest.fixture(scope="module")
def wide(open_stage: Opener) -> Stage:
    return open_stage()


def requests(stage: Stage) -> list[LiveRequest]:
    return live(stage.pool, stage.running.services.dispatcher.now())


def end(stage: Stage, request_id: str) -> bool:
    return stage.running.services.pipeline.cancel(request_id)


async def group(stage: Stage, **rights: Any) -> str:
    """A token of somebody whose only group has these rights."""
    services = stage.running.services
    name = "-".join(f"{key}-{value}" for key, value in rights.items()).lower()
    await services.store.put_record(Record("group", name, group_body(Group(name=name, **rights))))
    await services.book.sync()
    token = await stage.running.token_of(f"member of {name}")
    person = await services.store.person_by_name(f"member of {name}")
    assert person is not None
    await services.store.update_person(person.id, {"groups": (name,)})
    return token


def assert_told(heard: Heard) -> None:
    error = error_in(heard.body) if heard.status != 200 else heard.error
    assert error["message"] == CANCELLED
    if heard.status != 200:
        assert heard.status in (Cancelled.status, Cancelled.anthropic_status)
        assert heard.headers["x-should-retry"] == "false"


# Seeing


@pytest.mark.gen_test
async def test_each_request_is_seen_with_its_person_and_its_place(stage: Stage) -> None:
    await stage.set()
    async with full(stage):
        second = asyncio.create_task(ask(stage, chat("secret words", stream=False), X_Fairgate_Class="batch"))
        await queued(stage)
        running, waiting = requests(stage)
        assert (running.state, running.position, running.attempts, running.batch) == ("running", 0, 1, False)
        assert running.key in stage.pool.keys
        assert (waiting.state, waiting.position, waiting.key, waiting.batch) == ("queued", 1, None, True)
        assert running.person == waiting.person
        assert waiting.waited >= 0.0
        assert "secret" not in repr(waiting)
        end(stage, waiting.id)
        assert_told(await second)
    assert requests(stage) == []


# Ending


@questions
@pytest.mark.gen_test
async def test_who_waits_is_told_in_their_dialect_and_pays_nothing(stage: Stage, question: Ask) -> None:
    await stage.set()
    async with full(stage):
        second = asyncio.create_task(ask(stage, question))
        await queued(stage)
        assert end(stage, requests(stage)[-1].id)
        heard = await second
        assert heard.status == (529 if question.dialect == "anthropic" else 503)
        assert_told(heard)
        assert stage.waiting == 0
    (row,) = await stage.rows()
    assert row.status is Outcome.COMPLETED, "only the first one"


@questions
@pytest.mark.gen_test
async def test_an_answer_on_its_way_ends_with_an_error_and_what_was_delivered_is_paid(
    stage: Stage, question: Ask
) -> None:
    await stage.set()
    stage.fake.script(None, held(asyncio.Event(), after=3))
    asked = asyncio.create_task(ask(stage, question))
    await stage.fake.wait_for(lambda: stage.fake.running == 1)
    record = stage.records[-1]
    if question.stream:
        await until(lambda: record.events_written >= 3)
    (seen,) = requests(stage)
    assert end(stage, seen.id)
    heard = await asked
    assert_told(heard)
    (row,) = await stage.rows()
    assert (row.request_id, row.status, row.client_aborted) == (seen.id, Outcome.CANCELLED, False)
    assert row.usage.estimated
    await until(lambda: record.client_left_at is not None)
    status, account = await get(stage.running, f"/api/explain/{seen.id}")
    assert (status, account["state"]) == (200, "cancelled")


@pytest.mark.gen_test
async def test_what_is_over_or_never_was_cannot_be_ended(stage: Stage) -> None:
    await stage.set()
    heard = await ask(stage, chat("q", stream=False))
    assert not end(stage, heard.headers["x-request-id"])
    assert not end(stage, "req_never")


@pytest.mark.gen_test
async def test_ending_twice_is_ending_once(stage: Stage) -> None:
    await stage.set()
    async with full(stage):
        second = asyncio.create_task(ask(stage, chat("q", stream=False)))
        await queued(stage)
        (_, waiting) = requests(stage)
        assert end(stage, waiting.id)
        assert end(stage, waiting.id)
        assert_told(await second)
    assert not end(stage, waiting.id)
    await stage.quiet()


@pytest.mark.gen_test
async def test_a_client_that_leaves_meanwhile_leaves_nothing_behind(stage: Stage) -> None:
    await stage.set()
    async with full(stage):
        second = asyncio.create_task(ask(stage, chat("q", stream=False)))
        await queued(stage)
        (_, waiting) = requests(stage)
        second.cancel()
        end(stage, waiting.id)
        await until(lambda: stage.waiting == 0)
    await stage.quiet()


# Classes and caps


@pytest.mark.gen_test
async def test_batch_work_lets_others_go_first(stage: Stage) -> None:
    await stage.set()
    other = await stage.running.token_of("who-sits-and-waits")
    async with full(stage) as gate:
        batch = [
            asyncio.create_task(ask(stage, chat(f"b{n}", stream=False), X_Fairgate_Class="batch")) for n in range(2)
        ]
        await queued(stage, 2)
        ours = [asyncio.create_task(ask(stage, chat(f"i{n}", stream=False), other)) for n in range(4)]
        await queued(stage, 6)
        gate.set()
        assert {each.status for each in await asyncio.gather(*batch, *ours)} == {200}
    order = [b'"i' in record.body for record in stage.records[1:]]
    assert order.index(True) <= 1
    assert order[-1] is False, "the second of the batch is served last"


@pytest.mark.gen_test
async def test_a_group_may_make_all_its_members_work_batch(stage: Stage) -> None:
    await stage.set()
    token = await group(stage, batch=True)
    async with full(stage):
        second = asyncio.create_task(ask(stage, chat("q", stream=False), token))
        await queued(stage)
        (_, waiting) = requests(stage)
        assert waiting.batch
        end(stage, waiting.id)
        await second
    refused = await ask(stage, chat("q", stream=False), token, X_Fairgate_Class="interactive")
    assert (refused.status, error_in(refused.body)["code"]) == (403, "permission_denied")
    assert (await ask(stage, chat("q", stream=False), token, X_Fairgate_Class="batch")).status == 200


@pytest.mark.gen_test
@pytest.mark.parametrize("junk", ["", "Batch", "urgent", "8"])
async def test_a_class_that_does_not_exist_is_refused(stage: Stage, junk: str) -> None:
    await stage.set()
    heard = await ask(stage, chat("q", stream=False), X_Fairgate_Class=junk)
    error = error_in(heard.body)
    assert (heard.status, error["code"], error["param"]) == (400, "invalid_value", "X-Fairgate-Class")
    assert stage.records == []


@pytest.mark.gen_test
async def test_a_group_may_bound_what_each_member_has_in_flight(wide: Stage) -> None:
    await wide.set()
    token, gate = await group(wide, running=2), asyncio.Event()
    wide.fake.script(None, held(gate).for_ever())
    asked = [asyncio.create_task(ask(wide, chat(f"q{n}", stream=False), token)) for n in range(5)]
    await until(lambda: len(requests(wide)) == 5)
    await wide.fake.wait_for(lambda: wide.fake.running == 2)
    other = asyncio.create_task(ask(wide, chat("mine", stream=False)))
    await wide.fake.wait_for(lambda: wide.fake.running == 3)
    assert [each.state for each in requests(wide)] == ["running"] * 3 + ["queued"] * 3
    gate.set()
    assert {each.status for each in await asyncio.gather(*asked, other)} == {200}
