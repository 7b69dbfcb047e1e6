"""The fake upstream keeps its own promises: the official SDKs accept it, its fates happen, and its books are right."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest
from pydantic import BaseModel

from server.wire.usage import Usage
from tests.fakes.fates import (
    Ending,
    Fate,
    bad_status,
    billing,
    context_too_long,
    cut_mid_event,
    cut_stream,
    deactivated,
    drip,
    drop_after_first_byte,
    drop_before_head,
    first_event_error,
    garbage,
    gzipped,
    hang,
    held,
    html_page,
    huge_header,
    insufficient_quota,
    mid_stream_error,
    model_missing,
    ok,
    overloaded,
    rate_limit,
    rate_limit_without_headers,
    redirect,
    reset_before_head,
    revoked,
    server_error,
    slow,
)
from tests.fakes.ledger import Outcome
from tests.fakes.upstream import FakeUpstream

KEY = "sk-fake-0123456789"
HELLO: Any = [{"role": "user", "content": "hello there"}]
ECHO = "You said: hello there"


class Place(BaseModel):
    """What a structured answer is parsed into."""

    city: str
    people: int


def openai_client(fake: FakeUpstream, key: str = KEY) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key=key, base_url=fake.base_url, max_retries=0)


def anthropic_client(fake: FakeUpstream, key: str = KEY) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(api_key=key, base_url=fake.url, max_retries=0)


def chat_tool() -> Any:
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
    return {"type": "function", "function": {"name": "weather", "parameters": schema}}


def anthropic_tool() -> Any:
    function = chat_tool()["function"]
    return {"name": function["name"], "input_schema": function["parameters"]}


async def post(fake: FakeUpstream, body: bytes, extra: str = "") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A chat request over a bare socket."""
    reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n{extra}"
    writer.write(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    return reader, writer


async def bytes_of(fake: FakeUpstream, *, stream: bool = True) -> bytes:
    """All that a bare socket gets for one request with `Connection: close`, until the end or a reset."""
    reader, writer = await post(fake, CHAT_STREAM if stream else CHAT, "Connection: close\r\n")
    received = b""
    try:
        while data := await reader.read(65536):
            received += data
    except ConnectionResetError:
        received += b"<RST>"
    writer.close()
    return received


CHAT = b'{"model":"m","messages":[{"role":"user","content":"hello there"}]}'
CHAT_STREAM = CHAT[:-1] + b',"stream":true}'


# The official SDKs.


@pytest.mark.gen_test
async def test_openai_chat_answers_with_usage() -> None:
    async with FakeUpstream() as fake, openai_client(fake) as client:
        answer = await client.chat.completions.create(model="m", messages=HELLO)
        assert answer.choices[0].message.content == ECHO
        assert answer.usage is not None
        assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (3, 4)
        assert fake.records[0].usage == Usage(input=3, output=4)


@pytest.mark.gen_test
async def test_openai_chat_streams_without_usage_unless_asked() -> None:
    async with FakeUpstream() as fake, openai_client(fake) as client:
        chunks = [chunk async for chunk in await client.chat.completions.create(model="m", messages=HELLO, stream=True)]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == ECHO
        assert all(chunk.usage is None for chunk in chunks)
        asked: Any = {"include_usage": True}
        stream = await client.chat.completions.create(model="m", messages=HELLO, stream=True, stream_options=asked)
        last = [chunk async for chunk in stream][-1]
        assert last.usage is not None and last.usage.total_tokens == 7
        assert [record.usage for record in fake.records] == [Usage(input=3, output=4)] * 2


@pytest.mark.slow
@pytest.mark.gen_test
async def test_openai_stream_helper_and_parse_accept_the_answers() -> None:
    async with FakeUpstream() as fake, openai_client(fake) as client:
        async with client.chat.completions.stream(model="m", messages=HELLO) as stream:
            final = await stream.get_final_completion()
        assert final.choices[0].message.content == ECHO
        parsed = await client.chat.completions.parse(model="m", messages=HELLO, response_format=Place)
        assert parsed.choices[0].message.parsed == Place(city="text", people=1)
        response = await client.responses.parse(model="m", input="where", text_format=Place)
        assert response.output_parsed == Place(city="text", people=1)


@pytest.mark.gen_test
async def test_openai_tools_are_called_and_their_results_answered() -> None:
    async with FakeUpstream() as fake, openai_client(fake) as client:
        tools = [chat_tool()]
        answer = await client.chat.completions.create(model="m", messages=HELLO, tools=tools)
        call: Any = (answer.choices[0].message.tool_calls or [])[0]
        assert (call.function.name, call.function.arguments) == ("weather", '{"city": "text", "days": 1}')
        async with client.chat.completions.stream(model="m", messages=HELLO, tools=tools) as stream:
            final = await stream.get_final_completion()
        assert (final.choices[0].message.tool_calls or [])[0].function.arguments == call.function.arguments
        asked: Any = answer.choices[0].message.model_dump(exclude_none=True)
        result: Any = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
        after: Any = await client.chat.completions.create(model="m", messages=[*HELLO, asked, result], tools=tools)
        assert after.choices[0].message.content == "You said: sunny"


@pytest.mark.slow
@pytest.mark.gen_test
async def test_openai_responses_answer_stream_and_call_tools() -> None:
    async with FakeUpstream() as fake, openai_client(fake) as client:
        answer = await client.responses.create(model="m", input="hello there")
        assert answer.output_text == ECHO and answer.usage is not None and answer.usage.output_tokens == 4
        async with client.responses.stream(model="m", input="hello there") as stream:
            final = await stream.get_final_response()
        assert final.output_text == ECHO
        tools: Any = [chat_tool()["function"] | {"type": "function"}]
        async with client.responses.stream(model="m", input="hello", tools=tools) as stream:
            called: Any = (await stream.get_final_response()).output[0]
        assert (called.type, called.arguments) == ("function_call", '{"city": "text", "days": 1}')
        assert fake.records[1].usage == Usage(input=2, output=4)


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("given", "vectors", "tokens"),
    [("two words", 1, 2), (["one", "two words"], 2, 3), ([1, 2, 3], 1, 3), ([[1, 2], [3]], 2, 3)],
)
async def test_openai_embeddings_take_strings_and_tokens(given: Any, vectors: int, tokens: int) -> None:
    async with FakeUpstream() as fake, openai_client(fake) as client:
        answer = await client.embeddings.create(model="m", input=given)
        assert [len(item.embedding) for item in answer.data] == [4] * vectors
        assert answer.usage.prompt_tokens == tokens == fake.records[0].usage.input


