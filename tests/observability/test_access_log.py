"""The access log of a gateway that answers: every relayed request has its one line, whatever becomes of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from tests.fakes.fates import held
from tests.fakes.upstream import FakeUpstream
from tests.gateways import Running, gateway

CHAT: dict[str, Any] = {"model": "gpt-5", "messages": [{"role": "user", "content": "a CANARY asks"}]}


@asynccontextmanager
async def logging_gateway(fake: FakeUpstream, **more: Any) -> AsyncIterator[tuple[Running, aiohttp.ClientSession]]:
    async with (
        gateway(fake, access_log=True, log_format="json", **more) as running,
        aiohttp.ClientSession(running.url, headers=running.headers) as session,
    ):
        yield running, session


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What has been written when the gateway is gone."""
    out = capsys.readouterr().out
    assert "CANARY" not in out
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.gen_test
async def test_an_answer_has_its_figures_and_no_word_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    async with FakeUpstream() as fake, logging_gateway(fake) as (running, session):
        async with session.post("/v1/chat/completions", json=CHAT) as answer:
            used = (await answer.json())["usage"]
        person = await running.services.store.person_by_name("ada")
    (line,) = lines(capsys)
    assert person is not None
    assert (line["http"], line["ended"], line["person"], line["model"]) == (200, "completed", person.id, "gpt-5")
    assert (line["input"], line["output"]) == (used["prompt_tokens"], used["completion_tokens"])
    assert {"request", "wait_ms", "duration_ms", "cost_micro_usd", "key", "dialect", "stream"} <= set(line)
    assert "ada" not in line.values()


@pytest.mark.gen_test
async def test_a_refusal_has_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    async with FakeUpstream() as fake, logging_gateway(fake) as (_, session):
        for headers, model in (({"Authorization": "Bearer wrong"}, "gpt-5"), ({}, "sk-CANARY-0123456789")):
            async with session.post("/v1/chat/completions", json={**CHAT, "model": model}, headers=headers) as answer:
                await answer.read()
    stranger, unknown = lines(capsys)
    assert (stranger["http"], stranger["ended"], stranger["error"]) == (401, "refused", "invalid_api_key")
    assert "person" not in stranger
    assert (unknown["http"], unknown["error"], unknown["model"]) == (404, "model_not_found", "***")


@pytest.mark.gen_test
async def test_a_client_that_leaves_is_billed_and_logged(capsys: pytest.CaptureFixture[str]) -> None:
    async with FakeUpstream() as fake, logging_gateway(fake, drain_usage_seconds=0) as (running, session):
        fake.script(None, held(asyncio.Event(), after=2))
        async with session.post("/v1/chat/completions", json={**CHAT, "stream": True}) as answer:
            await answer.content.readany()
            answer.close()
        await fake.wait_for(lambda: fake.records[-1].client_left_at)
        await running.services.pipeline.quiet(5.0)
    (line,) = lines(capsys)
    assert (line["ended"], line["stream"], line["estimated"]) == ("cancelled", True, True)
    assert line["input"] > 0
