"""A stream that waits shows signs of life, and whatever comes then is told in the stream."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import openai
import pytest

from server.relay.keepalive import KeepaliveTiming
from server.store.base import TokenTerms
from tests.clients.talking import CLAUDE, Talk
from tests.fakes.fates import context_too_long, held, insufficient_quota
from tests.faults.asks import Ask, chat, conversation, error_in, messages, text_of
from tests.faults.clients import Client
from tests.faults.stage import Stage, until
from tests.waiting.conftest import Opener
from tests.waiting.services import ask, full, one_slot, queued

QUESTION: Any = [{"role": "user", "content": "How many roads"}]
CHAT: Any = {"model": "gpt-4o", "messages": QUESTION, "stream": True}
MESSAGE: Any = {"model": CLAUDE, "messages": QUESTION, "max_tokens": 100, "stream": True}
ECHO = "You said: How many roads"
BEAT = {"openai": b": queued position=1 wait=", "anthropic": b'event: ping\ndata: {"type": "ping"}\n\n'}
dialects = pytest.mark.parametrize("dialect", ["openai", "anthropic"])


@pytest.fixture(scope="module")
def lively(open_stage: Opener) -> Stage:
    """A house of one slot that beats every hundredth of a second."""
    return open_stage(one_slot, timing=KeepaliveTiming(queued=0.01, silent=0.01, every=0.01))


@pytest.fixture(scope="module")
def hurried(open_stage: Opener) -> Stage:
    """The same, where nobody may wait for longer than a moment."""
    return open_stage(one_slot, timing=KeepaliveTiming(queued=0.01, silent=0.01, every=0.01), queue_seconds=0.1)


@pytest.fixture(scope="module")
def calm(open_stage: Opener) -> Stage:
    """A house whose first beat comes after five seconds, as it is by default."""
    return open_stage(one_slot, queue_seconds=0.1)


@dialects
@pytest.mark.gen_test
async def test_a_waiting_stream_beats_and_then_answers(lively: Stage, dialect: str) -> None:
    await lively.set()
    async with full(lively) as gate:
        client = await Client.ask(lively.running, conversation(dialect, "second", stream=True))
        seen = await client.read_until(BEAT[dialect])
        assert seen.startswith(b"HTTP/1.1 200")
        assert b"Content-Type: text/event-stream" in seen
        gate.set()
        assert b"second" in await client.read_until(b"[DONE]" if dialect == "openai" else b"message_stop")
        await client.leave()
    await lively.quiet()


@pytest.mark.gen_test
async def test_the_beat_tells_the_place_among_all_who_wait(lively: Stage) -> None:
    await lively.set()
    other = await lively.running.token_of("the-one-before")
    async with full(lively) as gate:
        before = asyncio.create_task(ask(lively, chat("before", stream=False), other))
        await queued(lively)
        client = await Client.ask(lively.running, chat("after", stream=True))
        await client.read_until(b": queued position=2 wait=")
        gate.set()
        assert (await before).status == 200
        await client.read_until(b"[DONE]")
        await client.leave()
    await lively.quiet()


@dialects
@pytest.mark.gen_test
async def test_a_stream_whose_upstream_is_silent_beats_too(lively: Stage, dialect: str) -> None:
    await lively.set()
    gate = asyncio.Event()
    lively.fake.script(None, held(gate))
    client = await Client.ask(lively.running, conversation(dialect, "slowly", stream=True))
    await client.read_until(b": waiting\n\n" if dialect == "openai" else BEAT["anthropic"])
    gate.set()
    await client.read_until(b"[DONE]" if dialect == "openai" else b"message_stop")
    await client.leave()
    await lively.quiet()


@dialects
@pytest.mark.gen_test
async def test_a_stream_whose_upstream_falls_silent_beats_between_two_events(lively: Stage, dialect: str) -> None:
    await lively.set()
    gate = asyncio.Event()
    lively.fake.script(None, held(gate, after=5))
    client = await Client.ask(lively.running, conversation(dialect, "what comes then", stream=True))
    beat = b": waiting\n\n" if dialect == "openai" else BEAT["anthropic"]
    seen = await client.read_until(b"You")
    while seen.partition(b"You")[2].count(beat) < 3:
        seen += await client.read_until(beat)
    gate.set()
    seen += await client.read_until(b"[DONE]" if dialect == "openai" else b"message_stop")
    await client.leave()
    events = [line for line in _lines(seen) if line.startswith(b"data: ") and line != BEAT["anthropic"].split(b"\n")[1]]
    record = lively.records[0]
    hidden = dialect == "openai"  # the chunk with the figures, for which the client has not asked
    assert len(events) == record.events_written - hidden, "whole events, and none of ours inside of one"
    (row,) = await lively.rows()
    assert (row.status, row.usage) == ("completed", record.usage)


def _lines(answer: bytes) -> list[bytes]:
    """The lines of a chunked answer, without the lines that are its framing."""
    body, text = answer.partition(b"\r\n\r\n")[2], b""
    while body and (size := int(body.partition(b"\r\n")[0], 16)):
        start = body.index(b"\r\n") + 2
        text, body = text + body[start : start + size], body[start + size + 2 :]
    return text.split(b"\n")


@pytest.fixture(scope="module")
def brisk(open_stage: Opener) -> Stage:
    """A house that holds back the opening of an answer for a moment only."""
    return open_stage(one_slot, timing=KeepaliveTiming(opening=0.01))


@dialects
@pytest.mark.gen_test
async def test_what_opens_an_answer_is_not_held_for_ever(brisk: Stage, dialect: str) -> None:
    await brisk.set()
    gate = asyncio.Event()
    brisk.fake.script(None, held(gate, after=1))
    client = await Client.ask(brisk.running, conversation(dialect, "at last", stream=True))
    await client.read_until(b'"role":"assistant"' if dialect == "openai" else b"message_start")
    gate.set()
    await client.read_until(b"[DONE]" if dialect == "openai" else b"message_stop")
    await client.leave()
    await brisk.quiet()


@pytest.mark.parametrize(
    ("chosen", "sent"),
    [("comment", b": waiting\n\n"), ("chunk", b'"delta":{}}]}\n\n'), ("off", b"")],
)
@pytest.mark.gen_test
async def test_a_client_chooses_the_signs_of_life(lively: Stage, chosen: str, sent: bytes) -> None:
    await lively.set()
    gate = asyncio.Event()
    lively.fake.script(None, held(gate, after=3))
    asking = asyncio.create_task(ask(lively, chat("how many", stream=True), X_Fairgate_Keepalive=chosen))
    await lively.fake.wait_for(lambda: lively.records and lively.records[0].events_written == 3)
    await asyncio.sleep(0.05)
    gate.set()
    heard = await asking
    assert b"You said: how many" in text_of(heard.body).encode()
    assert (b"\n:" in heard.body or heard.body.startswith(b":")) is (chosen == "comment")
    assert heard.body.count(sent) >= 1


@pytest.mark.gen_test
async def test_a_choice_that_is_none_is_refused(lively: Stage) -> None:
    await lively.set()
    for chosen in ("ON", "", "comments"):
        heard = await ask(lively, chat("how many", stream=True), X_Fairgate_Keepalive=chosen)
        assert (heard.status, heard.error["code"], heard.error["param"]) == (
            400,
            "invalid_value",
            "X-Fairgate-Keepalive",
        )
    assert lively.records == []


@pytest.mark.gen_test
async def test_a_tokens_term_chooses_for_its_client_and_the_header_is_stronger(lively: Stage) -> None:
    await lively.set()
    person = await lively.running.token_of("the-strict-one")
    assert person
    terms = TokenTerms(keepalive="off")
    _, token = await lively.running.services.accounts.create_token("the-strict-one", "strict", None, terms)
    async with full(lively) as gate:
        quiet = asyncio.create_task(ask(lively, chat("quietly", stream=True), token))
        await queued(lively)
        loud = asyncio.create_task(ask(lively, chat("loudly", stream=True), token, X_Fairgate_Keepalive="comment"))
        await queued(lively, 2)
        await asyncio.sleep(0.05)
        gate.set()
        assert (await quiet).body.startswith(b"data: ")
        assert (await loud).body.startswith(b": queued position=")


@dialects
@pytest.mark.gen_test
async def test_a_plain_answer_gets_no_beat(lively: Stage, dialect: str) -> None:
    await lively.set()
    async with full(lively) as gate:
        second = asyncio.create_task(ask(lively, conversation(dialect, "second", stream=False)))
        await queued(lively)
        await asyncio.sleep(0.03)
        gate.set()
        heard = await second
        assert (heard.status, heard.body[:1]) == (200, b"{")


@pytest.mark.gen_test
async def test_openais_sdk_reads_over_the_beats_to_the_answer(lively: Stage) -> None:
    await lively.set()
    async with Talk(lively.running) as talk, full(lively) as gate:
        stream = await (await talk.openai()).chat.completions.create(**CHAT)
        assert lively.waiting == 1, "the stream is open, and its request waits"
        gate.set()
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
        assert text == ECHO


@pytest.mark.gen_test
async def test_anthropics_sdk_reads_over_the_beats_to_the_answer(lively: Stage) -> None:
    await lively.set()
    async with Talk(lively.running) as talk, full(lively) as gate:
        stream = await (await talk.anthropic()).messages.create(**MESSAGE)
        assert lively.waiting == 1, "the stream is open, and its request waits"
        gate.set()
        events = [event async for event in stream]
        texts = [event.delta.text for event in events if event.type == "content_block_delta"]
        assert "".join(texts) == ECHO
        assert events[-1].type == "message_stop"


@pytest.mark.gen_test
async def test_after_beats_the_upstreams_refusal_is_raised_by_openais_sdk(lively: Stage) -> None:
    await lively.set()
    async with Talk(lively.running) as talk, full(lively, context_too_long()) as gate:
        stream = await (await talk.openai()).chat.completions.create(**CHAT)
        gate.set()
        with pytest.raises(openai.APIError, match="maximum context length") as caught:
            _ = [chunk async for chunk in stream]
        assert caught.value.code == "context_length_exceeded"
        assert len(talk.sent) == 1


@pytest.mark.gen_test
async def test_after_beats_the_upstreams_refusal_is_raised_by_anthropics_sdk(lively: Stage) -> None:
    await lively.set()
    async with Talk(lively.running) as talk, full(lively, context_too_long()) as gate:
        stream = await (await talk.anthropic()).messages.create(**MESSAGE)
        gate.set()
        with pytest.raises(anthropic.APIStatusError, match="prompt is too long"):
            _ = [event async for event in stream]
        assert len(talk.sent) == 1


@dialects
@pytest.mark.gen_test
async def test_after_beats_a_broken_upstream_is_told_in_the_stream(lively: Stage, dialect: str) -> None:
    await lively.set()
    async with full(lively, insufficient_quota()) as gate:
        client = await Client.ask(lively.running, conversation(dialect, "second", stream=True))
        await client.read_until(BEAT[dialect])
        gate.set()
        told = await client.read_until(b"No upstream capacity")
        assert (b"event: error" in told) == (dialect == "anthropic")
        await client.leave()


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("question", "kind"), [(chat("q", stream=True), "server_error"), (messages("q", stream=True), "overloaded_error")]
)
async def test_who_waits_too_long_hears_it_in_the_stream(hurried: Stage, question: Ask, kind: str) -> None:
    await hurried.set()
    async with full(hurried):
        heard = await ask(hurried, question)
        assert heard.status == 200
        assert BEAT[question.dialect][:5] in heard.body
        assert heard.error["message"] == "The request waited too long in the queue."
        assert heard.error["type"] == kind


@pytest.mark.gen_test
@pytest.mark.parametrize(("question", "status"), [(chat("q", stream=True), 503), (messages("q", stream=True), 529)])
async def test_before_the_first_beat_a_refusal_keeps_its_true_status(calm: Stage, question: Ask, status: int) -> None:
    await calm.set()
    async with full(calm):
        heard = await ask(calm, question)
        assert heard.status == status
        assert error_in(heard.body)["message"] == "The request waited too long in the queue."
        assert heard.headers["retry-after"] == "30"


@dialects
@pytest.mark.gen_test
async def test_who_leaves_between_beats_leaves_nothing(lively: Stage, dialect: str) -> None:
    await lively.set()
    async with full(lively):
        client = await Client.ask(lively.running, conversation(dialect, "second", stream=True))
        await client.read_until(BEAT[dialect])
        await client.leave()
        await until(lambda: lively.waiting == 0)
        assert lively.running.services.pipeline.running == 1
    assert len(await lively.rows()) == 1, "only the first was sent upstream"