@pytest.mark.slow
@pytest.mark.gen_test
async def test_openai_other_endpoints_answer_in_shape() -> None:
    async with FakeUpstream() as fake, openai_client(fake) as client:
        assert (await client.models.list()).data[0].id == "gpt-4o-mini"
        assert not (await client.moderations.create(input="fine")).results[0].flagged
        assert len((await client.images.generate(model="m", prompt="a cat", n=2)).data or []) == 2
        speech = await client.audio.speech.create(model="m", voice="alloy", input="two words")
        assert len(await speech.aread()) == 4 + 2048
        heard = await client.audio.transcriptions.create(model="m", file=("a.mp3", b"\x00" * 500))
        assert heard.text == "You said: something"
        assert fake.records[-1].model == "m"
        completion = await client.completions.create(model="m", prompt="hello there")
        assert completion.choices[0].text == ECHO
        stream = await client.completions.create(model="m", prompt="hello there", stream=True)
        assert "".join([chunk.choices[0].text async for chunk in stream]) == ECHO


@pytest.mark.gen_test
async def test_anthropic_messages_answer_stream_and_count() -> None:
    async with FakeUpstream() as fake, anthropic_client(fake) as client:
        answer: Any = await client.messages.create(model="m", max_tokens=9, messages=HELLO)
        assert (answer.content[0].text, answer.stop_reason, answer.usage.output_tokens) == (ECHO, "end_turn", 4)
        async with client.messages.stream(model="m", max_tokens=2, messages=HELLO) as stream:
            final: Any = await stream.get_final_message()
        assert (final.content[0].text, final.stop_reason, final.usage.output_tokens) == ("You said:", "max_tokens", 2)
        assert (await client.messages.count_tokens(model="m", messages=HELLO)).input_tokens == 3
        assert [model.id async for model in client.models.list()][1] == "claude-haiku-4-5"
        assert [record.usage.output for record in fake.records] == [4, 2, 0]
        assert {record.dialect for record in fake.records} == {"anthropic"}


