"""Answers in no dialect, written in each as its providers do, and read back by code that knows nothing of ours."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from tests.wire.translate.conversations import compact, names, objects, words


@dataclass(frozen=True)
class Made:
    """A call of a tool."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Reply:
    """An answer. `stop` is Anthropic's word; figures of the input include what came from a cache."""

    text: str = ""
    calls: tuple[Made, ...] = ()
    thought: str = ""
    stop: str = "end_turn"
    input: int = 20
    cached: int = 4
    output: int = 9
    reasoning: int = 0


FINISHED = {"end_turn": "stop", "max_tokens": "length", "tool_use": "tool_calls", "refusal": "content_filter"}
STOPPED = {finished: stop for stop, finished in FINISHED.items()}

EXAMPLES = [
    Reply("Hello, you."),
    Reply("Cut", stop="max_tokens"),
    Reply("", (Made("call_1", "look_up", '{"a":"b"}'),), stop="tool_use"),
    Reply("I look.", (Made("call_1", "look_up", '{"a":"é\\n"}'), Made("call_2", "other", "{}")), stop="tool_use"),
    Reply("So.", thought="Hm, hm.", reasoning=3),
    Reply("I look.", (Made("call_1", "look_up", '{"a":[1,2]}'),), "Hm.", "tool_use", 100, 90, 50, 7),
    Reply("No.", stop="refusal"),
    Reply("日本語 \u2028 🙂 data: x\n\nevent: y"),
]


_MADE = (
    Made("call_1", "look_up", '{"a":"b"}'),
    Made("call_2", "other", "{}"),
    Made("call_3", "n__deep", '{"a":[1,{"b":"é\\n"}],"c":null}'),
)
_FIGURES = ((20, 4, 9, 0), (20, 20, 9, 9), (1, 0, 1, 0), (200_000, 150_000, 64_000, 60_000), (0, 0, 3, 1))


def shapes() -> list[Reply]:
    """Answers of every shape: words or none, thoughts or none, so many calls, every end, figures of many sizes."""
    words = ("", "Hello, you.", "Zwei\nZeilen, und 🙂", "{}", "data: [DONE]", "x" * 300)
    texts = [(text, thought) for text in words for thought in ("", "Hm.", "Hm,\n\nhm.")]
    found = []
    for text, thought in texts:
        for number in range(len(_MADE) + 1):
            stops = ("tool_use",) if number else ("end_turn", "max_tokens", "refusal") if text else ()
            for stop in stops:
                found += [Reply(text, _MADE[:number], thought, stop, *figures) for figures in _FIGURES]
    return found


def _halves(text: str) -> list[str]:
    middle = len(text) // 2
    return [half for half in (text[:middle], text[middle:]) if half]


# Writing.


def chat_usage(reply: Reply) -> dict[str, Any]:
    return {
        "prompt_tokens": reply.input,
        "completion_tokens": reply.output,
        "total_tokens": reply.input + reply.output,
        "prompt_tokens_details": {"cached_tokens": reply.cached},
        "completion_tokens_details": {"reasoning_tokens": reply.reasoning},
    }


def messages_usage(reply: Reply) -> dict[str, Any]:
    return {
        "input_tokens": reply.input - reply.cached,
        "cache_read_input_tokens": reply.cached,
        "cache_creation_input_tokens": 0,
        "output_tokens": reply.output,
        "output_tokens_details": {"thinking_tokens": reply.reasoning},
    }


def chat_answer(reply: Reply) -> bytes:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None}
    if reply.thought:
        message["reasoning_content"] = reply.thought
    if reply.calls:
        message["tool_calls"] = [_chat_call(call) for call in reply.calls]
    choice = {"index": 0, "message": message, "finish_reason": FINISHED[reply.stop]}
    whole = {"id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "gpt", "choices": [choice]}
    return json.dumps({**whole, "usage": chat_usage(reply)}).encode()


def _chat_call(call: Made) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def chat_stream(reply: Reply) -> bytes:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "gpt"}
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": half} for half in _halves(reply.thought)]
    deltas += [{"content": half} for half in _halves(reply.text)]
    for index, call in enumerate(reply.calls):
        named = {"index": index, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}
        deltas.append({"tool_calls": [named]})
        for half in _halves(call.arguments):
            deltas.append({"tool_calls": [{"index": index, "function": {"arguments": half}}]})
    chunks: list[dict[str, Any]] = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": FINISHED[reply.stop]}]})
    chunks.append({**head, "choices": [], "usage": chat_usage(reply)})
    return b"".join(b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in chunks) + b"data: [DONE]\n\n"


