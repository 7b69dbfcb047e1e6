"""A call whose model speaks another dialect: what goes out, and what of it is ours."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from server.relay.context import Call
from server.relay.translating import endpoint_in, translated
from server.store.base import Caller
from server.wire.added import refuses_what_we_added, without
from server.wire.anthropic import ANTHROPIC
from server.wire.dialect import Dialect
from server.wire.endpoints import ENDPOINTS
from server.wire.openai import OPENAI
from server.wire.request import capped, read_request

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
TURNS = [{"role": "user", "content": "x"}]


def call(path: str, **body: Any) -> Call:
    usual: dict[str, Any] = {"model": "m", **({"input": "x"} if path == RESPONSES else {"messages": TURNS})}
    request = read_request(ENDPOINTS[path], json.dumps({**usual, **body}).encode(), "application/json", "talk")
    return Call("req_1", Caller("p", "ada", None), request, {"anthropic-beta": "x"}, "beta=true")


@pytest.mark.parametrize(
    ("path", "dialect", "found"),
    [
        (CHAT, ANTHROPIC, MESSAGES),
        (RESPONSES, ANTHROPIC, MESSAGES),
        (RESPONSES, OPENAI, CHAT),
        ("/v1/responses/compact", OPENAI, None),
        (MESSAGES, OPENAI, CHAT),
        (CHAT, OPENAI, None),
        (MESSAGES, ANTHROPIC, None),
        ("/v1/embeddings", ANTHROPIC, None),
        ("/v1/messages/count_tokens", OPENAI, None),
    ],
)
def test_only_conversations_have_an_endpoint_in_the_other_dialect(
    path: str, dialect: Dialect, found: str | None
) -> None:
    endpoint = endpoint_in(ENDPOINTS[path], dialect)
    assert (None if endpoint is None else endpoint.path) == found


def test_the_caller_keeps_their_conversation_and_nothing_of_theirs_goes_along() -> None:
    before = call(CHAT, stream=True)
    after = translated(before, ENDPOINTS[MESSAGES], 1, 500)
    assert after.request.conversation == before.request.conversation != b""
    assert (after.passed, after.query) == ({}, "")
    assert after.asked.endpoint.path == CHAT and not after.asked.body
    assert after.request.endpoint.path == MESSAGES and after.request.stream


@pytest.mark.parametrize(
    ("asked", "path", "bound", "added"),
    [
        (call(CHAT), MESSAGES, 500, ("max_tokens",)),
        (call(CHAT, max_tokens=9), MESSAGES, 9, ()),
        (call(RESPONSES), MESSAGES, 500, ("max_tokens",)),
        (call(RESPONSES), CHAT, None, ()),
        (call(RESPONSES, max_output_tokens=9, stream=True), CHAT, 9, ("stream_options",)),
        (call(MESSAGES, max_tokens=9), CHAT, 9, ()),
        (call(MESSAGES, max_tokens=9, stream=True), CHAT, 9, ("stream_options",)),
    ],
)
def test_what_the_gateway_adds_is_known_as_its_own(asked: Call, path: str, bound: int, added: tuple[str, ...]) -> None:
    request = translated(asked, ENDPOINTS[path], 1, 500).request
    assert (request.max_tokens, request.added) == (bound, added)


CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
LOOP = [*TURNS, {"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "c", "content": "r"}]
MARKED = [*LOOP[:-1], {**LOOP[-1], "cache_control": {"type": "ephemeral"}}]


@pytest.mark.parametrize(
    ("model", "turns", "ours"),
    [
        ("claude-opus-4-8", LOOP, True),
        ("claude-opus-4-8", TURNS, False),
        ("claude-opus-4-8", [*TURNS, {"role": "assistant", "content": "a"}, *TURNS], False),
        ("claude-opus-4-8", MARKED, False),
        ("qwen3", LOOP, False),
    ],
)
def test_a_loop_of_tools_is_cached_and_the_wish_is_ours(model: str, turns: list[Any], ours: bool) -> None:
    request = translated(call(CHAT, model=model, messages=turns, max_tokens=9), ENDPOINTS[MESSAGES], 1, 500).request
    assert (json.loads(request.body).get("cache_control") == {"type": "ephemeral"}) is ours
    assert request.added == (("cache_control",) if ours else ())
    said = b'{"error": {"message": "cache_control: Extra inputs are not permitted"}}'
    assert refuses_what_we_added(request, 400, said) == ("cache_control" if ours else None)
    if ours:
        assert "cache_control" not in json.loads(without(request, "cache_control").body)


def test_a_bound_of_the_operators_stays_theirs() -> None:
    asked = call(CHAT)
    request = translated(replace(asked, request=capped(asked.request, 7)), ENDPOINTS[MESSAGES], 1, 500).request
    assert (request.max_tokens, request.added) == (7, ("max_tokens",))


def test_the_bound_is_no_more_than_the_model_is_known_for() -> None:
    asked = call(CHAT, model="claude-3-haiku-20240307")
    assert translated(asked, ENDPOINTS[MESSAGES], 1, 100_000).request.max_tokens == 4_096