@pytest.mark.gen_test
async def test_anthropic_tools_are_called_also_in_a_stream() -> None:
    async with FakeUpstream() as fake, anthropic_client(fake) as client:
        tools = [anthropic_tool()]
        answer: Any = await client.messages.create(model="m", max_tokens=99, messages=HELLO, tools=tools)
        assert (answer.stop_reason, answer.content[0].input) == ("tool_use", {"city": "text", "days": 1})
        async with client.messages.stream(model="m", max_tokens=99, messages=HELLO, tools=tools) as stream:
            final: Any = await stream.get_final_message()
        assert final.content[0].input == answer.content[0].input
        result: Any = [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "sunny"}]}]
        after: Any = await client.messages.create(model="m", max_tokens=99, messages=result, tools=tools)
        assert after.content[0].type == "text"


@pytest.mark.gen_test
async def test_usage_can_be_invented_with_caches_and_reasoning() -> None:
    async with FakeUpstream() as fake, openai_client(fake) as client, anthropic_client(fake) as other:
        fake.script(KEY, ok(cached=40, reasoning=5).repeat(2), ok(cached=40, cache_write=20))
        chat = await client.chat.completions.create(model="m", messages=HELLO)
        assert chat.usage is not None and chat.usage.prompt_tokens_details is not None
        assert (chat.usage.prompt_tokens_details.cached_tokens, chat.usage.completion_tokens) == (40, 9)
        async for _ in await client.chat.completions.create(model="m", messages=HELLO, stream=True):
            pass
        assert fake.records[0].usage == fake.records[1].usage == Usage(input=40, cached=40, output=9, reasoning=5)
        message = await other.messages.create(model="m", max_tokens=9, messages=HELLO)
        assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (0, 40)
        assert fake.records[2].usage == Usage(input=60, cached=40, cache_write=20, output=4, tier="standard")


# The provider says no.

REFUSALS = [
    (rate_limit(), 429, "rate_limit_exceeded", 429, "rate_limit_error"),
    (rate_limit_without_headers(), 429, "rate_limit_exceeded", 429, "rate_limit_error"),
    (insufficient_quota(), 429, "insufficient_quota", 400, "invalid_request_error"),
    (insufficient_quota("project_spend_limit_exceeded"), 429, "project_spend_limit_exceeded", 400, None),
    (billing(), 429, "billing_not_active", 402, "billing_error"),
    (revoked(), 401, "invalid_api_key", 401, "authentication_error"),
    (deactivated(), 401, "account_deactivated", 400, "invalid_request_error"),
    (model_missing(), 404, "model_not_found", 404, "not_found_error"),
    (model_missing(403), 403, "model_not_found", 403, "permission_error"),
    (context_too_long(), 400, "context_length_exceeded", 400, "invalid_request_error"),
    (overloaded(), 503, None, 529, "overloaded_error"),
    (server_error(), 500, None, 500, "api_error"),
    (server_error(502), 502, None, 502, None),
    (server_error(503), 503, None, 503, None),
]