def messages_answer(reply: Reply) -> bytes:
    content: list[dict[str, Any]] = []
    if reply.thought:
        content.append({"type": "thinking", "thinking": reply.thought, "signature": "c2ln"})
    if reply.text:
        content.append({"type": "text", "text": reply.text})
    for call in reply.calls:
        content.append({"type": "tool_use", "id": call.id, "name": call.name, "input": json.loads(call.arguments)})
    whole = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": content}
    ending = {"stop_reason": reply.stop, "stop_sequence": None, "usage": messages_usage(reply)}
    return json.dumps({**whole, **ending}).encode()


def messages_stream(reply: Reply) -> bytes:
    begun = json.loads(messages_answer(reply)) | {"content": [], "stop_reason": None}
    begun["usage"] |= {"output_tokens": 1, "output_tokens_details": None}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": begun}, {"type": "ping"}]
    blocks: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    if reply.thought:
        told = [{"type": "thinking_delta", "thinking": half} for half in _halves(reply.thought)]
        told.append({"type": "signature_delta", "signature": "c2ln"})
        blocks.append(({"type": "thinking", "thinking": "", "signature": ""}, told))
    if reply.text:
        told = [{"type": "text_delta", "text": half} for half in _halves(reply.text)]
        blocks.append(({"type": "text", "text": ""}, told))
    for call in reply.calls:
        told = [{"type": "input_json_delta", "partial_json": half} for half in ["", *_halves(call.arguments)]]
        blocks.append(({"type": "tool_use", "id": call.id, "name": call.name, "input": {}}, told))
    for index, (block, told) in enumerate(blocks):
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in told]
        events.append({"type": "content_block_stop", "index": index})
    usage = {"output_tokens": reply.output, "output_tokens_details": {"thinking_tokens": reply.reasoning}}
    ending = {"stop_reason": reply.stop, "stop_sequence": None}
    events += [{"type": "message_delta", "delta": ending, "usage": usage}, {"type": "message_stop"}]
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (event["type"].encode(), json.dumps(event).encode()) for event in events
    )


# Reading back.


@dataclass
class _Read:
    text: str = ""
    thought: str = ""
    calls: list[dict[str, str]] = field(default_factory=list)

    def reply(self, stop: str, figures: tuple[int, int, int, int]) -> Reply:
        made = tuple(Made(call["id"], call["name"], compact(call["arguments"])) for call in self.calls)
        return Reply(self.text, made, self.thought, stop, *figures)


def data_of(stream: bytes) -> list[dict[str, Any]]:
    """The documents of a stream's events, strictly read: every block is an event, every event has one line of data."""
    assert stream.endswith(b"\n\n")
    documents = []
    for block in stream[:-2].split(b"\n\n"):
        *names_, data = block.split(b"\n")
        assert data.startswith(b"data: ") and len(names_) < 2
        if data != b"data: [DONE]":
            documents.append(json.loads(data[6:]))
            assert not names_ or names_[0] == b"event: " + documents[-1]["type"].encode()
    return documents


def _chat_figures(usage: dict[str, Any]) -> tuple[int, int, int, int]:
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    reasoning = usage["completion_tokens_details"]["reasoning_tokens"]
    return usage["prompt_tokens"], cached, usage["completion_tokens"], reasoning


def _messages_figures(usage: dict[str, Any]) -> tuple[int, int, int, int]:
    cached = usage["cache_read_input_tokens"]
    whole = usage["input_tokens"] + cached + usage["cache_creation_input_tokens"]
    return whole, cached, usage["output_tokens"], usage["output_tokens_details"]["thinking_tokens"]


def of_chat_answer(body: bytes) -> Reply:
    answer = json.loads(body)
    choice = answer["choices"][0]
    message = choice["message"]
    calls = [{"id": call["id"], **call["function"]} for call in message.get("tool_calls", [])]
    read = _Read(message["content"] or "", message.get("reasoning_content", ""), calls)
    return read.reply(STOPPED[choice["finish_reason"]], _chat_figures(answer["usage"]))


