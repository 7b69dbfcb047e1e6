"""A model is reached in every dialect: the official SDKs against models of the other family; native is untouched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import anthropic
import openai
import pytest
from tornado.ioloop import IOLoop

from server.ledger.usage import Outcome
from tests.clients.talking import CHAT, CLAUDE, EMBEDDING, QUESTION, Talk
from tests.fakes.fates import Answer, Content, Delivery, ok
from tests.fakes.upstream import FakeUpstream
from tests.gateways import Running, gateway, spec

SCHEMA: Any = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
}
FUNCTION: Any = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
TOOL: Any = {"name": "weather", "input_schema": SCHEMA}
PLAIN = "mistral-large"  # its server has no responses
ARGUMENTS = {"city": "text", "days": 1}
ECHO = "You said: How many roads must a man walk down"
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="


@pytest.fixture(scope="module")
def running(io_loop: IOLoop) -> Iterator[Running]:
    """Two upstreams, of one family each, and one that knows nothing but chats."""
    stack = AsyncExitStack()

    async def start() -> Running:
        fake = await stack.enter_async_context(FakeUpstream())
        upstreams = (
            spec(fake, name="openai", dialects=("openai",), models=(CHAT, EMBEDDING)),
            spec(fake, keys=("sk-mill",), name="mill", dialects=("openai",), models=(PLAIN,), responses=False),
            spec(fake, keys=("sk-ant-one",), name="anthropic", dialects=("anthropic",), models=(CLAUDE,)),
        )
        return await stack.enter_async_context(gateway(fake, *upstreams, drain_usage_seconds=0.0))

    yield io_loop.run_sync(start, timeout=30)
    io_loop.run_sync(stack.aclose, timeout=10)


@pytest.mark.gen_test
@pytest.mark.parametrize("prefix", ["/v1", "/proxy/anthropic/v1", "/proxy/openai/v1"])
async def test_openai_chats_with_a_claude(talk: Talk, prefix: str) -> None:
    async with talk:
        talk.fake.script(None, ok("Forty-two.", cached=3, cache_write=2))
        client = await talk.openai(prefix)
        answer = await client.chat.completions.create(model=CLAUDE, messages=QUESTION, user="someone", seed=1)
        assert answer.choices[0].message.content == "Forty-two."
        sent = talk.fake.records[-1]
        assert sent.path == "/v1/messages" and b"someone" not in sent.body
        assert answer.usage is not None and answer.usage.prompt_tokens == sent.usage.input
        assert answer.usage.prompt_tokens_details is not None
        assert answer.usage.prompt_tokens_details.cached_tokens == 3
        row = await talk.row(answer._request_id)
        assert (row.status, row.usage) == (Outcome.COMPLETED, sent.usage)


@pytest.mark.gen_test
async def test_what_was_left_out_is_told_in_a_header(talk: Talk) -> None:
    async with talk:
        client = await talk.openai()
        raw = await client.chat.completions.with_raw_response.create(model=CLAUDE, messages=QUESTION, seed=1)
        assert raw.headers["x-fairgate-translated"] == "messages; max_tokens, seed"
        raw = await client.chat.completions.with_raw_response.create(model=CHAT, messages=QUESTION, seed=1)
        assert "x-fairgate-translated" not in raw.headers


@pytest.mark.gen_test
async def test_openai_streams_from_a_claude(talk: Talk) -> None:
    async with talk:
        client = await talk.openai()
        stream = await client.chat.completions.create(
            model=CLAUDE, messages=QUESTION, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == ECHO
        assert chunks[-1].usage is not None and chunks[-1].usage.completion_tokens == talk.fake.records[-1].usage.output
        assert (await talk.last_row()).usage == talk.fake.records[-1].usage
        stream = await client.chat.completions.create(model=CLAUDE, messages=QUESTION, stream=True)
        assert [chunk.usage async for chunk in stream if chunk.usage] == []


@pytest.mark.gen_test
async def test_openai_calls_tools_of_a_claude(talk: Talk) -> None:
    async with talk:
        client = await talk.openai()
        asked = await client.chat.completions.create(model=CLAUDE, messages=QUESTION, tools=[FUNCTION])
        message = asked.choices[0].message
        assert asked.choices[0].finish_reason == "tool_calls" and message.tool_calls
        call: Any = message.tool_calls[0]
        assert json.loads(call.function.arguments) == ARGUMENTS
        turns = [*QUESTION, message.to_dict(), {"role": "tool", "tool_call_id": call.id, "content": "rain"}]
        answer = await client.chat.completions.create(model=CLAUDE, messages=turns, tools=[FUNCTION])
        assert answer.choices[0].finish_reason == "stop"
        async with client.chat.completions.stream(model=CLAUDE, messages=QUESTION, tools=[FUNCTION]) as stream:
            final = await stream.get_final_completion()
        calls: Any = final.choices[0].message.tool_calls
        assert json.loads(calls[0].function.arguments) == ARGUMENTS


@pytest.mark.gen_test
async def test_openai_shows_a_picture_to_a_claude(talk: Talk) -> None:
    async with talk:
        client = await talk.openai()
        shown: Any = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}
        content: Any = [{"type": "text", "text": "What is it?"}, shown]
        await client.chat.completions.create(model=CLAUDE, messages=[{"role": "user", "content": content}])
        source = json.loads(talk.fake.records[-1].body)["messages"][0]["content"][1]["source"]
        assert source == {"type": "base64", "media_type": "image/png", "data": PICTURE}


@pytest.mark.gen_test
async def test_responses_of_a_claude(talk: Talk) -> None:
    async with talk:
        client = await talk.openai()
        answer = await client.responses.create(model=CLAUDE, input="How many roads", store=False)
        assert answer.output_text == "You said: How many roads"
        async with client.responses.stream(model=CLAUDE, input="How many roads") as stream:
            events = [event async for event in stream]
        last: Any = events[-1]
        assert last.type == "response.completed" and last.response.output_text == answer.output_text
        assert (await talk.last_row()).usage == talk.fake.records[-1].usage


@pytest.mark.gen_test
async def test_responses_of_a_server_that_knows_nothing_but_chats(talk: Talk) -> None:
    async with talk:
        client = await talk.openai()
        answer = await client.responses.create(model=PLAIN, input="How many roads", instructions="Be brief.")
        sent = talk.fake.records[-1]
        assert (answer.output_text, sent.path) == ("You said: How many roads", "/v1/chat/completions")
        assert answer.usage is not None and answer.usage.input_tokens == sent.usage.input
        async with client.responses.stream(model=PLAIN, input="How many roads") as stream:
            events = [event async for event in stream]
        last: Any = events[-1]
        assert last.type == "response.completed" and last.response.output_text == answer.output_text
        assert (await talk.last_row()).usage == talk.fake.records[-1].usage
        raw = await client.responses.with_raw_response.create(model=CHAT, input="x", store=False)
        assert "x-fairgate-translated" not in raw.headers and talk.fake.records[-1].path == "/v1/responses"


@pytest.mark.gen_test
@pytest.mark.parametrize("model", [CLAUDE, PLAIN])
async def test_free_text_for_a_tool_goes_there_and_comes_back(talk: Talk, model: str) -> None:
    async with talk:
        client = await talk.openai()
        patch: Any = {"type": "custom", "name": "apply_patch", "description": "Changes files."}
        asked = await client.responses.create(model=model, input="Change it", tools=[patch], store=False)
        call: Any = asked.output[-1]
        assert (call.type, call.name, call.input) == ("custom_tool_call", "apply_patch", "text")
        result = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "done"}
        turns: Any = [*QUESTION, *(item.to_dict() for item in asked.output), result]
        answer = await client.responses.create(model=model, input=turns, tools=[patch], store=False)
        assert answer.output_text.startswith("You said:") and b'"done"' in talk.fake.records[-1].body


@pytest.mark.gen_test
@pytest.mark.parametrize("prefix", ["", "/proxy/openai", "/proxy/anthropic"])
async def test_anthropic_talks_with_a_gpt(talk: Talk, prefix: str) -> None:
    async with talk:
        talk.fake.script(None, ok("Forty-two.", cached=3, reasoning=5))
        client = await talk.anthropic(prefix)
        answer = await client.messages.create(
            model=CHAT, max_tokens=100, messages=QUESTION, system="Be brief.", metadata={"user_id": "someone"}
        )
        assert answer.content[0].to_dict()["text"] == "Forty-two."
        sent = talk.fake.records[-1]
        assert sent.path == "/v1/chat/completions" and b"someone" not in sent.body
        assert (answer.usage.cache_read_input_tokens, answer.usage.output_tokens) == (3, sent.usage.output)
        assert (await talk.last_row()).usage == sent.usage


@pytest.mark.gen_test
async def test_anthropic_streams_from_a_gpt_and_calls_its_tools(talk: Talk) -> None:
    async with talk:
        client = await talk.anthropic()
        async with client.messages.stream(model=CHAT, max_tokens=100, messages=QUESTION) as stream:
            assert "".join([text async for text in stream.text_stream]) == ECHO
            final = await stream.get_final_message()
        assert final.stop_reason == "end_turn" and final.usage.output_tokens == talk.fake.records[-1].usage.output
        async with client.messages.stream(model=CHAT, max_tokens=100, messages=QUESTION, tools=[TOOL]) as stream:
            asked = await stream.get_final_message()
        call: Any = asked.content[0]
        assert (asked.stop_reason, call.input) == ("tool_use", ARGUMENTS)
        result: Any = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "rain"}]}
        turns = [*QUESTION, {"role": "assistant", "content": asked.content}, {"role": "user", "content": [result]}]
        answer = await client.messages.create(model=CHAT, max_tokens=100, messages=turns, tools=[TOOL])
        assert answer.content[0].type == "text"


@pytest.mark.gen_test
async def test_what_cannot_be_said_there_is_a_400_that_names_it(talk: Talk) -> None:
    async with talk:
        sent = len(talk.fake.records)
        client = await talk.openai()
        with pytest.raises(openai.BadRequestError, match="'logit_bias' cannot be passed on") as refusal:
            await client.chat.completions.create(model=CLAUDE, messages=QUESTION, logit_bias={"1": 1})
        assert (refusal.value.code, refusal.value.param) == ("not_translatable", "logit_bias")
        other = await talk.anthropic()
        with pytest.raises(anthropic.BadRequestError, match=r"'tools\[0\].type' cannot be passed on"):
            search: Any = {"type": "web_search_20250305", "name": "web_search"}
            await other.messages.create(model=CHAT, max_tokens=9, messages=QUESTION, tools=[search])
        assert len(talk.fake.records) == sent


@pytest.mark.gen_test
async def test_errors_have_the_callers_envelope(talk: Talk) -> None:
    async with talk:
        talk.fake.script(None, Answer(name="cut", content=Content(words=9), delivery=Delivery(error_after=4)))
        client = await talk.anthropic()
        with pytest.raises(anthropic.APIStatusError) as error:
            async with client.messages.stream(model=CHAT, max_tokens=100, messages=QUESTION) as stream:
                await stream.get_final_message()
        body: Any = error.value.body
        assert body["type"] == "error" and body["error"]["type"]


@pytest.mark.gen_test
async def test_a_stream_that_breaks_off_is_no_answer(talk: Talk) -> None:
    async with talk:
        talk.fake.script(None, Answer(name="cut", content=Content(words=9), delivery=Delivery(stop_after=6)))
        client = await talk.openai()
        stream = await client.chat.completions.create(model=CLAUDE, messages=QUESTION, stream=True)
        with pytest.raises(openai.APIError, match="incomplete"):
            [chunk async for chunk in stream]
        assert (await talk.last_row()).status is Outcome.CUT


@pytest.mark.gen_test
async def test_what_is_no_conversation_is_not_translated(talk: Talk) -> None:
    async with talk:
        client = await talk.openai()
        with pytest.raises(openai.NotFoundError, match="ask at /v1/messages"):
            await client.embeddings.create(model=CLAUDE, input="x")


@pytest.mark.gen_test
async def test_the_models_that_are_translated_for_are_listed(talk: Talk) -> None:
    async with talk:
        client, other = await talk.openai(), await talk.anthropic()
        assert [model.id async for model in client.models.list()] == sorted([CHAT, CLAUDE, EMBEDDING, PLAIN])
        assert [model.id async for model in other.models.list()] == sorted([CHAT, CLAUDE, PLAIN])
        assert (await client.models.retrieve(CLAUDE)).id == CLAUDE