@pytest.mark.gen_test
@pytest.mark.parametrize(("fate", "status", "code", "anthropic_status", "kind"), REFUSALS)
async def test_a_refusal_has_the_providers_status_and_words(
    fate: Fate, status: int, code: str | None, anthropic_status: int, kind: str | None
) -> None:
    async with FakeUpstream() as fake, openai_client(fake) as client, anthropic_client(fake) as other:
        fake.script(KEY, fate.repeat(2))
        with pytest.raises(openai.APIStatusError) as refused:
            await client.chat.completions.create(model="m", messages=HELLO)
        assert (refused.value.status_code, refused.value.code) == (status, code)
        with pytest.raises(anthropic.APIStatusError) as other_refused:
            await other.messages.create(model="m", max_tokens=9, messages=HELLO)
        assert other_refused.value.status_code == anthropic_status
        body: Any = other_refused.value.body
        assert kind is None or body["error"]["type"] == kind
        assert [record.outcome for record in fake.records] == [Outcome.REFUSED] * 2
        assert await client.chat.completions.create(model="m", messages=HELLO)


@pytest.mark.gen_test
async def test_a_rate_limit_says_for_how_long_unless_it_shall_not() -> None:
    async with FakeUpstream() as fake, openai_client(fake) as client:
        fake.script(KEY, rate_limit(retry_after=2.5), rate_limit_without_headers())
        with pytest.raises(openai.RateLimitError) as refused:
            await client.chat.completions.create(model="m", messages=HELLO)
        headers = refused.value.response.headers
        assert (headers["retry-after"], headers["retry-after-ms"]) == ("3", "2500")
        assert headers["x-ratelimit-remaining-requests"] == "0"
        with pytest.raises(openai.RateLimitError) as refused:
            await client.chat.completions.create(model="m", messages=HELLO)
        assert "retry-after" not in refused.value.response.headers


@pytest.mark.gen_test
async def test_real_limits_are_shared_by_the_keys_of_an_organisation_and_told_in_headers() -> None:
    async with FakeUpstream() as fake, openai_client(fake, "a") as one, openai_client(fake, "b") as two:
        fake.limit("a", "b", rpm=2)
        raw = await one.chat.completions.with_raw_response.create(model="m", messages=HELLO)
        assert (raw.headers["x-ratelimit-limit-requests"], raw.headers["x-ratelimit-remaining-requests"]) == ("2", "1")
        await two.chat.completions.create(model="m", messages=HELLO)
        with pytest.raises(openai.RateLimitError):
            await one.chat.completions.create(model="m", messages=HELLO)
        assert fake.records[2].fate == "rate_limit"


@pytest.mark.gen_test
async def test_anthropics_limits_are_told_in_its_own_headers() -> None:
    async with FakeUpstream() as fake, anthropic_client(fake) as client:
        fake.limit(KEY, tpm=100)
        raw = await client.messages.with_raw_response.create(model="m", max_tokens=9, messages=HELLO)
        assert raw.headers["anthropic-ratelimit-tokens-remaining"] == "93"
        assert raw.headers["anthropic-ratelimit-tokens-reset"].endswith("Z")


@pytest.mark.gen_test
async def test_unknown_keys_models_and_urls_are_refused() -> None:
    fake = FakeUpstream(keys=[KEY], models=["m"])
    async with fake, openai_client(fake) as client, openai_client(fake, "sk-other") as stranger:
        with pytest.raises(openai.AuthenticationError):
            await stranger.models.list()
        with pytest.raises(openai.NotFoundError):
            await client.chat.completions.create(model="other", messages=HELLO)
        with pytest.raises(openai.NotFoundError):
            await client.files.list()
        with pytest.raises(openai.BadRequestError):
            await client.post("/chat/completions", body={"model": "m"}, cast_to=object)
        assert [model.id for model in (await client.models.list()).data] == ["m"]


# Scripts.


