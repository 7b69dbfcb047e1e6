"""Meters: what the providers document is counted."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from server.wire.answers import Chat, Completions, Embeddings, Media, Messages, Opaque, Responses
from server.wire.meter import Meter
from server.wire.sse import Splitter, StreamEvent
from server.wire.usage import Usage


def event(document: object, name: str = "") -> StreamEvent:
    return StreamEvent(b"", name, document if isinstance(document, bytes) else orjson.dumps(document))


def watched(meter: Meter, *documents: object) -> list[bool]:
    return [meter.event(event(document)) for document in documents]


def delta(index: int = 0, finish: str | None = None, **content: Any) -> dict[str, Any]:
    return {"model": "gpt-4o-2024", "choices": [{"index": index, "delta": content, "finish_reason": finish}]}


OPENAI_USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 64},
    "completion_tokens_details": {"reasoning_tokens": 12},
}
COUNTED = Usage(input=100, cached=64, output=20, reasoning=12)


class TestChat:
    def test_a_stream_is_observed_from_its_first_word_to_done(self) -> None:
        meter = Chat()
        hidden = watched(
            meter,
            {**delta(role="assistant", content=""), "usage": None},
            delta(content="Hel"),
            delta(content="lo"),
            delta(finish="stop"),
            {"model": "gpt-4o-2024", "choices": [], "usage": OPENAI_USAGE},
        )
        assert not meter.finished
        assert meter.event(event(b"[DONE]")) is False
        assert hidden == [False, False, False, False, True]
        assert (meter.usage, meter.served_model, meter.output_pieces) == (COUNTED, "gpt-4o-2024", 2)
        assert (meter.finished, meter.ended(), meter.failed, meter.delivered()) == (True, True, False, "Hello")

    def test_a_stream_that_breaks_off_is_not_complete_and_tells_what_was_delivered(self) -> None:
        meter = Chat()
        call = {"index": 0, "id": "call_1", "function": {"name": "find", "arguments": '{"q":'}}
        watched(
            meter,
            delta(reasoning_content="Hmm. "),
            delta(content="Let me see. "),
            delta(tool_calls=[call]),
            delta(tool_calls=[{"index": 0, "function": {"arguments": '"x"}'}}]),
            delta(refusal=" No. "),
            delta(function_call={"name": "old", "arguments": "{}"}),
        )
        assert (meter.finished, meter.ended(), meter.usage) == (False, False, None)
        assert meter.delivered() == 'Hmm. Let me see. find{"q":"x"} No. old{}'

    def test_an_end_without_done_is_complete_when_every_choice_has_finished(self) -> None:
        meter = Chat()
        watched(meter, delta(0, content="a"), delta(1, content="b"), delta(0, finish="stop"))
        assert not meter.ended()
        watched(meter, delta(1, finish="length"))
        assert meter.ended()

    def test_an_end_before_anything_came_is_not_complete(self) -> None:
        assert not Chat().ended()

    def test_usage_beside_content_is_read_and_never_hidden(self) -> None:
        meter = Chat()
        assert watched(meter, {**delta(content="a"), "usage": OPENAI_USAGE}) == [False]
        assert meter.usage == COUNTED

    def test_of_repeated_usage_the_last_counts(self) -> None:
        meter = Chat()
        watched(meter, {**delta(content="a"), "usage": {"prompt_tokens": 1, "completion_tokens": 1}})
        watched(meter, {**delta(content="a"), "usage": {"prompt_tokens": 1, "completion_tokens": None}})
        watched(meter, {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}})
        assert meter.usage == Usage(input=1, output=2)

    def test_an_error_event_is_a_failure_with_a_status_to_classify_it_by(self) -> None:
        meter = Chat()
        error = {"message": "Rate limit", "type": "requests", "param": None, "code": "rate_limit_exceeded"}
        assert watched(meter, {"error": error}) == [False]
        fault = meter.error()
        assert fault is not None
        assert (meter.failed, meter.finished, fault.status) == (True, False, 429)
        assert orjson.loads(fault.body)["error"] == error
        assert "Rate limit" not in repr(fault)

    def test_a_plain_answer_is_read(self) -> None:
        meter = Chat()
        choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
        assert meter.answer(orjson.dumps({"model": "gpt-4o", "choices": [choice], "usage": OPENAI_USAGE}))
        assert (meter.finished, meter.usage, meter.served_model, meter.delivered()) == (True, COUNTED, "gpt-4o", "Hi")

    def test_a_plain_answer_that_is_an_error_is_a_failure(self) -> None:
        meter = Chat()
        assert meter.answer(b'{"error":{"message":"x","code":503}}')
        fault = meter.error()
        assert fault is not None
        assert (meter.failed, fault.status) == (True, 503)


def test_legacy_completions_deliver_text() -> None:
    meter = Completions()
    watched(meter, {"choices": [{"index": 0, "text": "Once "}]}, {"choices": [{"index": 0, "text": "upon"}]})
    assert (meter.delivered(), meter.ended()) == ("Once upon", False)
    watched(meter, {"choices": [{"index": 0, "text": "", "finish_reason": "stop"}], "usage": OPENAI_USAGE})
    assert (meter.ended(), meter.usage) == (True, COUNTED)


class TestResponses:
    USAGE = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 64},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 12},
        "total_tokens": 120,
    }

    def test_a_stream_is_observed_to_its_last_event(self) -> None:
        meter = Responses()
        watched(
            meter,
            {"type": "response.created", "response": {"model": "gpt-5-2025", "usage": None}},
            {"type": "response.reasoning_summary_text.delta", "delta": "Think. "},
            {"type": "response.output_text.delta", "delta": "Hi"},
            {"type": "response.function_call_arguments.delta", "delta": "{}"},
            {"type": "response.output_audio.delta", "delta": "QUFBQQ=="},
            {"type": "response.output_text.done", "text": "Hi"},
        )
        assert (meter.finished, meter.usage, meter.delivered()) == (False, None, "Think. Hi{}")
        watched(meter, {"type": "response.completed", "response": {"model": "gpt-5-2025", "usage": self.USAGE}})
        assert (meter.finished, meter.ended(), meter.usage) == (True, True, COUNTED)
        assert (meter.served_model, meter.output_pieces) == ("gpt-5-2025", 3)

    def test_an_incomplete_response_is_an_answer_and_has_usage(self) -> None:
        meter = Responses()
        watched(meter, {"type": "response.incomplete", "response": {"usage": self.USAGE}})
        assert (meter.finished, meter.failed, meter.usage) == (True, False, COUNTED)

    def test_a_failed_response_is_the_upstreams_own_error(self) -> None:
        meter = Responses()
        response = {"error": {"code": "server_error", "message": "x"}, "usage": self.USAGE}
        watched(meter, {"type": "response.failed", "response": response})
        fault = meter.error()
        assert fault is not None
        assert (meter.finished, meter.failed, fault.status, meter.usage) == (True, True, 500, COUNTED)

    def test_an_error_event_has_no_envelope_here(self) -> None:
        meter = Responses()
        watched(meter, {"type": "error", "code": "rate_limit_exceeded", "message": "slow down", "param": None})
        fault = meter.error()
        assert fault is not None
        assert fault.status == 429
        assert orjson.loads(fault.body)["error"]["message"] == "slow down"

    def test_a_plain_answer_is_read(self) -> None:
        meter = Responses()
        output = [
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Think. "}]},
            {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]},
            {"type": "function_call", "name": "find", "arguments": "{}"},
        ]
        assert meter.answer(orjson.dumps({"model": "m", "output": output, "usage": self.USAGE, "error": None}))
        assert (meter.usage, meter.failed, meter.delivered()) == (COUNTED, False, "Think. Hifind{}")


class TestMessages:
    START = {
        "type": "message_start",
        "message": {
            "model": "claude-sonnet-4-5",
            "usage": {
                "input_tokens": 10,
                "cache_read_input_tokens": 200,
                "cache_creation_input_tokens": 30,
                "output_tokens": 1,
            },
        },
    }

    def test_the_three_kinds_of_input_add_up_and_the_last_output_counts(self) -> None:
        meter = Messages()
        watched(
            meter,
            self.START,
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
            {"type": "message_delta", "delta": {"stop_reason": None}, "usage": {"output_tokens": 7}},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 15}},
        )
        assert not meter.ended()
        watched(meter, {"type": "message_stop"})
        assert (meter.finished, meter.ended(), meter.served_model) == (True, True, "claude-sonnet-4-5")
        assert meter.usage == Usage(input=240, cached=200, cache_write=30, output=15)

    def test_figures_in_the_last_delta_replace_those_of_the_start_but_nulls_do_not(self) -> None:
        meter = Messages()
        usage = {"input_tokens": 12, "cache_read_input_tokens": None, "output_tokens": 5}
        watched(meter, self.START, {"type": "message_delta", "usage": usage})
        assert meter.usage == Usage(input=242, cached=200, cache_write=30, output=5)

    def test_a_stream_that_breaks_off_leaves_its_input_figures_and_what_was_delivered(self) -> None:
        meter = Messages()
        tool = {"type": "tool_use", "name": "find", "input": {}}
        watched(
            meter,
            self.START,
            {"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "Hmm. "}},
            {"type": "content_block_delta", "delta": {"type": "signature_delta", "signature": "AAAA"}},
            {"type": "content_block_start", "content_block": tool},
            {"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": '{"q"'}},
        )
        assert meter.usage is None
        assert meter.opening == Usage(input=240, cached=200, cache_write=30)
        assert (meter.delivered(), meter.output_pieces) == ('Hmm. find{"q"', 3)

    @pytest.mark.parametrize(("kind", "status"), [("overloaded_error", 529), ("rate_limit_error", 429), ("new", 500)])
    def test_an_error_event_is_a_failure(self, kind: str, status: int) -> None:
        meter = Messages()
        document = {"type": "error", "error": {"type": kind, "message": "x"}}
        watched(meter, document)
        fault = meter.error()
        assert fault is not None
        assert (meter.failed, meter.finished, fault.status) == (True, False, status)
        assert orjson.loads(fault.body) == document

    def test_a_plain_answer_is_read(self) -> None:
        meter = Messages()
        answer = {
            "type": "message",
            "model": "claude",
            "content": [{"type": "text", "text": "Hi"}],
            "usage": {"input_tokens": 5, "output_tokens": 2},
        }
        assert meter.answer(orjson.dumps(answer))
        assert (meter.usage, meter.delivered()) == (Usage(input=5, output=2), "Hi")


class TestOtherAnswers:
    def test_an_embedding_has_input_only(self) -> None:
        meter = Embeddings()
        assert meter.answer(b'{"data":[],"model":"e","usage":{"prompt_tokens":8,"total_tokens":8}}')
        assert (meter.finished, meter.usage, meter.served_model) == (True, Usage(input=8), "e")

    @pytest.mark.parametrize(
        "tail", ['"model":"e","usage":{"prompt_tokens":8}}', '"usage": {"prompt_tokens": 8}, "model": "e"}\n']
    )
    def test_a_big_embedding_is_read_at_its_end(self, tail: str) -> None:
        meter = Embeddings()
        numbers = b"0.25," * 60_000 + b"0.5"
        assert meter.answer(b'{"data":[{"embedding":[' + numbers + b"]}]," + tail.encode())
        assert meter.usage == Usage(input=8)

    def test_a_big_embedding_without_usage_at_its_end_is_parsed(self) -> None:
        meter = Embeddings()
        numbers = b"[" + b"0.25," * 60_000 + b"0.5]"
        assert meter.answer(b'{"usage":{"prompt_tokens":8},"data":' + numbers + b"}")
        assert meter.usage == Usage(input=8)
        assert not Embeddings().answer(b'{"data":' + numbers)

    def test_a_picture_may_report_usage(self) -> None:
        meter = Opaque()
        usage = {
            "input_tokens": 50,
            "output_tokens": 1056,
            "total_tokens": 1106,
            "input_tokens_details": {"text_tokens": 10},
        }
        assert meter.answer(orjson.dumps({"created": 1, "data": [], "usage": usage}))
        assert meter.usage == Usage(input=50, output=1056)

    def test_speech_is_not_json_and_need_not_be(self) -> None:
        meter = Media()
        assert meter.answer(b"ID3\x04\x00")
        assert (meter.finished, meter.usage) == (True, None)

    @pytest.mark.parametrize("kind", ["speech.audio.done", "transcript.text.done", "image_generation.completed"])
    def test_their_streams_end_with_an_event_that_may_have_usage(self, kind: str) -> None:
        meter = Opaque()
        watched(meter, {"type": "transcript.text.delta", "delta": "Hi"})
        assert not meter.ended()
        watched(meter, {"type": kind, "usage": {"input_tokens": 4, "output_tokens": 5}})
        assert (meter.ended(), meter.usage) == (True, Usage(input=4, output=5))


def test_splitter_and_meter_work_together() -> None:
    splitter, meter = Splitter(), Chat()
    stream = b"".join(b"data: " + orjson.dumps(delta(content=word)) + b"\n\n" for word in ("a", "b", "c"))
    for at in range(0, len(stream), 7):
        for piece in splitter.feed(stream[at : at + 7]):
            meter.event(piece)
    assert meter.delivered() == "abc"


ROLE = {
    "choices": [{"index": 0, "delta": {"role": "assistant", "content": "", "refusal": None}, "finish_reason": None}]
}
BEGINNINGS: list[tuple[type[Chat], object, bool, bool]] = [
    (Chat, ROLE, True, False),
    (Chat, {"choices": [], "prompt_filter_results": [{"index": 0}]}, False, False),
    (Chat, b"[DONE]", False, False),
    (Chat, b"not JSON", False, False),
    (Chat, {**ROLE, "usage": {"prompt_tokens": 9, "completion_tokens": 0}}, True, False),
    (Chat, delta(content="a"), True, True),
    (Chat, delta(reasoning_content="a"), True, True),
    (Chat, delta(tool_calls=[{"index": 0, "id": "call_1"}]), True, True),
    (Chat, delta(audio={"id": "a"}), True, True),
    (Chat, delta(finish="stop"), True, True),
    (Chat, {"choices": [], "usage": OPENAI_USAGE}, False, True),
    (Completions, {"choices": [{"index": 0, "text": "", "finish_reason": None}]}, True, False),
    (Completions, {"choices": [{"index": 0, "text": "a"}]}, True, True),
    (Responses, {"type": "response.created", "response": {}}, True, False),
    (Responses, {"type": "response.queued", "response": {}}, True, False),
    (Responses, {"type": "response.in_progress", "response": {}}, True, False),
    (Responses, {"type": "keepalive", "sequence_number": 3}, False, False),
    (Responses, {"type": "response.output_item.added", "item": {}}, False, True),
    (Responses, {"type": "response.completed", "response": {}}, False, True),
    (Messages, {"type": "ping"}, False, False),
    (Messages, {"type": "message_start", "message": {}}, True, False),
    (Messages, {"type": "content_block_start", "content_block": {"type": "text", "text": ""}}, True, False),
    (Messages, {"type": "content_block_start", "content_block": {"type": "thinking", "thinking": ""}}, True, False),
    (Messages, {"type": "content_block_start", "content_block": {"type": "tool_use", "name": "find"}}, False, True),
    (
        Messages,
        {"type": "content_block_start", "content_block": {"type": "image"}},
        False,
        True,
    ),
    (Messages, {"type": "content_block_delta", "delta": {"text": "a"}}, False, True),
    (Messages, {"type": "message_delta", "usage": {}}, False, True),
    (Opaque, {"type": "image_generation.partial_image"}, True, True),
]


@pytest.mark.parametrize(("shape", "document", "opened", "begun"), BEGINNINGS)
def test_an_answer_is_opened_by_one_event_and_begun_by_another(
    shape: type[Chat], document: object, opened: bool, begun: bool
) -> None:
    meter = shape()
    watched(meter, document)
    assert (meter.opened, meter.begun) == (opened, begun)


@pytest.mark.parametrize("shape", [Chat, Completions, Responses, Messages, Opaque, Embeddings])
@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({"object": "error", "message": "too long", "type": "BadRequestError", "param": None, "code": 400}, 400),
        ({"object": "error", "message": "busy", "code": 503}, 503),
        ({"choices": [{"index": 0, "error": {"code": 502, "message": "Provider disconnected"}}]}, 502),
        ({"error": {"code": 429, "message": "Rate limited upstream"}, "choices": []}, 429),
    ],
)
def test_an_error_in_an_answer_is_one_however_it_is_wrapped(
    shape: type[Chat], document: dict[str, Any], status: int
) -> None:
    meter = shape()
    assert meter.answer(orjson.dumps(document))
    fault = meter.error()
    assert fault is not None
    assert (meter.failed, fault.status) == (True, status)


def test_what_is_finished_stays_so_when_figures_come_behind_it() -> None:
    meter = Chat()
    watched(meter, delta(content="a"), delta(finish="stop"), {**delta(), "usage": OPENAI_USAGE})
    assert (meter.ended(), meter.usage) == (True, COUNTED)
