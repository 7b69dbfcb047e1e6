"""What both SDKs make of keys that fail: they see an answer where another key has one, else an honest error.

Each test spoils its keys and so has a gateway of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import openai
import pytest

from server.ledger.usage import Outcome
from tests.clients.talking import CHAT, CLAUDE, MODELS, QUESTION, Hasty, HastyAnthropic, Talk
from tests.fakes.fates import (
    Fate,
    context_too_long,
    html_page,
    insufficient_quota,
    model_missing,
    overloaded,
    rate_limit,
    revoked,
)
from tests.fakes.upstream import FakeUpstream
from tests.gateways import KEYS, gateway, spec

pytestmark = pytest.mark.slow  # a gateway starts in half a second
ONE = "sk-upstream-one"


@asynccontextmanager
async def alone(**settings: Any) -> AsyncIterator[Talk]:
    async with (
        FakeUpstream() as fake,
        gateway(fake, spec(fake, models=MODELS), **settings) as running,
        Talk(running) as talk,
    ):
        yield talk


async def chat(client: Hasty) -> str | None:
    return (await client.chat.completions.create(model=CHAT, messages=QUESTION)).choices[0].message.content


async def message(client: HastyAnthropic) -> str:
    answer = await client.messages.create(model=CLAUDE, max_tokens=99, messages=QUESTION)
    return str(answer.content[0].to_dict()["text"])


FAILING = {
    "rate limited": rate_limit(retry_after=30),
    "overloaded": overloaded(),
    "revoked": revoked(),
    "out of quota": insufficient_quota(),
    "without the model": model_missing(),
}


@pytest.mark.parametrize("fate", FAILING.values(), ids=FAILING)
@pytest.mark.gen_test(timeout=20)
async def test_where_one_key_fails_the_other_answers_and_the_client_notices_nothing(fate: Fate) -> None:
    async with alone() as talk:
        clients = await talk.openai(), await talk.anthropic()
        for ask in (lambda: chat(clients[0]), lambda: message(clients[1])):
            talk.fake.script(ONE, fate)
            assert await ask() == await ask() == "You said: How many roads must a man walk down"
            talk.fake.forget_script()
        assert len(talk.sent) == 4
        assert ONE in {record.key for record in talk.fake.records if record.fate == fate.name}
        rows = await talk.rows()
        assert [row.status for row in rows] == [Outcome.COMPLETED] * 4
        assert sum(row.attempts for row in rows) == len(talk.fake.records)


def assert_tried_until_checked(talk: Talk) -> None:
    """Each request tries a key once, until the free checks have refused both; the SDK waits for nothing here."""
    keys = [record.key for record in talk.fake.records]
    assert set(keys) == set(KEYS)
    assert max(map(keys.count, keys)) <= len(talk.sent)


@pytest.mark.gen_test(timeout=20)
async def test_openais_sdk_tries_three_times_when_no_key_is_left_and_waits_as_long_as_it_is_told() -> None:
    async with alone() as talk:
        talk.fake.script(None, revoked().for_ever())
        client = await talk.openai()
        with pytest.raises(openai.InternalServerError) as caught:
            await chat(client)
        assert (caught.value.status_code, caught.value.code) == (503, "no_upstream_key")
        assert caught.value.type == "server_error"
        assert (len(talk.sent), client.waits) == (3, [30.0, 30.0])
        assert_tried_until_checked(talk)


@pytest.mark.gen_test(timeout=20)
async def test_anthropics_sdk_tries_three_times_when_no_key_is_left_and_waits_as_long_as_it_is_told() -> None:
    async with alone() as talk:
        talk.fake.script(None, revoked().for_ever())
        client = await talk.anthropic()
        with pytest.raises(anthropic.InternalServerError) as caught:
            await message(client)
        body: Any = caught.value.body
        assert (caught.value.status_code, body["error"]["type"]) == (529, "overloaded_error")
        assert (len(talk.sent), client.waits) == (3, [30.0, 30.0])
        assert_tried_until_checked(talk)


@pytest.mark.gen_test(timeout=20)
async def test_a_lasting_rate_limit_is_told_in_the_upstreams_own_seconds() -> None:
    async with alone(queue_seconds=0.5) as talk:
        talk.fake.script(None, rate_limit(retry_after=7).for_ever())
        clients = await talk.openai(), await talk.anthropic()
        with pytest.raises(openai.InternalServerError) as caught:
            await chat(clients[0])
        with pytest.raises(anthropic.InternalServerError) as refused:
            await message(clients[1])
        assert (caught.value.status_code, refused.value.status_code) == (503, 529)
        for client in clients:
            assert [round(wait) for wait in client.waits] == [7, 7]
        assert len(talk.fake.records) == 4, "each key once for each model"


@pytest.mark.gen_test(timeout=20)
async def test_what_may_have_been_billed_is_not_repeated_by_any_sdk() -> None:
    async with alone() as talk:
        talk.fake.script(None, html_page().for_ever())
        clients = await talk.openai(), await talk.anthropic()
        with pytest.raises(openai.InternalServerError) as caught:
            await chat(clients[0])
        assert (caught.value.status_code, caught.value.code, len(talk.sent)) == (502, "upstream_bad_response", 1)
        with pytest.raises(anthropic.InternalServerError) as refused:
            await message(clients[1])
        body: Any = refused.value.body
        assert (refused.value.status_code, body["error"]["type"], len(talk.sent)) == (502, "api_error", 2)
        for error in (caught.value, refused.value):
            assert error.response.headers["x-should-retry"] == "false"
        assert len(talk.fake.records) == 2
        assert "sign in" not in str(caught.value.body) + str(refused.value.body)


@pytest.mark.gen_test(timeout=20)
async def test_the_callers_own_mistake_comes_with_the_upstreams_words_and_once() -> None:
    async with alone() as talk:
        talk.fake.script(None, context_too_long().for_ever())
        clients = await talk.openai(), await talk.anthropic()
        with pytest.raises(openai.BadRequestError, match="maximum context length is 128000 tokens") as caught:
            await chat(clients[0])
        assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "messages")
        with pytest.raises(anthropic.BadRequestError, match="prompt is too long"):
            await message(clients[1])
        assert len(talk.sent) == len(talk.fake.records) == 2
        rows = await talk.rows()
        assert [(row.status, row.usage.input) for row in rows] == [(Outcome.REJECTED, 0)] * 2