@pytest.mark.gen_test
async def test_fates_come_in_order_by_key_and_by_model() -> None:
    async with FakeUpstream() as fake, openai_client(fake) as client:
        fake.script(KEY, ok("first"), ok("more").repeat(2), ok("rest").for_ever())
        fake.script(KEY, ok("special"), model="big")
        fake.script("other", revoked().for_ever())
        said = []
        for model in ["m", "big", "big", "m", "m", "m"]:
            answer = await client.chat.completions.create(model=model, messages=HELLO)
            said.append(answer.choices[0].message.content)
        assert said == ["first", "special", "more", "more", "rest", "rest"]
        assert [record.key for record in fake.of(KEY)] == [KEY] * 6


@pytest.mark.gen_test
async def test_probes_use_up_no_fate_but_meet_those_of_the_key() -> None:
    async with FakeUpstream() as fake, openai_client(fake) as client:
        fake.script(KEY, rate_limit(), revoked())
        await client.models.list()
        with pytest.raises(openai.RateLimitError):
            await client.chat.completions.create(model="m", messages=HELLO)
        with pytest.raises(openai.AuthenticationError):
            await client.models.list()
        fake.forget_script()
        await client.models.list()


# On the wire.

WIRE: list[tuple[Fate, Callable[[bytes], bool]]] = [
    (drop_before_head(), lambda got: got == b""),
    (reset_before_head(), lambda got: got == b"<RST>"),
    (drop_after_first_byte(), lambda got: got.startswith(b"HTTP/1.1 200") and got.endswith(b"<RST>")),
    (cut_stream(2), lambda got: got.count(b"data: ") == 2 and not got.endswith(b"0\r\n\r\n")),
    (cut_stream(2, Ending.COMPLETE), lambda got: got.count(b"data: ") == 2 and got.endswith(b"0\r\n\r\n")),
    (cut_stream(2, Ending.BAD_CHUNK), lambda got: got.endswith(b"zz\r\n")),
    (cut_mid_event(2), lambda got: got.count(b"data: ") == 3 and got.count(b'"finish_reason":null') == 2),
    (mid_stream_error(1), lambda got: got.count(b"data: ") == 2 and b'data: {"error"' in got and b"DONE" not in got),
    (first_event_error(), lambda got: got.startswith(b"HTTP/1.1 200") and got.count(b"data: ") == 1),
    (garbage(), lambda got: not got.startswith(b"HTTP")),
    (bad_status(), lambda got: got.startswith(b"HTTP/1.1 OK")),
    (html_page(), lambda got: b"<html>" in got),
    (huge_header(), lambda got: len(got) > 200_000),
    (gzipped(), lambda got: b"content-encoding: gzip" in got and b"data: " not in got),
    (redirect("http://127.0.0.1:1/"), lambda got: b"Location: http://127.0.0.1:1/\r\n" in got),
    (drip(0.0), lambda got: b"[DONE]" in got),
]


@pytest.mark.gen_test
@pytest.mark.parametrize(("fate", "holds"), WIRE, ids=lambda value: getattr(value, "name", None))
async def test_a_fate_is_carried_out_byte_by_byte(fate: Fate, holds: Callable[[bytes], bool]) -> None:
    async with FakeUpstream() as fake:
        fake.script(KEY, fate)
        got = await bytes_of(fake)
        assert holds(got), got[-300:]
        assert fake.records[0].fate == fate.name
        assert b"[DONE]" in await bytes_of(fake)


@pytest.mark.gen_test
async def test_a_plain_answer_can_be_cut_short_too() -> None:
    async with FakeUpstream() as fake:
        fake.script(KEY, cut_stream(1), mid_stream_error())
        head, _, body = (await bytes_of(fake, stream=False)).partition(b"\r\n\r\n")
        promised = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        assert len(body) == promised // 2
        assert b'{"error":' in await bytes_of(fake, stream=False)
        assert [record.usage.output for record in fake.records] == [0, 0]


