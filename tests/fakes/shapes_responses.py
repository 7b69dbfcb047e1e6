"""OpenAI's responses API: one item in the output, a message or a function call."""

from __future__ import annotations

from server.wire.usage import Usage
from tests.fakes.fates import Content
from tests.fakes.model import Asked, Event, Json, Reply, Thought, count, dump, last_text, named_event, think
from tests.fakes.shapes_openai import CREATED

ERROR_EVENT = named_event(
    {
        "type": "error",
        "code": "server_error",
        "message": "The server had an error while processing your request. Sorry about that!",
        "param": None,
        "sequence_number": 99,
    }
).data


def responses(body: Json, content: Content) -> Reply:
    """POST /v1/responses."""
    thought = think(_asked(body), content)
    whole = _response(body, thought, "incomplete" if thought.cut else "completed")
    events = tuple(_events(body, thought, whole)) if body.get("stream") else ()
    return Reply(dump(whole), thought.usage, events, ERROR_EVENT)


def compact(body: Json, content: Content) -> Reply:
    """POST /v1/responses/compact: all that was said by the user, and one sealed item."""
    thought = think(_asked({**body, "tools": None}), content)
    item = {"type": "compaction", "id": "cmp_fake", "encrypted_content": thought.text}
    whole = {"id": "resp_fake", "object": "response.compaction", "created_at": CREATED, "output": [item]}
    return Reply(dump(whole | {"usage": _usage(thought.usage)}), thought.usage)


def input_tokens(body: Json) -> Reply:
    """POST /v1/responses/input_tokens, which is free."""
    tokens = count([body.get("instructions") or "", body["input"], body.get("tools") or []])
    return Reply(dump({"object": "response.input_tokens", "input_tokens": tokens}), Usage())


def _asked(body: Json) -> Asked:
    given, tools = body["input"], body.get("tools") or []
    counted = count(body.get("instructions") or "") + count(given) + count(tools)
    limit = body.get("max_output_tokens")
    functions = [tool for tool in tools if tool["type"] == "function"]
    is_result = isinstance(given, list) and given[-1].get("type") == "function_call_output"
    if functions and body.get("tool_choice") != "none" and not is_result:
        return Asked(counted, "", limit, functions[0]["name"], functions[0].get("parameters") or {"type": "object"})
    schema = ((body.get("text") or {}).get("format") or {}).get("schema")
    return Asked(counted, last_text(given), limit, None, schema)


def _response(body: Json, thought: Thought, status: str) -> Json:
    """The response object; one that is in progress has neither output nor usage."""
    running = status == "in_progress"
    return {
        "id": "resp_fake",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": body.get("instructions"),
        "metadata": {},
        "model": body["model"],
        "output": [] if running else [_item(thought, "completed")],
        "parallel_tool_calls": True,
        "previous_response_id": body.get("previous_response_id"),
        "temperature": 1.0,
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools") or [],
        "top_p": 1.0,
        "usage": None if running else _usage(thought.usage),
    }


def _item(thought: Thought, status: str) -> Json:
    done = status == "completed"
    if thought.tool:
        names = {"type": "function_call", "id": "fc_fake", "call_id": "call_fake", "name": thought.tool}
        return names | {"arguments": thought.text if done else "", "status": status}
    content = [_part(thought.text)] if done else []
    return {"type": "message", "id": "msg_fake", "role": "assistant", "status": status, "content": content}


def _part(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _usage(usage: Usage) -> Json:
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    }


def _events(body: Json, thought: Thought, whole: Json) -> list[Event]:
    started = _response(body, thought, "in_progress")
    steps: list[tuple[Json, int]] = [
        ({"type": "response.created", "response": started}, 0),
        ({"type": "response.in_progress", "response": started}, 0),
        ({"type": "response.output_item.added", "output_index": 0, "item": _item(thought, "in_progress")}, 0),
        *(_call_steps(thought) if thought.tool else _text_steps(thought)),
        ({"type": "response.output_item.done", "output_index": 0, "item": _item(thought, "completed")}, 0),
        ({"type": f"response.{whole['status']}", "response": whole}, 0),
    ]
    return [named_event(step | {"sequence_number": number}, output) for number, (step, output) in enumerate(steps)]


def _text_steps(thought: Thought) -> list[tuple[Json, int]]:
    where = {"item_id": "msg_fake", "output_index": 0, "content_index": 0}
    deltas = [
        ({"type": "response.output_text.delta", **where, "delta": piece, "logprobs": []}, thought.tokens(index))
        for index, piece in enumerate(thought.pieces)
    ]
    return [
        ({"type": "response.content_part.added", **where, "part": _part("")}, 0),
        *deltas,
        ({"type": "response.output_text.done", **where, "text": thought.text, "logprobs": []}, 0),
        ({"type": "response.content_part.done", **where, "part": _part(thought.text)}, 0),
    ]


def _call_steps(thought: Thought) -> list[tuple[Json, int]]:
    where = {"item_id": "fc_fake", "output_index": 0}
    deltas = [
        ({"type": "response.function_call_arguments.delta", **where, "delta": piece}, thought.tokens(index))
        for index, piece in enumerate(thought.pieces)
    ]
    done = {"type": "response.function_call_arguments.done", **where, "arguments": thought.text, "name": thought.tool}
    return [*deltas, (done, 0)]
