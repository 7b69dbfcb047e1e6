"""Anthropic's shapes: messages, count_tokens and the list of models."""

from __future__ import annotations

import json
from dataclasses import replace

from server.wire.usage import Usage
from tests.fakes.fates import Content
from tests.fakes.model import Asked, Event, Json, Reply, Thought, count, dump, last_text, named_event, think

TIER = "standard"  # the service that serves
ERROR_EVENT = named_event({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}).data


def messages(body: Json, content: Content) -> Reply:
    """POST /v1/messages."""
    thought = think(_asked(body), content)
    block = _block(thought, json.loads(thought.text) if thought.tool and not thought.cut else {}, thought.text)
    whole = _message(body, [block], _stop(thought), thought.usage, thought.usage.output)
    events = _events(body, thought) if body.get("stream") else ()
    return Reply(dump(whole), replace(thought.usage, tier=TIER), events, ERROR_EVENT)


def _asked(body: Json) -> Asked:
    turns, tools = body["messages"], body.get("tools") or []
    counted = count(body.get("system") or "") + count(turns) + count(tools)
    limit = body["max_tokens"]
    allowed = (body.get("tool_choice") or {}).get("type") != "none"
    if tools and allowed and not _is_tool_result(turns[-1]["content"]):
        return Asked(counted, "", limit, tools[0]["name"], tools[0].get("input_schema") or {"type": "object"})
    form = (body.get("output_config") or {}).get("format") or {}
    return Asked(counted, last_text(turns), limit, None, form.get("schema"))


def _is_tool_result(content: str | list[Json]) -> bool:
    return isinstance(content, list) and any(block.get("type") == "tool_result" for block in content)


def _block(thought: Thought, arguments: Json, text: str) -> Json:
    if thought.tool:
        return {"type": "tool_use", "id": "toolu_fake", "name": thought.tool, "input": arguments}
    return {"type": "text", "text": text}


def _stop(thought: Thought) -> str:
    if thought.cut:
        return "max_tokens"
    return "tool_use" if thought.tool else "end_turn"


def _message(body: Json, blocks: list[Json], stop: str | None, usage: Usage, output: int) -> Json:
    return {
        "id": "msg_fake",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": blocks,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": _input_usage(usage) | {"output_tokens": output},
    }


def _input_usage(usage: Usage) -> Json:
    """Anthropic counts the three kinds of input apart."""
    return {
        "input_tokens": usage.input - usage.cached - usage.cache_write,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": usage.cache_write, "ephemeral_1h_input_tokens": 0},
        "service_tier": TIER,
    }


def _events(body: Json, thought: Thought) -> tuple[Event, ...]:
    start = _message(body, [], None, thought.usage, 1)
    end = {"type": "message_delta", "delta": {"stop_reason": _stop(thought), "stop_sequence": None}}
    return (
        named_event({"type": "message_start", "message": start}),
        named_event({"type": "content_block_start", "index": 0, "content_block": _block(thought, {}, "")}),
        named_event({"type": "ping"}),
        *(_delta_event(thought, index, piece) for index, piece in enumerate(thought.pieces)),
        named_event({"type": "content_block_stop", "index": 0}),
        named_event(end | {"usage": {"output_tokens": thought.usage.output}}),
        named_event({"type": "message_stop"}),
    )


def _delta_event(thought: Thought, index: int, piece: str) -> Event:
    delta = {"type": "text_delta", "text": piece}
    if thought.tool:
        delta = {"type": "input_json_delta", "partial_json": piece}
    return named_event({"type": "content_block_delta", "index": 0, "delta": delta}, thought.tokens(index))


def count_tokens(body: Json) -> Reply:
    """POST /v1/messages/count_tokens, which is free."""
    tokens = count([body.get("system") or "", body["messages"], body.get("tools") or []])
    return Reply(dump({"input_tokens": tokens}), Usage())


def models(names: tuple[str, ...]) -> Reply:
    """GET /v1/models with an anthropic-version header."""
    stamp = "2025-06-01T00:00:00Z"
    data = [{"type": "model", "id": name, "display_name": name, "created_at": stamp} for name in names]
    whole = {"data": data, "has_more": False, "first_id": names[0], "last_id": names[-1]}
    return Reply(dump(whole), Usage())
