"""Meters: what an upstream should never send does no harm."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.wire.answers import Chat, Completions, Embeddings, Messages, Opaque, Responses
from server.wire.endpoints import ENDPOINTS
from server.wire.sse import StreamEvent
from server.wire.usage import Usage
from tests.wire.test_meter import event, watched

ALL_METERS = pytest.mark.parametrize("shape", sorted({e.meter for e in ENDPOINTS.values()}, key=str))


@pytest.mark.parametrize("value", [None, -1, 10**12, 1.5, "7", True, [], {}])
def test_a_figure_that_cannot_be_believed_is_no_figure(value: object) -> None:
    chat, messages, embeddings = Chat(), Messages(), Embeddings()
    watched(chat, {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": value}})
    messages.answer(orjson.dumps({"usage": {"input_tokens": value, "output_tokens": 5}}))
    embeddings.answer(orjson.dumps({"usage": {"prompt_tokens": value}}))
    assert (chat.usage, messages.usage, embeddings.usage) == (None, None, None)


def test_a_part_is_never_more_than_the_whole() -> None:
    meter = Chat()
    details = {"prompt_tokens_details": {"cached_tokens": 9}, "completion_tokens_details": {"reasoning_tokens": 9}}
    watched(meter, {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 3, **details}})
    assert meter.usage == Usage(input=5, cached=5, output=3, reasoning=3)


@ALL_METERS
def test_garbage_is_counted_and_does_no_harm(shape: type[Chat]) -> None:
    meter = shape()
    assert watched(meter, b"{", b"", b"[]", b"null", b"\xff") == [False] * 5
    assert meter.event(StreamEvent(b": comment\n\n", "", None)) is False
    assert (meter.garbled, meter.usage, meter.finished, meter.failed) == (5, None, False, False)


@pytest.mark.parametrize("shape", [Chat, Completions, Responses, Messages, Embeddings, Opaque])
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'"x"', b'{"a":1'])
def test_a_plain_answer_that_is_no_object_is_no_answer(shape: type[Chat], body: bytes) -> None:
    meter = shape()
    assert not meter.answer(body)
    assert not meter.finished


_junk = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.sampled_from(["", "x", "error"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["index", "text", "a"]), inner, max_size=3)
    ),
    max_leaves=6,
)
_NAMES = (
    "choices",
    "usage",
    "model",
    "error",
    "delta",
    "response",
    "message",
    "content_block",
    "output",
    "content",
    "data",
)
_KINDS = (
    "content_block_delta",
    "message_start",
    "message_delta",
    "response.completed",
    "response.x.delta",
    "error",
    [],
)
_documents = st.dictionaries(st.sampled_from(_NAMES), _junk, max_size=5)


@ALL_METERS
@settings(deadline=None, max_examples=40)
@given(document=_documents, kind=st.sampled_from(_KINDS))
def test_no_document_makes_a_meter_raise(shape: type[Chat], document: dict[str, Any], kind: object) -> None:
    body = orjson.dumps({**document, "type": kind})
    meter = shape()
    meter.event(event(body))
    meter.event(event({"choices": [document], "output": [document], "content": [document]}))
    meter.answer(body)
    meter.error()
    assert isinstance(meter.delivered() + meter.served_model, str)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ("overloaded", 500),
        ({"code": 429}, 429),
        ({"code": 7, "type": []}, 500),
        ({"type": "invalid_request_error"}, 400),
    ],
)
def test_errors_of_other_makers_are_faults_too(error: object, status: int) -> None:
    meter = Chat()
    watched(meter, {"error": error, "choices": [{"delta": "x"}]})
    fault = meter.error()
    assert fault is not None
    assert (meter.failed, fault.status) == (True, status)


@ALL_METERS
def test_an_error_that_is_null_or_empty_is_none(shape: type[Chat]) -> None:
    meter = shape()
    watched(
        meter,
        {"error": None},
        {"error": ""},
        {"error": None, "choices": [{"delta": "x"}, {"delta": {"tool_calls": [{}]}}]},
    )
    assert (meter.failed, meter.error(), meter.delivered()) == (False, None, "")
