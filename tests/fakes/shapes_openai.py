"""OpenAI's shapes: chat completions, completions, and the endpoints without streams. Responses: shapes_responses.py."""

from __future__ import annotations

import base64
import re
import struct
from typing import Any

from server.wire.usage import Usage
from tests.fakes.fates import Content
from tests.fakes.model import Asked, Event, Json, Reply, Thought, count, dump, last_text, think, unnamed_event

DONE = Event(b"data: [DONE]\n\n")
CREATED = 1_750_000_000
ERROR_EVENT = unnamed_event(
    {
        "error": {
            "message": "The server had an error while processing your request. Sorry about that!",
            "type": "server_error",
            "param": None,
            "code": None,
        }
    }
).data


def chat(body: Json, content: Content) -> Reply:
    """POST /v1/chat/completions."""
    thought = think(_asked_of_chat(body), content)
    usage = usage_of(thought.usage)
    message: Json = {"role": "assistant", "content": None if thought.tool else thought.text, "refusal": None}
    if thought.tool:
        message["tool_calls"] = [_tool_call(thought.tool, thought.text)]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(thought)}
    whole = _frame(body, "chat.completion") | {"choices": [choice], "usage": usage}
    return Reply(dump(whole), thought.usage, _chat_events(body, thought, usage), ERROR_EVENT)


def _asked_of_chat(body: Json) -> Asked:
    messages, tools = body["messages"], body.get("tools") or []
    counted = count(messages) + count(tools)
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    if tools and body.get("tool_choice") != "none" and messages[-1].get("role") != "tool":
        function = tools[0]["function"]
        return Asked(counted, "", limit, function["name"], function.get("parameters") or {"type": "object"})
    schema = ((body.get("response_format") or {}).get("json_schema") or {}).get("schema")
    return Asked(counted, last_text(messages), limit, None, schema)


def _chat_events(body: Json, thought: Thought, usage: Json) -> tuple[Event, ...]:
    if not body.get("stream"):
        return ()
    frame = _frame(body, "chat.completion.chunk") | {"system_fingerprint": "fp_fake"}
    with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    blank: Json = {"usage": None} if with_usage else {}

    def event(delta: Json, output: int = 0, finish: str | None = None) -> Event:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return unnamed_event(frame | {"choices": [choice]} | blank, output)

    events = [event(_first_delta(thought))]
    for index, piece in enumerate(thought.pieces):
        events.append(event(_delta(thought, piece), thought.tokens(index)))
    events.append(event({}, finish=_finish(thought)))
    if with_usage:
        events.append(unnamed_event(frame | {"choices": [], "usage": usage}))
    return (*events, DONE)


def _first_delta(thought: Thought) -> Json:
    if thought.tool is None:
        return {"role": "assistant", "content": "", "refusal": None}
    return {"role": "assistant", "content": None, "tool_calls": [{"index": 0} | _tool_call(thought.tool, "")]}


def _delta(thought: Thought, piece: str) -> Json:
    if thought.tool is None:
        return {"content": piece}
    return {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}


def _tool_call(name: str, arguments: str) -> Json:
    return {"id": "call_fake", "type": "function", "function": {"name": name, "arguments": arguments}}


def _finish(thought: Thought) -> str:
    if thought.cut:
        return "length"
    return "tool_calls" if thought.tool else "stop"


def _frame(body: Json, kind: str) -> Json:
    return {"id": "chatcmpl-fake", "object": kind, "created": CREATED, "model": body["model"]}


def usage_of(usage: Usage) -> Json:
    """The `usage` object of chat completions and completions."""
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": 0},
    }


def completions(body: Json, content: Content) -> Reply:
    """POST /v1/completions; the prompt is a string, a list of strings or a list of tokens."""
    prompt = body["prompt"]
    thought = think(Asked(count(prompt), prompt if isinstance(prompt, str) else "", body.get("max_tokens")), content)
    frame = _frame(body, "text_completion") | {"id": "cmpl-fake"}

    def choices(text: str, finish: str | None) -> Json:
        return frame | {"choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": finish}]}

    whole = choices(thought.text, _finish(thought)) | {"usage": usage_of(thought.usage)}
    if not body.get("stream"):
        return Reply(dump(whole), thought.usage)
    events = [unnamed_event(choices(piece, None), thought.tokens(i)) for i, piece in enumerate(thought.pieces)]
    events.append(unnamed_event(choices("", _finish(thought))))
    if (body.get("stream_options") or {}).get("include_usage"):
        events.append(unnamed_event(frame | {"choices": [], "usage": usage_of(thought.usage)}))
    return Reply(dump(whole), thought.usage, (*events, DONE), ERROR_EVENT)


