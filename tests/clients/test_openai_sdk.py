"""OpenAI's own SDK against the whole gateway, with a base URL and a token and nothing else."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from server.ledger.usage import Outcome
from tests.clients.talking import (
    CHAT,
    EMBEDDING,
    HEARING,
    IMAGE,
    MODELS,
    MODERATION,
    QUESTION,
    SPEECH,
    Talk,
)
from tests.fakes.fates import held, ok

TOOL: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
            "additionalProperties": False,
        },
    },
}


class Event(BaseModel):
    name: str
    participants: list[str]


async def streamed(talk: Talk, **options: Any) -> list[Any]:
    client = await talk.openai()
    stream = await client.chat.completions.create(model=CHAT, messages=QUESTION, stream=True, **options)
    return [chunk async for chunk in stream]


def text_of(chunks: list[Any]) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


@pytest.mark.gen_test
async def test_the_models_are_listed_and_looked_up(talk: Talk) -> None:
    async with talk:
        client = await talk.openai()
        assert [model.id async for model in client.models.list()] == sorted(MODELS)
        assert (await client.models.retrieve(CHAT)).id == CHAT


@pytest.mark.gen_test
async def test_a_chat_is_answered_and_on_the_ledger(talk: Talk) -> None:
    async with talk:
        talk.fake.script(None, ok("Forty-two.", cached=3, reasoning=5))
        client = await talk.openai()
        answer = await client.chat.completions.create(model=CHAT, messages=QUESTION)
        assert answer.choices[0].message.content == "Forty-two."
        assert answer.usage is not None
        assert answer.usage.completion_tokens == 6
        row = await talk.row(answer._request_id)
        assert (row.status, row.usage) == (Outcome.COMPLETED, talk.fake.records[-1].usage)
        assert (row.model_asked, row.endpoint, row.streamed) == (CHAT, "/v1/chat/completions", False)


@pytest.mark.gen_test
async def test_the_headers_tell_the_requests_id_and_its_wait_and_nothing_of_the_upstream(talk: Talk) -> None:
    async with talk:
        client = await talk.openai()
        raw = await client.chat.completions.with_raw_response.create(model=CHAT, messages=QUESTION)
        assert int(raw.headers["x-queue-wait-ms"]) >= 0
        assert raw.request_id == raw.headers["x-request-id"]
        assert (await talk.row(raw.request_id)).status is Outcome.COMPLETED
        for name in ("set-cookie", "server", "openai-organization", "openai-processing-ms"):
            assert name not in raw.headers
        assert not [name for name in raw.headers if name.startswith("x-ratelimit")]


@pytest.mark.gen_test
async def test_nothing_about_the_client_reaches_the_upstream_but_its_body(talk: Talk) -> None:
    async with talk:
        client = await talk.openai(organization="org-mine", project="proj_mine")
        await client.chat.completions.create(model=CHAT, messages=QUESTION, user="ada")
        received = talk.fake.records[-1].request
        assert [name for name, _ in received.headers] == [
            "host", "authorization", "content-type", "accept-encoding", "content-length",
        ]  # fmt: skip
        pseudonym = json.loads(received.body)["user"].encode()
        assert pseudonym.startswith(b"fg-")
        assert received.body.replace(pseudonym, b"ada") == talk.sent[-1].content


@pytest.mark.gen_test
async def test_a_stream_whose_usage_was_asked_for_has_it(talk: Talk) -> None:
    async with talk:
        chunks = await streamed(talk, stream_options={"include_usage": True})
        assert text_of(chunks) == "You said: How many roads must a man walk down"
        assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
        assert (chunks[-1].choices, chunks[-1].usage.completion_tokens) == ([], 10)
        assert (await talk.last_row()).usage == talk.fake.records[-1].usage


@pytest.mark.gen_test
@pytest.mark.parametrize("options", [{}, {"stream_options": {"include_usage": False}}], ids=["silent", "declined"])
async def test_a_stream_whose_usage_was_not_asked_for_never_shows_it_and_is_billed_all_the_same(
    talk: Talk, options: dict[str, Any]
) -> None:
    async with talk:
        chunks = await streamed(talk, **options)
        assert text_of(chunks) == "You said: How many roads must a man walk down"
        assert all(chunk.choices and chunk.usage is None for chunk in chunks)
        row = await talk.last_row()
        assert (row.status, row.usage) == (Outcome.COMPLETED, talk.fake.records[-1].usage)
        assert row.usage.output == 10


@pytest.mark.gen_test
async def test_a_stream_that_is_closed_early_ends_at_the_upstream_too(talk: Talk) -> None:
    async with talk:
        gate = asyncio.Event()
        talk.fake.script(None, held(gate, after=3))
        client = await talk.openai()
        stream = await client.chat.completions.create(model=CHAT, messages=QUESTION, stream=True)
        first = await anext(aiter(stream))
        await stream.close()
        record = talk.fake.records[-1]
        await talk.fake.wait_for(lambda: record.client_left_at)
        row = await talk.row(stream.response.headers["x-request-id"])
        assert first.choices
        assert (row.status, row.client_aborted, row.usage.estimated) == (Outcome.CANCELLED, True, True)


@pytest.mark.gen_test
async def test_a_tool_is_called_and_its_result_is_answered(talk: Talk) -> None:
    async with talk:
        client = await talk.openai()
        asked = await client.chat.completions.create(model=CHAT, messages=QUESTION, tools=[TOOL])
        (call,) = asked.choices[0].message.tool_calls or []
        assert call.type == "function"
        assert json.loads(call.function.arguments) == {"city": "text", "days": 1}
        result: Any = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
        told = [*QUESTION, asked.choices[0].message.to_dict(), result]
        answer = await client.chat.completions.create(model=CHAT, messages=told, tools=[TOOL])
        assert answer.choices[0].message.content == "You said: rain"


@pytest.mark.gen_test
async def test_streamed_arguments_of_a_tool_come_whole(talk: Talk) -> None:
    async with talk:
        client = await talk.openai()
        async with client.chat.completions.stream(
            model=CHAT, messages=QUESTION, tools=[{**TOOL, "function": {**TOOL["function"], "strict": True}}]
        ) as stream:
            final = await stream.get_final_completion()
        (call,) = final.choices[0].message.tool_calls or []
        assert call.function.parsed_arguments == {"city": "text", "days": 1}
        assert (await talk.last_row()).usage == talk.fake.records[-1].usage


@pytest.mark.gen_test
async def test_structured_output_is_parsed(talk: Talk) -> None:
    async with talk:
        client = await talk.openai()
        answer = await client.chat.completions.parse(model=CHAT, messages=QUESTION, response_format=Event)
        assert answer.choices[0].message.parsed == Event(name="text", participants=["text"])


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("given", "vectors", "tokens"),
    [
        ("two words", 1, 2),
        (["one", "two words", "and three words"], 3, 6),
        ([1, 2, 3, 4], 1, 4),
        ([[1, 2], [3]], 2, 3),
    ],
    ids=["text", "texts", "tokens", "lists of tokens"],
)
async def test_embeddings_of_all_inputs_are_answered_and_counted(
    talk: Talk, given: Any, vectors: int, tokens: int
) -> None:
    async with talk:
        client = await talk.openai()
        answer = await client.embeddings.create(model=EMBEDDING, input=given)
        assert len(answer.data) == vectors
        assert all(isinstance(number, float) for number in answer.data[0].embedding)
        assert json.loads(talk.fake.records[-1].body)["encoding_format"] == "base64"
        row = await talk.last_row()
        assert (row.usage, row.usage.input) == (talk.fake.records[-1].usage, tokens)


@pytest.mark.gen_test
async def test_embeddings_as_numbers_are_answered(talk: Talk) -> None:
    async with talk:
        client = await talk.openai()
        answer = await client.embeddings.create(model=EMBEDDING, input="two words", encoding_format="float")
        assert answer.data[0].embedding == [2.0] * 4


@pytest.mark.gen_test
async def test_legacy_completions_are_answered_whole_and_streamed(talk: Talk) -> None:
    async with talk:
        client = await talk.openai()
        whole = await client.completions.create(model=CHAT, prompt="Say this")
        assert whole.choices[0].text == "You said: Say this"
        stream = await client.completions.create(model=CHAT, prompt="Say this", stream=True)
        chunks = [chunk async for chunk in stream]
        assert "".join(chunk.choices[0].text for chunk in chunks) == "You said: Say this"
        assert (await talk.last_row()).usage == talk.fake.records[-1].usage


@pytest.mark.gen_test
async def test_responses_are_answered_whole_and_streamed(talk: Talk) -> None:
    async with talk:
        client = await talk.openai()
        whole = await client.responses.create(model=CHAT, input="Say this")
        assert whole.output_text == "You said: Say this"
        async with client.responses.stream(model=CHAT, input="Say this") as stream:
            kinds = [event.type async for event in stream]
            final = await stream.get_final_response()
        assert (final.output_text, kinds[-1]) == ("You said: Say this", "response.completed")
        assert (await talk.last_row()).usage == talk.fake.records[-1].usage


@pytest.mark.gen_test
async def test_a_conversation_is_compacted_and_billed(talk: Talk) -> None:
    async with talk:
        client = await talk.openai()
        talk.fake.script(None, ok("sealed words", cached=2))
        compacted = await client.responses.compact(model=CHAT, input="How many roads", instructions="Be brief.")
        item: Any = compacted.output[0]
        assert (item.type, item.encrypted_content) == ("compaction", "sealed words")
        row = await talk.row(compacted._request_id)
        assert (row.endpoint, row.status) == ("/v1/responses/compact", Outcome.COMPLETED)
        assert row.usage == talk.fake.records[-1].usage
        with pytest.raises(openai.BadRequestError, match="'previous_response_id' is not available"):
            await client.responses.compact(model=CHAT, previous_response_id="resp_1")


@pytest.mark.gen_test
async def test_the_tokens_of_an_input_are_counted_for_free(talk: Talk) -> None:
    async with talk:
        client = await talk.openai()
        counted = await client.responses.input_tokens.count(model=CHAT, input="How many roads")
        assert counted.input_tokens == 3
        row = await talk.row(counted._request_id)
        assert (row.endpoint, row.cost_micro_usd) == ("/v1/responses/input_tokens", 0)


@pytest.mark.gen_test
async def test_what_triggers_a_compaction_passes(talk: Talk) -> None:
    async with talk:
        client = await talk.openai()
        asked: Any = [*QUESTION, {"type": "compaction_trigger"}]
        await client.responses.create(model=CHAT, input=asked, store=False)
        assert json.loads(talk.fake.records[-1].body)["input"] == asked


@pytest.mark.gen_test
async def test_a_tool_is_called_by_a_response(talk: Talk) -> None:
    async with talk:
        client = await talk.openai()
        tool: Any = {"type": "function", "strict": True, **TOOL["function"]}
        async with client.responses.stream(model=CHAT, input="Say this", tools=[tool]) as stream:
            final = await stream.get_final_response()
        assert json.loads(final.output[0].to_dict()["arguments"]) == {"city": "text", "days": 1}


@pytest.mark.gen_test
async def test_structured_output_of_a_response_is_parsed(talk: Talk) -> None:
    async with talk:
        client = await talk.openai()
        answer = await client.responses.parse(model=CHAT, input="Say this", text_format=Event)
        assert answer.output_parsed == Event(name="text", participants=["text"])


@pytest.mark.gen_test
async def test_moderations_are_answered_also_without_naming_a_model(talk: Talk) -> None:
    async with talk:
        client = await talk.openai()
        assert not (await client.moderations.create(model=MODERATION, input="hello")).results[0].flagged
        assert len((await client.moderations.create(input=["hello", "there"])).results) == 2
        assert (await talk.last_row()).model_asked == MODERATION


@pytest.mark.gen_test
async def test_images_are_made_and_counted(talk: Talk) -> None:
    async with talk:
        client = await talk.openai()
        answer = await client.images.generate(model=IMAGE, prompt="a red fox", n=2)
        assert len(answer.data or []) == 2
        assert (await talk.last_row()).usage == talk.fake.records[-1].usage


@pytest.mark.gen_test
async def test_speech_comes_byte_for_byte(talk: Talk) -> None:
    async with talk:
        client = await talk.openai()
        answer = await client.audio.speech.create(model=SPEECH, voice="alloy", input="two words")
        assert answer.content == b"ID3\x04" + bytes(range(256)) * 8
        assert answer.response.headers["content-type"] == "audio/mpeg"
        async with client.audio.speech.with_streaming_response.create(
            model=SPEECH, voice="alloy", input="two words"
        ) as raw:
            assert await raw.read() == answer.content


@pytest.mark.gen_test
async def test_a_recording_is_transcribed_and_its_bytes_arrive(talk: Talk) -> None:
    async with talk:
        client = await talk.openai()
        sound = bytes(range(256)) * 40
        answer = await client.audio.transcriptions.create(model=HEARING, file=("sound.wav", sound))
        record = talk.fake.records[-1]
        assert answer.text == "You said: something"
        assert sound in record.body
        assert (await talk.last_row()).usage == record.usage


@pytest.mark.gen_test
async def test_twenty_at_once_get_their_own_answers(talk: Talk) -> None:
    async with talk:
        client = await talk.openai()

        async def ask(number: int) -> str | None:
            said: Any = [{"role": "user", "content": f"number {number}"}]
            answer = await client.chat.completions.create(model=CHAT, messages=said)
            return answer.choices[0].message.content

        answers = await asyncio.gather(*map(ask, range(20)))
        assert answers == [f"You said: number {number}" for number in range(20)]


@pytest.mark.gen_test
async def test_the_synchronous_client_works_from_a_thread(talk: Talk) -> None:
    def converse() -> tuple[str | None, str]:
        with openai.OpenAI(base_url=f"{talk.running.url}/v1", api_key=talk.running.token) as client:
            whole = client.chat.completions.create(model=CHAT, messages=QUESTION)
            chunks = client.chat.completions.create(model=CHAT, messages=QUESTION, stream=True)
            return whole.choices[0].message.content, text_of(list(chunks))

    async with talk:
        whole, pieces = await asyncio.to_thread(converse)
        assert whole == pieces == "You said: How many roads must a man walk down"


@pytest.mark.gen_test
async def test_the_proxys_prefix_is_the_same_house(talk: Talk) -> None:
    async with talk:
        client = await talk.openai("/proxy/openai/v1")
        assert CHAT in [model.id async for model in client.models.list()]
        answer = await client.chat.completions.create(model=CHAT, messages=QUESTION)
        assert (await talk.row(answer._request_id)).endpoint == "/v1/chat/completions"


# What is refused.


@pytest.mark.gen_test
async def test_a_wrong_token_is_an_authentication_error(talk: Talk) -> None:
    async with talk:
        before = len(talk.fake.records)
        client = await talk.openai(api_key="sk-nobody")
        with pytest.raises(openai.AuthenticationError) as caught:
            await client.chat.completions.create(model=CHAT, messages=QUESTION)
        assert (caught.value.code, caught.value.type) == ("invalid_api_key", "invalid_request_error")
        assert (len(talk.sent), len(talk.fake.records)) == (1, before)


@pytest.mark.gen_test
async def test_an_unknown_model_is_not_found(talk: Talk) -> None:
    async with talk:
        client = await talk.openai()
        with pytest.raises(openai.NotFoundError) as caught:
            await client.chat.completions.create(model="gpt-nowhere", messages=QUESTION)
        assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("gpt-nowhere")


@pytest.mark.gen_test
async def test_an_endpoint_that_is_not_shared_is_not_found(talk: Talk) -> None:
    async with talk:
        client = await talk.openai()
        with pytest.raises(openai.NotFoundError) as caught:
            await client.files.list()
        assert caught.value.code == "unknown_url"
