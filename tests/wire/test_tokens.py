"""What is counted of a request."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from server.wire.tokens import PER_ANSWER, PER_MEDIUM, PER_MESSAGE, Prompt, claude_factor, encoding_for, prompt_of

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}


def texts(kind: str, document: dict[str, Any]) -> set[str]:
    return set(prompt_of(kind, document).texts)


def test_a_conversation_is_read_with_its_tools() -> None:
    tools = [{"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}]
    call = {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": '{"q":1}'}}
    document = {
        "model": "m",
        "user": "not read",
        "tools": tools,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "name": "ann", "content": [{"type": "text", "text": "Look:"}, PICTURE]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "found"},
        ],
    }
    prompt = prompt_of("chat", document)
    assert set(prompt.texts) == {
        "Be brief.", "ann", "Look:", "find", '{"q":1}', "found", orjson.dumps(tools).decode(),
    }  # fmt: skip
    assert prompt.fixed == 4 * PER_MESSAGE + PER_ANSWER + PER_MEDIUM


def test_anthropics_blocks_are_read() -> None:
    document = {
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": [{"type": "image", "source": {"type": "base64", "data": "A" * 9999}}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "find", "input": {"q": [1]}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"text": "found"}]}]},
        ],
    }
    prompt = prompt_of("messages", document)
    assert set(prompt.texts) == {"Be brief.", "find", '{"q":[1]}', "found"}
    assert prompt.fixed == 3 * PER_MESSAGE + PER_ANSWER + PER_MEDIUM


@pytest.mark.parametrize(
    "source",
    [
        {"type": "text", "media_type": "text/plain", "data": "a long story"},
        {"type": "content", "content": "a long story"},
        {"type": "content", "content": [{"type": "text", "text": "a long story"}]},
    ],
)
def test_a_document_whose_text_stands_in_the_request_is_read_with_what_is_said_of_it(source: dict[str, Any]) -> None:
    document = {"type": "document", "title": "Tales", "context": "old ones", "source": source, "citations": {}}
    prompt = prompt_of("messages", {"messages": [{"role": "user", "content": [document]}]})
    assert set(prompt.texts) == {"a long story", "Tales", "old ones"}
    assert prompt.fixed == PER_MESSAGE + PER_ANSWER


@pytest.mark.parametrize("source", [{"type": "base64", "data": "A" * 9999}, {"type": "url", "url": "x"}, None, "text"])
def test_a_document_that_is_a_file_has_a_price_of_its_own(source: Any) -> None:
    content = [{"type": "tool_result", "content": [{"type": "document", "source": source}]}]
    prompt = prompt_of("messages", {"messages": [{"role": "user", "content": content}]})
    assert (prompt.texts, prompt.fixed) == ((), PER_MESSAGE + PER_ANSWER + PER_MEDIUM)


def test_the_responses_api_is_read() -> None:
    items = [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Look:"}]},
        {"type": "input_file", "file_data": "A" * 9999},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hmm."}], "encrypted_content": "A" * 9999},
        {"type": "function_call", "call_id": "c", "name": "find", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "found"},
    ]
    prompt = prompt_of("responses", {"instructions": "Be brief.", "input": items})
    assert set(prompt.texts) == {"Be brief.", "Look:", "Hmm.", "find", "{}", "found"}
    assert prompt.fixed == 5 * PER_MESSAGE + PER_ANSWER + PER_MEDIUM
    assert texts("responses", {"input": "Hi"}) == {"Hi"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", Prompt(("a",))),
        (["a", "b"], Prompt(("a", "b"))),
        ([1, 2, 3], Prompt((), 3)),
        ([[1, 2], [3]], Prompt((), 3)),
        (["a", [1, 2]], Prompt(("a",), 2)),
        ([], Prompt()),
    ],
)
def test_embeddings_take_texts_and_tokens(value: object, expected: Prompt) -> None:
    assert prompt_of("embeddings", {"input": value}) == expected


def test_prompts_of_other_kinds_are_read() -> None:
    assert texts("completions", {"prompt": ["a", "b"], "suffix": "c"}) == {"a", "b", "c"}
    assert texts("images", {"prompt": "a cat"}) == {"a cat"}
    assert texts("speech", {"input": "hello", "instructions": "whisper", "voice": "alloy"}) == {"hello", "whisper"}
    assert texts("transcriptions", {"prompt": "names", "file": ""}) == {"names"}


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-4o-mini", "o200k_base"),
        ("gpt-4.1", "o200k_base"),
        ("gpt-5.2", "o200k_base"),
        ("o3-mini", "o200k_base"),
        ("gpt-4", "cl100k_base"),
        ("gpt-4-turbo-2024-04-09", "cl100k_base"),
        ("openai/gpt-3.5-turbo", "cl100k_base"),
        ("ft:gpt-3.5-turbo:org::id", "cl100k_base"),
        ("ft:gpt-4o:org::id", "o200k_base"),
        ("text-embedding-3-small", "cl100k_base"),
        ("claude-sonnet-4-5", "o200k_base"),
        ("meta/llama-3", "o200k_base"),
    ],
)
def test_each_model_has_its_encoding(model: str, encoding: str) -> None:
    assert encoding_for(model) == encoding


def test_claude_is_guessed_upwards() -> None:
    assert claude_factor("plain English") == 1.2
    assert claude_factor("Größe 你好") == 1.6
