"""Answers: what is said, called, counted and why it ends is the same in every dialect, plain and streamed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.wire.translate.translation import Asker, Reader, Spoken, translate
from tests.wire.translate.replies import (
    EXAMPLES,
    Reply,
    chat_answer,
    chat_stream,
    data_of,
    messages_answer,
    messages_stream,
    of_chat_answer,
    of_chat_stream,
    of_messages_answer,
    of_messages_stream,
    of_responses_answer,
    of_responses_stream,
    replies,
    shapes,
)

PAIRS: list[tuple[Asker, Spoken]] = [
    ("chat", "messages"),
    ("messages", "chat"),
    ("responses", "chat"),
    ("responses", "messages"),
]
LEAST_SHAPES = 300
ANSWERS: dict[Spoken, Callable[[Reply], bytes]] = {"chat": chat_answer, "messages": messages_answer}
STREAMS: dict[Spoken, Callable[[Reply], bytes]] = {"chat": chat_stream, "messages": messages_stream}
OF_ANSWERS: dict[Asker, Callable[[bytes], Reply]] = {
    "chat": of_chat_answer,
    "messages": of_messages_answer,
    "responses": of_responses_answer,
}
OF_STREAMS: dict[Asker, Callable[[bytes], Reply]] = {
    "chat": of_chat_stream,
    "messages": of_messages_stream,
    "responses": of_responses_stream,
}
BODIES: dict[Asker, dict[str, Any]] = {
    "chat": {"messages": [{"role": "user", "content": "x"}], "stream_options": {"include_usage": True}},
    "messages": {"messages": [{"role": "user", "content": "x"}], "max_tokens": 9},
    "responses": {"input": "x"},
}


def reader(asker: Asker, spoken: Spoken, **more: Any) -> Reader:
    body = {"model": "m", "stream": True, **BODIES[asker], **more}
    return translate(body, asker, spoken, id="r", now=5, usual_limit=4096).reader


def streamed(reader: Reader, stream: bytes, piece: int = 1 << 30) -> bytes:
    fed = [reader.feed(stream[at : at + piece]) for at in range(0, len(stream), piece)]
    return b"".join(fed) + reader.close()


@pytest.mark.parametrize(("asker", "spoken"), PAIRS)
@pytest.mark.parametrize("reply", EXAMPLES)
def test_an_answer_is_the_same_plain_and_streamed(asker: Asker, spoken: Spoken, reply: Reply) -> None:
    assert OF_ANSWERS[asker](reader(asker, spoken).answer(ANSWERS[spoken](reply))) == reply
    assert OF_STREAMS[asker](streamed(reader(asker, spoken), STREAMS[spoken](reply))) == reply


@pytest.mark.slow
@pytest.mark.parametrize(("asker", "spoken"), PAIRS)
def test_answers_of_every_shape_are_the_same_plain_and_streamed(asker: Asker, spoken: Spoken) -> None:
    every = shapes()
    assert len(every) == len(set(every)) >= LEAST_SHAPES
    first = reader(asker, spoken)
    for reply in every:
        assert OF_ANSWERS[asker](first.again().answer(ANSWERS[spoken](reply))) == reply
        assert OF_STREAMS[asker](streamed(first.again(), STREAMS[spoken](reply))) == reply


@pytest.mark.slow
@pytest.mark.parametrize(("asker", "spoken"), PAIRS)
@settings(max_examples=50, deadline=None)
@given(reply=replies(), piece=st.integers(1, 200))
def test_any_answer_is_the_same_in_whatever_pieces_it_comes(
    asker: Asker, spoken: Spoken, reply: Reply, piece: int
) -> None:
    assert OF_ANSWERS[asker](reader(asker, spoken).answer(ANSWERS[spoken](reply))) == reply
    assert OF_STREAMS[asker](streamed(reader(asker, spoken), STREAMS[spoken](reply), piece)) == reply


@pytest.mark.slow
@pytest.mark.parametrize(("asker", "spoken"), PAIRS)
@pytest.mark.parametrize("reply", EXAMPLES[5:6])
def test_a_stream_may_be_cut_at_every_byte(asker: Asker, spoken: Spoken, reply: Reply) -> None:
    stream, first = STREAMS[spoken](reply), reader(asker, spoken)
    whole = streamed(first.again(), stream)
    for at in range(len(stream)):
        one = first.again()
        assert one.feed(stream[:at]) + one.feed(stream[at:]) + one.close() == whole


@pytest.mark.parametrize(("asker", "spoken"), PAIRS)
def test_a_stream_may_come_byte_by_byte(asker: Asker, spoken: Spoken) -> None:
    first = reader(asker, spoken)
    for reply in EXAMPLES:
        stream = STREAMS[spoken](reply)
        assert streamed(first.again(), stream, 1) == streamed(first.again(), stream)


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(reply=replies())
def test_an_answer_is_the_same_there_and_back(reply: Reply) -> None:
    there = streamed(reader("messages", "chat"), chat_stream(reply))
    assert of_chat_stream(streamed(reader("chat", "messages"), there)) == reply
    there = streamed(reader("chat", "messages"), messages_stream(reply))
    assert of_messages_stream(streamed(reader("messages", "chat"), there)) == reply


@pytest.mark.parametrize(("asker", "spoken"), PAIRS)
def test_what_breaks_off_has_no_end(asker: Asker, spoken: Spoken) -> None:
    stream = STREAMS[spoken](EXAMPLES[0])
    ends = {"chat": b"[DONE]", "messages": b"message_stop", "responses": b"response.completed"}
    ending = {"chat": b'"finish_reason": "stop"', "messages": b'"stop_reason": "end_turn"'}[spoken]
    cut = stream[: stream.index(ending)]
    assert ends[asker] not in streamed(reader(asker, spoken), cut[: cut.rindex(b"\n\n") + 2])
    assert ends[asker] in streamed(reader(asker, spoken), stream)


@pytest.mark.parametrize("asker", ["messages", "responses"])
def test_a_server_that_never_says_done_has_ended_all_the_same(asker: Asker) -> None:
    stream = chat_stream(EXAMPLES[3]).removesuffix(b"data: [DONE]\n\n")
    assert OF_STREAMS[asker](streamed(reader(asker, "chat"), stream)) == EXAMPLES[3]
    assert OF_STREAMS[asker](streamed(reader(asker, "chat"), stream.rstrip())) == EXAMPLES[3]


def _chat(*deltas: dict[str, Any], finished: str = "tool_calls") -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": finished})
    return b"".join(
        b"data: %b\n\n" % json.dumps({"id": "c", "model": "m", "choices": [choice]}).encode() for choice in choices
    )


def _piece(arguments: str, name: str = "", **more: Any) -> dict[str, Any]:
    return {"tool_calls": [{**more, "function": {"arguments": arguments, **({"name": name} if name else {})}}]}


@pytest.mark.parametrize("asker", ["messages", "responses"])
@pytest.mark.parametrize(
    "stream",
    [
        # several calls written at once, piece by piece
        _chat(
            _piece("", "one", index=0, id="a"),
            _piece("", "two", index=1, id="b"),
            _piece('{"x":', index=0),
            _piece('{"y":', index=1),
            _piece("1}", index=0),
            _piece("2}", index=1),
        ),
        # all calls with one index (Gemini)
        _chat(_piece('{"x":1}', "one", index=0, id="a"), _piece('{"y":2}', "two", index=0, id="b")),
        # no index at all
        _chat(_piece('{"x":1}', "one", id="a"), _piece('{"y":2}', "two", id="b")),
        # all in one chunk, and the wrong reason (Ollama)
        _chat(
            {"tool_calls": _piece('{"x":1}', "one", index=0, id="a")["tool_calls"]
             + _piece('{"y":2}', "two", index=1, id="b")["tool_calls"]},
            finished="stop",
        ),
        # the id again with every piece
        _chat(
            _piece('{"x":', "one", index=0, id="a"),
            _piece("1}", index=0, id="a"),
            _piece('{"y":2}', "two", index=1, id="b"),
        ),
    ],
)  # fmt: skip
def test_calls_are_understood_however_a_server_writes_them(asker: Asker, stream: bytes) -> None:
    read = OF_STREAMS[asker](streamed(reader(asker, "chat"), stream)) if asker == "messages" else None
    calls = [(call.id, call.name, call.arguments) for call in read.calls] if read else _calls_of_response(stream)
    assert calls == [("a", "one", '{"x":1}'), ("b", "two", '{"y":2}')]
    assert read is None or read.stop == "tool_use"


def _calls_of_response(stream: bytes) -> list[tuple[str, str, str]]:
    response = data_of(streamed(reader("responses", "chat"), stream))[-1]["response"]
    return [(item["call_id"], item["name"], item["arguments"]) for item in response["output"]]


def test_a_call_without_an_id_gets_one_from_the_answers() -> None:
    read = of_messages_stream(streamed(reader("messages", "chat"), _chat(_piece("{}", "one", index=0))))
    assert read.calls[0].id == "call_c_0"


def test_thoughts_keep_their_proof_in_a_chat_and_in_a_response() -> None:
    reply = EXAMPLES[5]
    chunks = data_of(streamed(reader("chat", "messages"), messages_stream(reply)))
    blocks = [
        block for chunk in chunks for choice in chunk["choices"] for block in choice["delta"].get("thinking_blocks", [])
    ]
    assert blocks == [{"type": "thinking", "thinking": "", "signature": "c2ln"}]
    message = json.loads(reader("chat", "messages").answer(messages_answer(reply)))["choices"][0]["message"]
    response = json.loads(reader("responses", "messages").answer(messages_answer(reply)))
    results = {"tool": {"role": "tool", "tool_call_id": "call_1", "content": "y"}}
    again = [
        translate({"model": "m", "messages": [{"role": "user", "content": "x"}, message, results["tool"]]},
                  "chat", "messages", id="r", now=1, usual_limit=9),
        translate({"model": "m", "input": [{"role": "user", "content": "x"}, *response["output"],
                                           {"type": "function_call_output", "call_id": "call_1", "output": "y"}]},
                  "responses", "messages", id="r", now=1, usual_limit=9),
    ]  # fmt: skip
    for each in again:
        blocks = json.loads(each.body)["messages"][1]["content"]
        assert [block["type"] for block in blocks] == ["thinking", "text", "tool_use"]
        assert blocks[0] == {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}


def test_a_sealed_thought_goes_there_and_back() -> None:
    content = [{"type": "redacted_thinking", "data": "ZZ"}, {"type": "text", "text": "So."}]
    answer = json.dumps({"id": "msg_1", "content": content, "stop_reason": "end_turn"})
    response = json.loads(reader("responses", "messages").answer(answer.encode()))
    given = {
        "model": "m",
        "input": [{"role": "user", "content": "x"}, *response["output"], {"role": "user", "content": "y"}],
    }
    said = translate(given, "responses", "messages", id="r", now=1, usual_limit=9)
    assert json.loads(said.body)["messages"][1]["content"][0] == {"type": "redacted_thinking", "data": "ZZ"}


def test_a_refusal_is_said_in_the_words_of_its_dialect() -> None:
    declined = _chat({"refusal": "I "}, {"refusal": "will not."}, finished="stop")
    read = of_messages_stream(streamed(reader("messages", "chat"), declined))
    assert (read.text, read.stop) == ("I will not.", "refusal")
    item = data_of(streamed(reader("responses", "chat"), declined))[-1]["response"]["output"][0]
    assert item["content"] == [{"type": "refusal", "refusal": "I will not."}]
    details = {"type": "refusal", "explanation": "It is harmful."}
    answer = json.dumps({"id": "msg_1", "content": [], "stop_reason": "refusal", "stop_details": details}).encode()
    choice = json.loads(reader("chat", "messages").answer(answer))["choices"][0]
    assert (choice["message"]["refusal"], choice["finish_reason"]) == ("It is harmful.", "content_filter")


def test_the_sequence_that_stopped_is_named() -> None:
    answer = json.dumps({"id": "msg_1", "content": [], "stop_reason": "stop_sequence", "stop_sequence": "END"}).encode()
    chat = reader("chat", "messages").answer(answer)
    assert json.loads(chat)["choices"][0]["finish_reason"] == "stop"
    back = json.loads(reader("messages", "chat").answer(chat))
    assert (back["stop_reason"], back["stop_sequence"]) == ("stop_sequence", "END")


CUSTOM = {"tools": [{"type": "custom", "name": "apply_patch", "description": "Patch."}]}


def test_free_text_of_a_tool_is_unwrapped() -> None:
    stream = _chat(_piece('{"input":"*** Be', "apply_patch", index=0, id="a"), _piece('gin\\n"}', index=0))
    events = data_of(streamed(reader("responses", "chat", **CUSTOM), stream))
    item = events[-1]["response"]["output"][0]
    assert (item["type"], item["input"], item["call_id"]) == ("custom_tool_call", "*** Begin\n", "a")
    kinds = [event["type"] for event in events]
    assert "response.custom_tool_call_input.delta" in kinds and "response.custom_tool_call_input.done" in kinds


def test_a_tool_in_a_set_is_called_by_its_own_name() -> None:
    tools = [{"type": "namespace", "name": "mcp", "description": "", "tools": [{"type": "function", "name": "f"}]}]
    stream = _chat(_piece("{}", "mcp__f", index=0, id="a"))
    item = data_of(streamed(reader("responses", "chat", tools=tools), stream))[-1]["response"]["output"][0]
    assert (item["namespace"], item["name"]) == ("mcp", "f")


def test_long_names_of_tools_come_back() -> None:
    name = "mcp__" + "long_" * 30
    tools = [{"name": name, "input_schema": {"type": "object"}}]
    body = {"model": "m", **BODIES["messages"], "tools": tools}
    said = translate(body, "messages", "chat", id="r", now=1, usual_limit=9)
    sent = json.loads(said.body)["tools"][0]["function"]["name"]
    assert len(sent) == 64
    read = of_messages_stream(streamed(said.reader, _chat(_piece("{}", sent, index=0, id="a"))))
    assert read.calls[0].name == name


def test_a_schema_that_became_a_tool_is_the_answer() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    body = {"model": "claude-3-7-sonnet", **BODIES["chat"], "response_format": form}
    said = translate(body, "chat", "messages", id="r", now=1, usual_limit=9)
    sent = json.loads(said.body)
    assert sent["tool_choice"]["name"] == sent["tools"][0]["name"] == "answer"
    block = {"type": "tool_use", "id": "toolu_1", "name": "answer", "input": {"a": 1}}
    answer = json.dumps({"id": "msg_1", "content": [block], "stop_reason": "tool_use"}).encode()
    choice = json.loads(said.reader.answer(answer))["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ('{"a":1}', "stop")
    assert "tool_calls" not in choice["message"]


def test_usage_is_shown_only_to_who_asked_for_it() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": True}
    said = translate(body, "chat", "messages", id="r", now=1, usual_limit=9)
    assert b"usage" not in streamed(said.reader, messages_stream(EXAMPLES[0]))


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
words_of_answers = st.sampled_from(
    [
        "choices", "delta", "message", "content", "tool_calls", "function", "arguments", "index", "id", "usage", "type",
        "content_block", "text", "finish_reason", "stop_reason", "refusal", "reasoning_content", "thinking", "model",
        "created", "error", "stop_details", "input", "name", "data", "signature", "partial_json", "stop_sequence",
    ]
)  # fmt: skip
kinds_of_answers = st.sampled_from(
    [
        "message_start", "content_block_start", "content_block_delta", "message_delta", "message_stop", "tool_use",
        "text", "thinking", "text_delta", "input_json_delta", "thinking_delta", "error", "ping",
    ]
)  # fmt: skip
documents = st.recursive(
    junk | kinds_of_answers,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words_of_answers, inner, max_size=4),
    max_leaves=12,
).filter(lambda value: type(value) is dict)


@pytest.mark.slow
@pytest.mark.parametrize(("asker", "spoken"), PAIRS)
@settings(max_examples=40, deadline=None)
@given(given=st.lists(documents, max_size=4))
def test_no_answer_of_an_upstream_is_an_exception(asker: Asker, spoken: Spoken, given: list[Any]) -> None:
    stream = b"".join(b"data: %b\n\n" % json.dumps(each).encode() for each in given)
    streamed(reader(asker, spoken), stream)
    for each in given:
        reader(asker, spoken).answer(json.dumps(each).encode())
