"""The official SDKs understand what is translated: their requests go in, and they read the answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
from anthropic.types import ToolUseBlock
from openai.types.responses import ResponseFunctionToolCall

from server.wire.translate.translation import Asker, Spoken, translate
from tests.wire.translate.replies import (
    EXAMPLES,
    Made,
    Reply,
    chat_answer,
    chat_stream,
    messages_answer,
    messages_stream,
)

MADE: dict[Spoken, tuple[Callable[[Reply], bytes], Callable[[Reply], bytes]]] = {
    "chat": (chat_answer, chat_stream),
    "messages": (messages_answer, messages_stream),
}
PIECE = 37  # bytes, of which no event is a multiple


def provider(http: Any, asker: Asker, spoken: Spoken, reply: Reply) -> Any:
    """A gateway in front of a provider of the other family, that gives this answer. `http`: the SDK's library."""

    def answer(request: Any) -> Any:
        said = translate(request.content, asker, spoken, id="r", now=1, usual_limit=4096)
        plain, streamed = MADE[spoken]
        if b'"stream":true' not in said.body:
            return http.Response(200, content=said.reader.answer(plain(reply)), headers=JSON)
        stream = streamed(reply)

        def pieces() -> Iterator[bytes]:
            for at in range(0, len(stream), PIECE):
                yield said.reader.feed(stream[at : at + PIECE])
            yield said.reader.close()

        return http.Response(200, content=pieces(), headers={"Content-Type": "text/event-stream"})

    return http.Client(transport=http.MockTransport(answer))


JSON = {"Content-Type": "application/json"}


def openai_client(asker: Asker, spoken: Spoken, reply: Reply) -> openai.OpenAI:
    client = provider(httpx, asker, spoken, reply)
    return openai.OpenAI(api_key="k", base_url="http://gateway/v1", http_client=client, max_retries=0)


def anthropic_client(reply: Reply) -> anthropic.Anthropic:
    client = provider(httpx2, "messages", "chat", reply)
    return anthropic.Anthropic(api_key="k", base_url="http://gateway", http_client=client, max_retries=0)


TOOL = {"type": "object", "properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize("reply", EXAMPLES)
def test_openai_chat_of_a_claude(reply: Reply) -> None:
    client = openai_client("chat", "messages", reply)
    made = client.chat.completions.create(
        model="claude-opus-4-8",
        messages=[{"role": "user", "content": "x"}],
        tools=[{"type": "function", "function": {"name": "look_up", "parameters": TOOL}}],
    )
    message = made.choices[0].message
    assert (message.content or "") == reply.text
    assert _chat_calls(message.tool_calls or []) == reply.calls
    assert made.usage is not None
    assert (made.usage.prompt_tokens, made.usage.completion_tokens) == (reply.input, reply.output)
    with client.chat.completions.stream(
        model="claude-opus-4-8",
        messages=[{"role": "user", "content": "x"}],
        stream_options={"include_usage": True},
    ) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion() if reply.stop not in ("max_tokens", "refusal") else None
    if final is not None:
        assert (final.choices[0].message.content or "") == reply.text
        assert _chat_calls(final.choices[0].message.tool_calls or []) == reply.calls
        assert final.usage == made.usage


def _chat_calls(calls: list[object]) -> tuple[Made, ...]:
    return tuple(Made(call.id, call.function.name, call.function.arguments) for call in calls)  # type: ignore[attr-defined]


@pytest.mark.parametrize("reply", EXAMPLES)
def test_anthropic_messages_of_a_gpt(reply: Reply) -> None:
    client = anthropic_client(reply)
    made = client.messages.create(
        model="gpt-5.1",
        max_tokens=50,
        system="s",
        messages=[{"role": "user", "content": "x"}],
        tools=[{"name": "look_up", "input_schema": {"type": "object"}}],
    )
    assert made.stop_reason == reply.stop
    assert "".join(block.text for block in made.content if block.type == "text") == reply.text
    assert [block.name for block in made.content if isinstance(block, ToolUseBlock)] == [
        call.name for call in reply.calls
    ]
    assert made.usage.output_tokens == reply.output
    with client.messages.stream(model="gpt-5.1", max_tokens=50, messages=[{"role": "user", "content": "x"}]) as stream:
        final = stream.get_final_message()
    assert (final.id, final.stop_reason) == (made.id, made.stop_reason)
    assert [block.model_dump() for block in final.content] == [block.model_dump() for block in made.content]
    assert final.usage.output_tokens == reply.output
    assert final.usage.input_tokens == reply.input - reply.cached
    assert final.usage.cache_read_input_tokens == reply.cached


@pytest.mark.parametrize("spoken", ["chat", "messages"])
@pytest.mark.parametrize("reply", EXAMPLES)
def test_openai_responses_of_either(spoken: Spoken, reply: Reply) -> None:
    client = openai_client("responses", spoken, reply)
    made = client.responses.create(model="m", input="x", store=False)
    calls = [item for item in made.output if isinstance(item, ResponseFunctionToolCall)]
    assert made.output_text == reply.text
    assert tuple(Made(call.call_id, call.name, call.arguments) for call in calls) == reply.calls
    assert made.usage is not None and made.usage.output_tokens_details.reasoning_tokens == reply.reasoning
    with client.responses.stream(model="m", input="x", store=False) as stream:
        final = None
        for event in stream:
            if event.type in ("response.completed", "response.incomplete"):
                final = event.response
    assert final is not None
    assert final.output_text == reply.text
    assert [item.model_dump(include=dict(item)) for item in final.output] and final.usage == made.usage
    assert final.status == made.status


def test_errors_are_those_of_the_askers_sdk() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    said = translate(body, "chat", "messages", id="r", now=1, usual_limit=9)

    def refuse(request: httpx.Request) -> httpx.Response:
        body = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
        status, told = said.reader.error(529, body)
        return httpx.Response(status, content=told, headers=JSON)

    client = httpx.Client(transport=httpx.MockTransport(refuse))
    with pytest.raises(openai.InternalServerError, match="Overloaded") as error:
        openai.OpenAI(api_key="k", http_client=client, max_retries=0).models.list()
    assert error.value.status_code == 503


def test_an_error_in_a_stream_is_an_error_of_the_askers_sdk() -> None:
    error = b'data: {"error":{"message":"Server error","type":"server_error","code":null}}\n\n'
    begun = chat_stream(EXAMPLES[0])[:400].rpartition(b"\n\n")[0] + b"\n\n"

    def answer(request: httpx2.Request) -> httpx2.Response:
        said = translate(request.content, "messages", "chat", id="r", now=1, usual_limit=9)
        stream = said.reader.feed(begun + error)
        return httpx2.Response(200, content=stream, headers={"Content-Type": "text/event-stream"})

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    client = anthropic.Anthropic(api_key="k", http_client=http, max_retries=0)
    with (
        pytest.raises(anthropic.APIStatusError, match="Server error"),
        client.messages.stream(model="m", max_tokens=5, messages=[{"role": "user", "content": "x"}]) as stream,
    ):
        stream.get_final_message()
