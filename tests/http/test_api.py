"""What a caller may ask the gateway itself: about a request of theirs, and about the queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from server.bootstrap.serve import listen, open_services
from tests.fakes.fates import held, insufficient_quota, revoked
from tests.faults.asks import chat, embeddings
from tests.faults.conftest import Opener, io_loop, open_stage
from tests.faults.stage import Stage, until
from tests.gateways import Running, spec
from tests.waiting.services import ask, full, get, one_slot, queued

__all__ = ["io_loop", "open_stage"]


@pytest.fixture(scope="module")
def stage(open_stage: Opener) -> Stage:
    return open_stage(one_slot, queue_seconds=0.2)


@pytest.fixture(scope="module")
def patient(open_stage: Opener) -> Stage:
    return open_stage(one_slot)


@pytest.fixture(scope="module")
def two_keys(open_stage: Opener) -> Stage:
    return open_stage(lambda fake: (spec(fake),))


async def explain(stage: Stage, request_id: str, token: str | None = None, **headers: str) -> tuple[int, Any]:
    return await get(stage.running, f"/api/explain/{request_id}", token, **headers)


# What became of a request


@pytest.mark.gen_test
async def test_an_answered_request_is_explained_to_who_made_it(stage: Stage) -> None:
    await stage.set()
    heard = await ask(stage, chat("one two three", stream=False))
    (row,) = await stage.rows()
    status, account = await explain(stage, heard.headers["x-request-id"])
    assert status == 200
    assert account.pop("reserved")["input"] > 0
    assert account == {
        "request_id": row.request_id,
        "model": "gpt-4o",
        "arrived_at": pytest.approx(row.started_at, abs=1000),
        "state": "completed",
        "position": 0,
        "expected_wait_ms": 0,
        "queue_ms": row.queue_ms,
        "attempts": [{"key": row.key, "answered": "200"}],
        "settled": {"input": row.usage.input, "output": row.usage.output, "estimated": False},
        "refused": None,
    }


@pytest.mark.gen_test
async def test_a_waiting_request_is_explained_while_it_waits(stage: Stage) -> None:
    await stage.set()
    async with full(stage):
        waiting = asyncio.create_task(ask(stage, chat("me, too", stream=False)))
        await queued(stage)
        (ticket,) = [ticket for ticket in stage.pool.tickets.values() if ticket.waiting]
        _, account = await explain(stage, ticket.id)
        assert (account["state"], account["position"], account["queue_ms"]) == ("queued", 1, None)
        assert (account["attempts"], account["settled"], account["refused"]) == ([], None, None)
        assert account["reserved"] == {"input": ticket.need.input, "output": ticket.need.output}
    await waiting


@pytest.mark.gen_test
async def test_a_refusal_is_explained_with_its_reason(stage: Stage) -> None:
    await stage.set()
    async with full(stage):
        heard = await ask(stage, chat("in vain", stream=False))
        assert heard.status == 503
    _, account = await explain(stage, heard.headers["x-request-id"])
    assert (account["state"], account["position"], account["attempts"]) == ("refused", 1, [])
    assert account["refused"] == {
        "code": "queue_timeout",
        "message": "The request waited too long in the queue.",
        "retry_after": 30.0,
    }


@pytest.mark.gen_test
async def test_every_attempt_is_named_by_its_keys_fingerprint(two_keys: Stage) -> None:
    await two_keys.set()
    two_keys.fake.script(None, insufficient_quota())
    heard = await ask(two_keys, chat("try hard", stream=False))
    _, account = await explain(two_keys, heard.headers["x-request-id"])
    failed, answered = account["attempts"]
    assert (failed["failed"], answered["answered"]) == ("no_upstream_key", "200")
    assert {failed["key"], answered["key"]} == set(two_keys.pool.keys)
    assert "sk-upstream" not in str(account)


@pytest.mark.gen_test
async def test_a_request_without_any_answer_is_explained(two_keys: Stage) -> None:
    await two_keys.set()
    two_keys.fake.script(None, revoked().for_ever())
    heard = await ask(two_keys, chat("try hard", stream=False))
    _, account = await explain(two_keys, heard.headers["x-request-id"])
    assert (account["state"], account["refused"]["code"]) == ("failed", "no_upstream_key")
    assert len(account["attempts"]) == 2


@pytest.mark.gen_test
@pytest.mark.parametrize("headers", [{}, {"anthropic-version": "2023-06-01"}], ids=["openai", "anthropic"])
async def test_nobody_else_learns_that_a_request_exists(stage: Stage, headers: dict[str, str]) -> None:
    await stage.set()
    other = await stage.running.token_of(f"curious in {len(headers)}")
    heard = await ask(stage, chat("mine", stream=False))
    await stage.quiet()
    foreign = await explain(stage, heard.headers["x-request-id"], other, **headers)
    unknown = await explain(stage, "req_" + "0" * 24, other, **headers)
    assert foreign[0] == unknown[0] == 404
    assert foreign[1]["error"] == unknown[1]["error"]
    assert foreign[1]["error"]["message"] == "The referenced object does not exist or is not yours."
    assert ("type" in foreign[1]) == bool(headers)


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/api/explain/req_1", "/api/queue?model=gpt-4o"])
async def test_without_a_token_nothing_is_told(stage: Stage, path: str) -> None:
    status, body = await get(stage.running, path, "fg_nobody")
    assert (status, body["error"]["code"]) == (401, "invalid_api_key")


@asynccontextmanager
async def restarted(stage: Stage) -> AsyncIterator[Running]:
    """A second gateway with the store of the first: it remembers what the ledger does, and nothing else."""
    async with open_services(stage.running.services.settings) as services, listen(services) as url:
        yield Running(url, stage.running.token, services, stage.fake)


@pytest.mark.gen_test
@pytest.mark.slow
async def test_after_a_restart_the_ledger_still_answers_its_owner_and_nobody_else(stage: Stage) -> None:
    await stage.set()
    other = await stage.running.token_of("curious after the restart")
    await ask(stage, chat("one two three", stream=False))
    (row,) = await stage.rows()
    async with restarted(stage) as running:
        status, account = await get(running, f"/api/explain/{row.request_id}")
        assert (status, account["state"], account["queue_ms"]) == (200, "completed", row.queue_ms)
        assert account["attempts"] == [{"key": row.key}]
        assert account["settled"] == {"input": row.usage.input, "output": row.usage.output, "estimated": False}
        assert (await get(running, f"/api/explain/{row.request_id}", other))[0] == 404


# How long a new one would wait


@pytest.mark.gen_test
async def test_nobody_has_to_wait_in_an_idle_house(stage: Stage) -> None:
    await stage.set()
    assert await get(stage.running, "/api/queue?model=gpt-4o") == (
        200,
        {
            "model": "gpt-4o",
            "position": 0,
            "wait_seconds": 0.0,
            "wait_latest_seconds": 0.0,
            "would_wait": False,
        },
    )


@pytest.mark.gen_test
async def test_in_a_full_house_the_place_is_told_behind_those_who_wait(patient: Stage) -> None:
    await patient.set()
    other = await patient.running.token_of("who asks much")
    async with full(patient):
        _, first = await get(patient.running, "/api/queue?model=gpt-4o")
        waiting = asyncio.create_task(ask(patient, chat("one more", stream=False), other))
        await queued(patient)
        _, theirs = await get(patient.running, "/api/queue?model=gpt-4o", other)
    assert (await waiting).status == 200
    assert (first["would_wait"], first["position"]) == (True, 1)
    assert (theirs["would_wait"], theirs["position"]) == (True, 2)
    assert theirs["wait_seconds"] > 0


@pytest.mark.gen_test
async def test_the_last_slot_is_free_for_others_and_not_for_who_has_all_the_rest(two_keys: Stage) -> None:
    await two_keys.set()
    other = await two_keys.running.token_of("a newcomer")
    gate, most = asyncio.Event(), sum(key.slots for key in two_keys.pool.keys.values()) - 1
    two_keys.fake.script(None, held(gate).repeat(most))
    asked = [asyncio.create_task(ask(two_keys, embeddings(f"{n}"))) for n in range(most)]
    await until(lambda: two_keys.fake.running == most)
    _, mine = await get(two_keys.running, "/api/queue?model=text-embedding-3-small")
    _, theirs = await get(two_keys.running, "/api/queue?model=text-embedding-3-small", other)
    gate.set()
    await asyncio.gather(*asked)
    assert (mine["would_wait"], theirs["would_wait"]) == (True, False)


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("query", "status", "code", "param"),
    [
        ("", 400, "missing_required_parameter", "model"),
        ("?model=", 400, "missing_required_parameter", "model"),
        ("?model=nobody-has-this", 404, "model_not_found", "model"),
        ("?model=%ff%00", 404, "model_not_found", "model"),
        ("?model=gpt-4o&dialect=klingon", 400, "invalid_value", "dialect"),
    ],
)
async def test_a_question_that_cannot_be_answered_is_refused(
    stage: Stage, query: str, status: int, code: str, param: str
) -> None:
    got, body = await get(stage.running, f"/api/queue{query}")
    assert (got, body["error"]["code"], body["error"]["param"]) == (status, code, param)


@pytest.fixture(scope="module")
def openai_only(open_stage: Opener) -> Stage:
    return open_stage(lambda fake: (spec(fake, dialects=("openai",)),))


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("", {}, 200),
        ("", {"anthropic-version": "2023-06-01"}, 404),
        ("&dialect=openai", {"anthropic-version": "2023-06-01"}, 200),
        ("&dialect=anthropic", {}, 404),
    ],
)
async def test_a_model_is_looked_for_in_the_dialect_that_is_named_or_else_spoken(
    openai_only: Stage, query: str, headers: dict[str, str], status: int
) -> None:
    assert (await get(openai_only.running, f"/api/queue?model=gpt-4o{query}", **headers))[0] == status
