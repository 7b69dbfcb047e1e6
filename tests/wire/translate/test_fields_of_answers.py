"""The table of an answer's fields: nothing that the official SDKs read is missing, and each row is true."""

from __future__ import annotations

import copy
import json
from typing import Any

import anthropic.types as a
import openai.types as o
import openai.types.chat as c
import pytest
from openai.types.chat import chat_completion, chat_completion_chunk

from server.wire.translate.fields_of_answers import ANSWERS
from server.wire.translate.translation import PAIRS, Asker, Reader, Spoken, translate

CLASSES: dict[str, list[Any]] = {
    "chat.answer": [c.ChatCompletion, c.ChatCompletionChunk],
    "chat.answer.choice": [chat_completion.Choice, chat_completion_chunk.Choice],
    "chat.answer.message": [c.ChatCompletionMessage, chat_completion_chunk.ChoiceDelta],
    "chat.answer.call": [c.ChatCompletionMessageFunctionToolCall, chat_completion_chunk.ChoiceDeltaToolCall],
    "chat.answer.function": [chat_completion_chunk.ChoiceDeltaToolCallFunction],
    "chat.answer.usage": [o.CompletionUsage],
    "chat.answer.usage.input": [o.completion_usage.PromptTokensDetails],
    "chat.answer.usage.output": [o.completion_usage.CompletionTokensDetails],
    "messages.answer": [a.Message, a.raw_message_delta_event.Delta],
    "messages.answer.text": [a.TextBlock],
    "messages.answer.thinking": [a.ThinkingBlock],
    "messages.answer.redacted_thinking": [a.RedactedThinkingBlock],
    "messages.answer.tool_use": [a.ToolUseBlock],
    "messages.answer.usage": [a.Usage, a.MessageDeltaUsage],
}
CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
FIGURES = {
    "prompt_tokens": 50,
    "completion_tokens": 40,
    "prompt_tokens_details": {"cached_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
WHOLE: dict[Spoken, dict[str, Any]] = {
    "chat": {
        "id": "chatcmpl-1",
        "created": 5,
        "model": "m",
        "choices": [{"message": {"content": "Hi", "tool_calls": [CALL]}, "finish_reason": "stop"}],
        "usage": FIGURES,
    },
    "messages": {
        "id": "msg_1",
        "model": "m",
        "content": [
            {"type": "thinking", "thinking": "Hm", "signature": "s"},
            {"type": "redacted_thinking", "data": "z"},
            {"type": "text", "text": "Hi"},
            {"type": "tool_use", "id": "c", "name": "f", "input": {}},
        ],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 50, "output_tokens": 40},
    },
}
PLACES: dict[str, list[Any]] = {
    "chat.answer": [],
    "chat.answer.choice": ["choices", 0],
    "chat.answer.message": ["choices", 0, "message"],
    "chat.answer.call": ["choices", 0, "message", "tool_calls", 0],
    "chat.answer.function": ["choices", 0, "message", "tool_calls", 0, "function"],
    "chat.answer.usage": ["usage"],
    "chat.answer.usage.input": ["usage", "prompt_tokens_details"],
    "chat.answer.usage.output": ["usage", "completion_tokens_details"],
    "messages.answer": [],
    "messages.answer.text": ["content", 2],
    "messages.answer.thinking": ["content", 0],
    "messages.answer.redacted_thinking": ["content", 1],
    "messages.answer.tool_use": ["content", 3],
    "messages.answer.usage": ["usage"],
}
VALUES: list[Any] = ["zz", 17, {"reasoning_tokens": 9, "thinking_tokens": 9, "explanation": "zz", "cached_tokens": 9}]
SPOKEN: dict[str, Spoken] = {place: "chat" if place.startswith("chat") else "messages" for place in PLACES}
STREAMED = {"delta", "index"}  # fields of which the pieces of a stream make use, and a plain answer has or needs none
BODIES: dict[Asker, dict[str, Any]] = {
    "chat": {"messages": [{"role": "user", "content": "x"}]},
    "messages": {"messages": [{"role": "user", "content": "x"}], "max_tokens": 9},
    "responses": {"input": "x"},
}


def reader(asker: Asker, spoken: Spoken) -> Reader:
    return translate({"model": "m", **BODIES[asker]}, asker, spoken, id="r", now=1, usual_limit=9).reader


def outcome(spoken: Spoken, answer: dict[str, Any]) -> list[bytes]:
    """What the callers of each other dialect are sent of it."""
    body = json.dumps(answer).encode()
    return [reader(asker, each).answer(body) for asker, each in PAIRS if each == spoken]


def with_value(place: str, name: str, value: Any) -> list[bytes]:
    spoken = SPOKEN[place]
    answer = copy.deepcopy(WHOLE[spoken])
    target: Any = answer
    for step in PLACES[place]:
        target = target[step]
    if name == "custom":  # it stands there instead of a function
        target.pop("function")
    target[name] = value
    return outcome(spoken, answer)


def rows(fate: str) -> list[tuple[str, str]]:
    return [(place, name) for place, rows in ANSWERS.items() for name, row in rows.items() if row.fate == fate]


def test_the_table_has_these_places_and_every_field_of_the_official_sdks() -> None:
    assert set(CLASSES) == set(PLACES) == set(ANSWERS)
    for place, classes in CLASSES.items():
        for each in classes:
            assert set(each.model_fields) <= set(ANSWERS[place]), each


@pytest.mark.parametrize(("place", "name"), rows("noted"))
def test_what_is_left_out_changes_nothing(place: str, name: str) -> None:
    usual = outcome(SPOKEN[place], WHOLE[SPOKEN[place]])
    for value in VALUES:
        assert with_value(place, name, value) == usual


@pytest.mark.parametrize(("place", "name"), [each for each in rows("carried") if each[1] not in STREAMED])
def test_what_is_carried_matters(place: str, name: str) -> None:
    usual = outcome(SPOKEN[place], WHOLE[SPOKEN[place]])
    values = [*VALUES, {"name": "g", "arguments": "[]"}, [{"function": {"name": "g"}}], "length"]
    assert any(with_value(place, name, value) != usual for value in values)