@pytest.mark.gen_test
async def test_a_chunked_request_in_small_pieces_is_understood() -> None:
    async with FakeUpstream() as fake:
        reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
        start = f"POST /v1/chat/completions HTTP/1.1\r\nX-Api-Key: {KEY}\r\nTransfer-Encoding: chunked\r\n\r\n"
        wire = start.encode() + b"a\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (CHAT[:10], len(CHAT) - 10, CHAT[10:])
        for at in range(0, len(wire), 7):
            writer.write(wire[at : at + 7])
            await asyncio.sleep(0)
        assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
        assert fake.records[0].body == CHAT
        writer.close()


# The client leaves.


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("fate", "phase"),
    [
        (hang(), lambda record: record.fate == "hang"),
        (slow(first_byte=60), lambda record: record.fate == "slow"),
        (slow(per_chunk=60), lambda record: record.events_written == 1),
        (cut_stream(3, Ending.STALL), lambda record: record.events_written == 3),
        (drip(60), lambda record: record.status == 200),
        (ok("x" * 8_000_000), lambda record: record.events_written == 1),  # the second event is 8 MB
    ],
    ids=["hanging", "waiting", "streaming", "stalled", "dripping", "blocked"],
)
async def test_the_client_is_seen_to_leave_in_every_phase(fate: Fate, phase: Callable[[Any], bool]) -> None:
    async with FakeUpstream() as fake:
        fake.script(KEY, fate)
        _, writer = await post(fake, CHAT_STREAM)
        await fake.wait_for(lambda: fake.records and phase(fake.records[0]))
        assert (fake.open_connections, fake.running) == (1, 1)
        writer.close()
        await fake.wait_for(lambda: fake.open_connections == 0)
        record = fake.records[0]
        assert record.outcome is Outcome.CLIENT_LEFT and record.client_left_at is not None
        assert fake.running == 0


@pytest.mark.gen_test
async def test_usage_counts_what_was_written_when_the_client_left() -> None:
    async with FakeUpstream() as fake:
        gate = asyncio.Event()
        fake.script(KEY, held(gate, after=4, words=50))
        _, writer = await post(fake, CHAT_STREAM)
        await fake.wait_for(lambda: fake.records and fake.records[0].events_written == 4)
        writer.close()
        await fake.wait_for(lambda: fake.records[0].client_left_at)
        assert fake.records[0].usage == Usage(input=3, output=3)


@pytest.mark.gen_test
async def test_a_held_answer_goes_on_when_the_gate_is_opened() -> None:
    async with FakeUpstream() as fake, openai_client(fake) as client:
        gate = asyncio.Event()
        fake.script(KEY, held(gate))
        task = asyncio.create_task(client.chat.completions.create(model="m", messages=HELLO))
        await fake.wait_for(lambda: fake.running == 1)
        gate.set()
        assert (await task).choices[0].message.content == ECHO


@pytest.mark.gen_test
async def test_connections_are_kept_and_bodies_and_headers_recorded() -> None:
    async with FakeUpstream() as fake, openai_client(fake) as client:
        for number in range(3):
            headers = {"X-Request-Id": f"r{number}"}
            await client.chat.completions.create(model="m", messages=HELLO, extra_headers=headers)
        assert fake.connections_made == 1
        assert [record.request_id for record in fake.records] == ["r0", "r1", "r2"]
        assert b"hello there" in fake.records[0].body
        assert fake.records[0].request.header("authorization") == f"Bearer {KEY}"


@pytest.mark.gen_test
async def test_it_can_be_down_and_come_back_on_the_same_port() -> None:
    fake = FakeUpstream()
    async with fake:
        port = fake.port
    with pytest.raises(ConnectionRefusedError):
        await post(fake, CHAT)
    async with fake:
        assert fake.port == port
        assert b"200 OK" in await bytes_of(fake)


@pytest.mark.gen_test
async def test_wait_for_gives_up_after_its_time() -> None:
    async with FakeUpstream() as fake:
        with pytest.raises(TimeoutError):
            await fake.wait_for(lambda: False, seconds=0.01)