def of_chat_stream(stream: bytes) -> Reply:
    read, stop, figures = _Read(), "", (0, 0, 0, 0)
    assert stream.endswith(b"data: [DONE]\n\n")
    for chunk in data_of(stream):
        assert chunk["object"] == "chat.completion.chunk"
        if chunk.get("usage"):
            figures = _chat_figures(chunk["usage"])
        for choice in chunk["choices"]:
            assert not stop, "nothing follows the end"
            delta, stop = choice["delta"], choice["finish_reason"] or ""
            read.text += delta.get("content") or ""
            read.thought += delta.get("reasoning_content") or ""
            for call in delta.get("tool_calls", []):
                if call["index"] == len(read.calls):
                    read.calls.append({"id": call["id"], "name": call["function"]["name"], "arguments": ""})
                read.calls[call["index"]]["arguments"] += call["function"]["arguments"]
    return read.reply(STOPPED[stop], figures)


def of_messages_answer(body: bytes) -> Reply:
    answer = json.loads(body)
    read = _Read()
    for block in answer["content"]:
        if block["type"] == "tool_use":
            read.calls.append({"id": block["id"], "name": block["name"], "arguments": json.dumps(block["input"])})
        else:
            read.text += block.get("text", "")
            read.thought += block.get("thinking", "")
    return read.reply(answer["stop_reason"], _messages_figures(answer["usage"]))


def of_messages_stream(stream: bytes) -> Reply:
    read, stop, figures = _Read(), "", (0, 0, 0, 0)
    events = data_of(stream)
    assert [events[0]["type"], *(event["type"] for event in events[-2:])] == [
        "message_start",
        "message_delta",
        "message_stop",
    ]
    blocks: list[dict[str, Any]] = []
    open_: set[int] = set()
    for event in events[1:-1]:
        if event["type"] == "content_block_start":
            assert event["index"] == len(blocks)
            open_.add(len(blocks))
            blocks.append({"arguments": "", **event["content_block"]})
        elif event["type"] == "content_block_delta":
            assert event["index"] in open_
            delta, block = event["delta"], blocks[event["index"]]
            read.text += delta.get("text", "")
            read.thought += delta.get("thinking", "")
            block["arguments"] += delta.get("partial_json", "")
        elif event["type"] == "content_block_stop":
            open_.remove(event["index"])
        else:
            assert not open_
            stop, figures = event["delta"]["stop_reason"], _messages_figures(event["usage"])
    read.calls = [{**block, "arguments": block["arguments"] or "{}"} for block in blocks if block["type"] == "tool_use"]
    return read.reply(stop, figures)


def of_responses_answer(body: bytes) -> Reply:
    answer = json.loads(body)
    read = _Read()
    for item in answer["output"]:
        if item["type"] == "function_call":
            read.calls.append({"id": item["call_id"], "name": item["name"], "arguments": item["arguments"]})
        read.text += "".join(part["text"] for part in item.get("content", []))
        read.thought += "".join(part["text"] for part in item.get("summary", []))
    reason = (answer["incomplete_details"] or {}).get("reason")
    stop = {"max_output_tokens": "max_tokens", "content_filter": "refusal"}.get(reason, "end_turn")
    usage = answer["usage"]
    figures = (
        usage["input_tokens"],
        usage["input_tokens_details"]["cached_tokens"],
        usage["output_tokens"],
        usage["output_tokens_details"]["reasoning_tokens"],
    )
    return read.reply("tool_use" if read.calls and stop == "end_turn" else stop, figures)


def of_responses_stream(stream: bytes) -> Reply:
    events = data_of(stream)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    assert events[-1]["type"] == f"response.{events[-1]['response']['status']}"
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    places = [event["output_index"] for event in events if event["type"] == "response.output_item.done"]
    assert [item for _, item in sorted(zip(places, done, strict=True), key=lambda each: each[0])] == events[-1][
        "response"
    ]["output"]
    told = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    reply = of_responses_answer(json.dumps(events[-1]["response"]).encode())
    assert told == reply.text
    return reply


figures = st.integers(0, 10**6)


@st.composite
def replies(draw: st.DrawFn) -> Reply:
    calls = tuple(Made(f"call_{n}", draw(names), draw(objects)) for n in range(draw(st.integers(0, 3))))
    text = draw(words | st.just("")) if calls else draw(words)
    stop = "tool_use" if calls else draw(st.sampled_from(["end_turn", "max_tokens", "refusal"]))
    read, written = draw(figures), draw(st.integers(1, 10**6))
    cached, reasoning = draw(st.integers(0, read)), draw(st.integers(0, written))
    return Reply(text, calls, draw(words | st.just("")), stop, read, cached, written, reasoning)
