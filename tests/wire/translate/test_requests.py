"""Requests: what a conversation means is the same in every dialect, whatever settings stand beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, get_args

import anthropic.types
import openai.types.chat
import pytest
from hypothesis import given, settings
from pydantic import TypeAdapter

from server.wire.translate.translation import Asker, Spoken, translate
from tests.wire.translate import settings as all_settings
from tests.wire.translate.conversations import (
    Attach,
    Call,
    Return,
    Say,
    Show,
    Step,
    as_chat,
    as_messages,
    as_responses,
    conversations,
    joined,
    of_chat,
    of_messages,
)

MODELS = {"chat": "gpt-5.1", "messages": "claude-sonnet-4-6"}
WRITERS: dict[Asker, Callable[[list[Step]], dict[str, Any]]] = {
    "chat": lambda steps: {"messages": as_chat(steps)},
    "messages": lambda steps: {"max_tokens": 100, **as_messages(steps)},
    "responses": as_responses,
}
READERS: dict[Spoken, Callable[[dict[str, Any]], list[Step]]] = {"chat": of_chat, "messages": of_messages}
PAIRS: list[tuple[Asker, Spoken]] = [
    ("chat", "messages"),
    ("messages", "chat"),
    ("responses", "chat"),
    ("responses", "messages"),
]
SETTINGS = {"chat": all_settings.CHAT, "messages": all_settings.MESSAGES, "responses": all_settings.RESPONSES}
VALID: dict[Spoken, TypeAdapter[Any]] = {
    "chat": TypeAdapter(openai.types.chat.completion_create_params.CompletionCreateParamsBase),
    "messages": TypeAdapter(anthropic.types.message_create_params.MessageCreateParamsBase),
}
KNOWN = {
    "chat": set(openai.types.chat.completion_create_params.CompletionCreateParamsBase.__annotations__) | {"stream"},
    "messages": set(anthropic.types.message_create_params.MessageCreateParamsBase.__annotations__)
    | {"stream", "temperature", "top_p", "top_k"},  # the last three only older models take
}

LEAST_SHAPES = 300
CONVERSATION: list[Step] = [
    Say("system", "Be brief."),
    Say("user", "Look."),
    Show(data="iVBORw0KGgo="),
    Attach("a.pdf"),
    Say("assistant", "I look it up."),
    Call("call_1", "look_up", '{"a":"b"}'),
    Call("call_2", "other", "{}"),
    Return("call_1", "found"),
    Return("call_2", "nothing"),
    Say("user", "And?"),
]


def translated(body: dict[str, Any], asker: Asker, spoken: Spoken) -> dict[str, Any]:
    said = translate(json.dumps(body).encode(), asker, spoken, id="r", now=1, usual_limit=4096)
    document: dict[str, Any] = json.loads(said.body)
    return document


@pytest.mark.slow
@pytest.mark.parametrize(("asker", "spoken"), PAIRS)
def test_every_choice_of_settings_is_translated_and_valid_by_the_official_types(asker: Asker, spoken: Spoken) -> None:
    every = all_settings.every(SETTINGS[asker])

    assert len(every) >= LEAST_SHAPES
    for index, chosen in enumerate(every[:: len(every) // LEAST_SHAPES]):
        steps = CONVERSATION if index % 2 else CONVERSATION[:4]
        body = {"model": MODELS[spoken], **WRITERS[asker](steps), **chosen}
        document = translated(body, asker, spoken)
        VALID[spoken].validate_python(document)
        assert set(document) <= KNOWN[spoken]
        extra = [Say("system", "Answer with one JSON object and nothing else.")] if spoken == "messages" else []
        system = extra if "json_object" in json.dumps(chosen) else []
        assert READERS[spoken](document) == joined([*steps, *system])


@pytest.mark.slow
@pytest.mark.parametrize(("asker", "spoken"), PAIRS)
@settings(max_examples=60, deadline=None)
@given(steps=conversations())
def test_a_conversation_means_the_same(asker: Asker, spoken: Spoken, steps: list[Step]) -> None:
    body = {"model": "m", **WRITERS[asker](steps)}
    document = translated(body, asker, spoken)
    VALID[spoken].validate_python(document)
    assert READERS[spoken](document) == joined(steps)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(steps=conversations())
def test_a_conversation_means_the_same_there_and_back(steps: list[Step]) -> None:
    there = translated({"model": "m", "messages": as_chat(steps)}, "chat", "messages")
    back = translated(there, "messages", "chat")
    assert of_chat(back) == joined(steps)
    again = translated(back, "chat", "messages")
    assert again == there


def test_all_pairs_are_tested() -> None:
    assert {asker for asker, _ in PAIRS} == set(get_args(Asker))
