"""A stream that stops early raises in both SDKs. By themselves they take a truncated answer for a whole one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import anthropic
import openai
import pytest

from server.ledger.usage import Outcome
from tests.clients.talking import CHAT, CLAUDE, QUESTION, Talk
from tests.fakes.fates import Answer, Delivery, Ending, Fate, mid_stream_error

Text = Callable[[Talk], AsyncIterator[str]]
ECHO = "You said: How many roads must a man walk down"
QUESTION_TEXT = QUESTION[0]["content"]


async def chat(talk: Talk) -> AsyncIterator[str]:
    client = await talk.openai()
    async for chunk in await client.chat.completions.create(model=CHAT, messages=QUESTION, stream=True):
        yield chunk.choices[0].delta.content or ""


async def chat_helper(talk: Talk) -> AsyncIterator[str]:
    client = await talk.openai()
    async with client.chat.completions.stream(model=CHAT, messages=QUESTION) as stream:
        async for event in stream:
            if event.type == "content.delta":
                yield event.delta


async def completions(talk: Talk) -> AsyncIterator[str]:
    client = await talk.openai()
    async for chunk in await client.completions.create(model=CHAT, prompt=QUESTION_TEXT, stream=True):
        yield chunk.choices[0].text


async def responses(talk: Talk) -> AsyncIterator[str]:
    client = await talk.openai()
    async for event in await client.responses.create(model=CHAT, input=QUESTION_TEXT, stream=True):
        yield event.delta if event.type == "response.output_text.delta" else ""


async def messages(talk: Talk) -> AsyncIterator[str]:
    client = await talk.anthropic()
    async for event in await client.messages.create(model=CLAUDE, max_tokens=99, messages=QUESTION, stream=True):
        if event.type == "content_block_delta" and event.delta.type == "text_delta":
            yield event.delta.text


async def messages_helper(talk: Talk) -> AsyncIterator[str]:
    client = await talk.anthropic()
    async with client.messages.stream(model=CLAUDE, max_tokens=99, messages=QUESTION) as stream:
        async for text in stream.text_stream:
            yield text


OPENAI: list[Text] = [chat, chat_helper, completions, responses]
ANTHROPIC: list[Text] = [messages, messages_helper]
ENDINGS = {
    "FIN": (Ending.CLOSE, False),
    "FIN inside an event": (Ending.CLOSE, True),
    "RST": (Ending.RESET, False),
    "RST inside an event": (Ending.RESET, True),
    "a clean end without the last event": (Ending.COMPLETE, False),
    "a clean end inside an event": (Ending.COMPLETE, True),
    "a broken chunk": (Ending.BAD_CHUNK, False),
}
SLOW = ("a broken chunk",)  # it is noticed a second later
every_ending = pytest.mark.parametrize(
    "ending", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in ENDINGS]
)


def cut(ending: str) -> Fate:
    """Six events, a little apart so that a reset does not overtake them."""
    how, torn = ENDINGS[ending]
    return Answer(name="cut", delivery=Delivery(per_chunk=0.002, stop_after=6, torn=torn, ending=how))


async def collect(text: Text, talk: Talk, into: list[str]) -> None:
    async for piece in text(talk):
        into.append(piece)


async def expect_cut(talk: Talk, said: list[str]) -> None:
    """What holds for every broken stream: a part was delivered, nothing was repeated, and the ledger knows."""
    delivered = "".join(said)
    assert delivered
    assert ECHO.startswith(delivered)
    assert delivered != ECHO
    assert len(talk.sent) == 1
    row = await talk.last_row()
    assert (row.status, row.streamed, row.attempts, row.client_aborted) == (Outcome.CUT, True, 1, False)
    assert row.usage.estimated
    assert row.usage.output > 0


@every_ending
@pytest.mark.parametrize("text", OPENAI)
@pytest.mark.gen_test
async def test_openais_sdk_raises_when_the_upstream_is_lost(talk: Talk, text: Text, ending: str) -> None:
    async with talk:
        said: list[str] = []
        talk.fake.script(None, cut(ending))
        with pytest.raises(openai.APIError) as caught:
            await collect(text, talk, said)
        assert (type(caught.value), caught.value.code) == (openai.APIError, "upstream_disconnected")
        assert caught.value.message == "The upstream connection was lost; the answer is incomplete."
        await expect_cut(talk, said)


@every_ending
@pytest.mark.parametrize("text", ANTHROPIC)
@pytest.mark.gen_test
async def test_anthropics_sdk_raises_when_the_upstream_is_lost(talk: Talk, text: Text, ending: str) -> None:
    async with talk:
        said: list[str] = []
        talk.fake.script(None, cut(ending))
        with pytest.raises(anthropic.APIStatusError) as caught:
            await collect(text, talk, said)
        body: Any = caught.value.body
        message = "The upstream connection was lost; the answer is incomplete."
        assert body["error"] == {"type": "api_error", "message": message}
        assert body["request_id"] == caught.value.response.headers["x-request-id"]
        await expect_cut(talk, said)


@pytest.mark.parametrize("text", [chat, completions])
@pytest.mark.gen_test
async def test_openais_own_error_in_a_stream_is_passed_on_and_is_the_only_one(talk: Talk, text: Text) -> None:
    async with talk:
        said: list[str] = []
        talk.fake.script(None, mid_stream_error(4))
        with pytest.raises(openai.APIError, match="Sorry about that!") as caught:
            await collect(text, talk, said)
        assert (caught.value.type, caught.value.code) == ("server_error", None)
        await expect_cut(talk, said)


@pytest.mark.parametrize("text", ANTHROPIC)
@pytest.mark.gen_test
async def test_anthropics_own_error_in_a_stream_is_passed_on_and_is_the_only_one(talk: Talk, text: Text) -> None:
    async with talk:
        said: list[str] = []
        talk.fake.script(None, mid_stream_error(6))
        with pytest.raises(anthropic.APIStatusError) as caught:
            await collect(text, talk, said)
        assert caught.value.body == {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
        await expect_cut(talk, said)
