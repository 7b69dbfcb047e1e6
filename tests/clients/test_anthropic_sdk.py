"""Anthropic's own SDK against the whole gateway, with a base URL and a token and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import pytest
from pydantic import BaseModel

from server.ledger.usage import Outcome
from tests.clients.talking import CLAUDE, MODELS, QUESTION, HastyAnthropic, Talk
from tests.fakes.fates import held, ok

TOOL: Any = {
    "name": "weather",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city", "days"],
    },
}
ASKED: Any = {"model": CLAUDE, "max_tokens": 100, "messages": QUESTION}
ECHO = "You said: How many roads must a man walk down"


class Event(BaseModel):
    name: str
    participants: list[str]


@pytest.mark.gen_test
async def test_a_message_is_answered_and_on_the_ledger(talk: Talk) -> None:
    async with talk:
        talk.fake.script(None, ok("Forty-two.", cached=3, cache_write=2))
        client = await talk.anthropic()
        answer = await client.messages.create(**ASKED, system="Be brief.")
        assert answer.content[0].to_dict()["text"] == "Forty-two."
        assert (answer.usage.cache_read_input_tokens, answer.usage.output_tokens) == (3, 1)
        row = await talk.last_row()
        assert (row.status, row.usage) == (Outcome.COMPLETED, talk.fake.records[-1].usage)
        assert (row.dialect, row.endpoint) == ("anthropic", "/v1/messages")


@pytest.mark.gen_test
@pytest.mark.parametrize("name", ["X-Api-Key", "Authorization"])
async def test_the_token_is_taken_from_either_header(talk: Talk, name: str) -> None:
    async with talk:
        value = talk.running.token if name == "X-Api-Key" else f"Bearer {talk.running.token}"
        client = await talk.anthropic(api_key=None, auth_token=None, default_headers={name: value})
        assert (await client.messages.create(**ASKED)).stop_reason == "end_turn"
        assert talk.sent[-1].headers[name] == value


@pytest.mark.gen_test
@pytest.mark.parametrize("option", ["api_key", "auth_token"])
async def test_the_token_may_be_given_to_the_sdk_as_either(talk: Talk, option: str) -> None:
    async with talk:
        client = await talk.anthropic(**{"api_key": None, option: talk.running.token})
        assert (await client.messages.create(**ASKED)).stop_reason == "end_turn"
        received = talk.fake.records[-1].request
        assert received.header("authorization") is None
        assert received.header("x-api-key") in ("sk-upstream-one", "sk-upstream-two")


@pytest.mark.gen_test
async def test_the_headers_tell_the_requests_id_and_its_wait_and_nothing_of_the_upstream(talk: Talk) -> None:
    async with talk:
        client = await talk.anthropic()
        raw = await client.messages.with_raw_response.create(**ASKED)
        assert int(raw.headers["x-queue-wait-ms"]) >= 0
        assert (await talk.row(raw.headers["x-request-id"])).status is Outcome.COMPLETED
        for name in ("set-cookie", "server", "anthropic-organization"):
            assert name not in raw.headers
        assert not [name for name in raw.headers if name.startswith("anthropic-ratelimit")]


@pytest.mark.gen_test
async def test_the_sdk_knows_the_id_of_its_request(talk: Talk) -> None:
    async with talk:
        client = await talk.anthropic()
        answer = await client.messages.create(**ASKED)
        assert (await talk.row(answer._request_id)).status is Outcome.COMPLETED


@pytest.mark.gen_test
async def test_version_and_beta_reach_the_upstream_and_nothing_else_of_the_client_does(talk: Talk) -> None:
    async with talk:
        client = await talk.anthropic()
        await client.messages.create(**ASKED, extra_headers={"anthropic-beta": "context-1m-2025-08-07"})
        received = talk.fake.records[-1].request
        assert received.header("anthropic-beta") == "context-1m-2025-08-07"
        assert received.header("anthropic-version") == talk.sent[-1].headers["anthropic-version"]
        assert {name for name, _ in received.headers} == {
            "host", "x-api-key", "anthropic-version", "anthropic-beta",
            "content-type", "accept-encoding", "content-length",
        }  # fmt: skip
        assert received.body == talk.sent[-1].content


@pytest.mark.gen_test
async def test_the_stream_helper_gives_text_and_the_final_message(talk: Talk) -> None:
    async with talk:
        talk.fake.script(None, ok(cached=3, cache_write=2))
        client = await talk.anthropic()
        async with client.messages.stream(**ASKED) as stream:
            text = "".join([piece async for piece in stream.text_stream])
            final = await stream.get_final_message()
        assert (text, final.stop_reason) == (ECHO, "end_turn")
        row = await talk.last_row()
        assert (row.status, row.streamed, row.usage) == (Outcome.COMPLETED, True, talk.fake.records[-1].usage)
        assert (final.usage.output_tokens, row.usage.output) == (10, 10)


@pytest.mark.gen_test
async def test_a_stream_that_is_closed_early_ends_at_the_upstream_too(talk: Talk) -> None:
    async with talk:
        talk.fake.script(None, held(asyncio.Event(), after=5))
        client = await talk.anthropic()
        stream = await client.messages.create(**ASKED, stream=True)
        assert (await anext(aiter(stream))).type == "message_start"
        await stream.close()
        record = talk.fake.records[-1]
        await talk.fake.wait_for(lambda: record.client_left_at)
        row = await talk.row(stream.response.headers["x-request-id"])
        assert (row.status, row.client_aborted, row.usage.estimated) == (Outcome.CANCELLED, True, True)
        assert row.usage.input == record.usage.input


@pytest.mark.gen_test
async def test_a_tool_is_called_and_its_result_is_answered(talk: Talk) -> None:
    async with talk:
        client = await talk.anthropic()
        asked = await client.messages.create(**ASKED, tools=[TOOL])
        call = asked.content[0]
        assert call.type == "tool_use"
        assert call.input == {"city": "text", "days": 1}
        result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "rain"}]}
        turns = [*QUESTION, {"role": "assistant", "content": asked.content}, {"role": "user", "content": [result]}]
        answer = await client.messages.create(**{**ASKED, "messages": turns}, tools=[TOOL])
        assert answer.content[0].type == "text"


@pytest.mark.gen_test
async def test_streamed_arguments_of_a_tool_come_whole(talk: Talk) -> None:
    async with talk:
        client = await talk.anthropic()
        async with client.messages.stream(**ASKED, tools=[TOOL]) as stream:
            final = await stream.get_final_message()
        assert final.content[0].to_dict()["input"] == {"city": "text", "days": 1}
        assert (await talk.last_row()).usage == talk.fake.records[-1].usage


@pytest.mark.gen_test
async def test_structured_output_is_parsed(talk: Talk) -> None:
    async with talk:
        client = await talk.anthropic()
        answer = await client.messages.parse(**ASKED, output_format=Event)
        assert answer.parsed_output == Event(name="text", participants=["text"])


@pytest.mark.gen_test
async def test_tokens_are_counted_for_nothing(talk: Talk) -> None:
    async with talk:
        client = await talk.anthropic()
        counted = await client.messages.count_tokens(model=CLAUDE, messages=QUESTION)
        assert counted.input_tokens == 9
        assert (await talk.last_row()).usage == talk.fake.records[-1].usage


@pytest.mark.gen_test
async def test_the_models_are_listed_and_looked_up(talk: Talk) -> None:
    async with talk:
        client = await talk.anthropic()
        assert [model.id async for model in client.models.list()] == sorted(MODELS)
        assert (await client.models.retrieve(CLAUDE)).display_name == CLAUDE


@pytest.mark.gen_test
async def test_twenty_at_once_get_their_own_answers(talk: Talk) -> None:
    async with talk:
        client = await talk.anthropic()

        async def ask(number: int) -> str:
            said = [{"role": "user", "content": f"number {number}"}]
            answer = await client.messages.create(**{**ASKED, "messages": said})
            return str(answer.content[0].to_dict()["text"])

        answers = await asyncio.gather(*map(ask, range(20)))
        assert answers == [f"You said: number {number}" for number in range(20)]


@pytest.mark.gen_test
async def test_the_synchronous_client_works_from_a_thread(talk: Talk) -> None:
    def converse() -> str:
        with (
            anthropic.Anthropic(base_url=talk.running.url, api_key=talk.running.token) as client,
            client.messages.stream(**ASKED) as stream,
        ):
            return stream.get_final_text()

    async with talk:
        assert await asyncio.to_thread(converse) == ECHO


@pytest.mark.gen_test
async def test_the_proxys_prefix_is_the_same_house(talk: Talk) -> None:
    async with talk:
        client = await talk.anthropic("/proxy/anthropic")
        assert CLAUDE in [model.id async for model in client.models.list()]
        answer = await client.messages.create(**ASKED)
        assert answer.content[0].to_dict()["text"] == ECHO
        assert (await talk.last_row()).endpoint == "/v1/messages"


# What is refused.


@pytest.mark.gen_test
async def test_a_wrong_token_is_an_authentication_error(talk: Talk) -> None:
    async with talk:
        client = await talk.anthropic(api_key="sk-ant-nobody")
        with pytest.raises(anthropic.AuthenticationError) as caught:
            await client.messages.create(**ASKED)
        assert kind(caught.value) == "authentication_error"
        assert len(talk.sent) == 1


@pytest.mark.gen_test
async def test_an_unknown_model_is_not_found(talk: Talk) -> None:
    async with talk:
        client = await talk.anthropic()
        with pytest.raises(anthropic.NotFoundError) as caught:
            await client.messages.create(**{**ASKED, "model": "claude-nowhere"})
        assert kind(caught.value) == "not_found_error"
        await not_found(client)


async def not_found(client: HastyAnthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as caught:
        await client.models.retrieve("claude-nowhere")
    assert kind(caught.value) == "not_found_error"


def kind(error: anthropic.APIStatusError) -> str:
    """The type of an error in Anthropic's envelope."""
    body: Any = error.body
    assert (body["type"], body["request_id"]) == ("error", error.response.headers["x-request-id"])
    return str(body["error"]["type"])