def embeddings(body: Json, _content: Content) -> Reply:
    """POST /v1/embeddings; the input is text(s) or list(s) of tokens. Each vector is its count, repeated."""
    given = body["input"]
    single = isinstance(given, str) or (bool(given) and isinstance(given[0], int))
    size = body.get("dimensions") or 4
    data = [_embedding(index, item, size, body) for index, item in enumerate([given] if single else given)]
    tokens = count(given)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    whole = {"object": "list", "data": data, "model": body["model"], "usage": usage}
    return Reply(dump(whole), Usage(input=tokens))


def _embedding(index: int, item: object, size: int, body: Json) -> Json:
    vector: Any = [float(count(item))] * size
    if body.get("encoding_format") == "base64":
        vector = base64.b64encode(struct.pack(f"<{size}f", *vector)).decode()
    return {"object": "embedding", "index": index, "embedding": vector}


CATEGORIES = (
    *("harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent"),
    *("self-harm", "self-harm/instructions", "self-harm/intent", "sexual", "sexual/minors"),
    *("violence", "violence/graphic"),
)


def moderations(body: Json, _content: Content) -> Reply:
    """POST /v1/moderations: nothing is ever flagged, and it is free."""
    result = {
        "flagged": False,
        "categories": dict.fromkeys(CATEGORIES, False),
        "category_scores": dict.fromkeys(CATEGORIES, 0.001),
        "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
    }
    given = body["input"]
    results = [result] * (len(given) if isinstance(given, list) else 1)
    return Reply(dump({"id": "modr-fake", "model": body.get("model", "omni-moderation"), "results": results}), Usage())


def images(body: Json, _content: Content) -> Reply:
    """POST /v1/images/generations: `n` images of 100 output tokens each."""
    n, tokens = body.get("n") or 1, count(body["prompt"])
    picture = base64.b64encode(b"\x89PNG fake").decode()
    usage = {
        "input_tokens": tokens,
        "input_tokens_details": {"text_tokens": tokens, "image_tokens": 0},
        "output_tokens": 100 * n,
        "total_tokens": tokens + 100 * n,
    }
    whole = {"created": CREATED, "data": [{"b64_json": picture}] * n, "usage": usage}
    return Reply(dump(whole), Usage(input=tokens, output=100 * n, images=n))


def speech(body: Json, _content: Content) -> Reply:
    """POST /v1/audio/speech: a kilobyte of audio for each word. Only the last event of a stream carries usage."""
    words = count(body["input"])
    if body.get("stream_format") == "sse":
        usage = {"input_tokens": words, "output_tokens": 20 * words, "total_tokens": 21 * words}
        sound = base64.b64encode(bytes(range(256))).decode()
        events = [unnamed_event({"type": "speech.audio.delta", "audio": sound}) for _ in range(words)]
        events.append(unnamed_event({"type": "speech.audio.done", "usage": usage}, 20 * words))
        return Reply(b"", Usage(words, output=20 * words), tuple(events))
    return Reply(b"ID3\x04" + bytes(range(256)) * 4 * words, Usage(input=words), content_type="audio/mpeg")


def transcriptions(form: Json, content: Content) -> Reply:
    """POST /v1/audio/transcriptions: one input token for each 100 bytes of the form."""
    heard = think(Asked(form["length"] // 100, "something"), content)
    usage = {
        "type": "tokens",
        "input_tokens": heard.usage.input,
        "output_tokens": heard.usage.output,
        "total_tokens": heard.usage.input + heard.usage.output,
    }
    if form.get("stream") != "true":
        return Reply(dump({"text": heard.text, "usage": usage}), heard.usage)
    events = [unnamed_event({"type": "transcript.text.delta", "delta": piece}, 1) for piece in heard.pieces]
    events.append(unnamed_event({"type": "transcript.text.done", "text": heard.text, "usage": usage}))
    return Reply(b"", heard.usage, tuple(events))


def read_form(body: bytes) -> Json:
    """The text fields of a multipart form, and the form's length in bytes."""
    fields = re.findall(rb'name="([^";]+)"\r\n(?:[^\r]+\r\n)*\r\n([^\r]*)\r\n', body)
    return {name.decode(): value.decode("latin-1") for name, value in fields} | {"length": len(body)}


def models(names: tuple[str, ...]) -> Reply:
    """GET /v1/models."""
    data = [{"id": name, "object": "model", "created": CREATED, "owned_by": "fake"} for name in names]
    return Reply(dump({"object": "list", "data": data}), Usage())
