"""The most output tokens: the bound holds in the body that goes upstream, and nothing else changes."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.wire.endpoints import ENDPOINTS, Endpoint
from server.wire.openai import OPENAI
from server.wire.request import Request, capped, read_request

CHAT = ENDPOINTS["/v1/chat/completions"]
HELLO: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hello {"}]}
BOUNDED = {
    "/v1/chat/completions": HELLO,
    "/v1/completions": {"model": "m", "prompt": "Once"},
    "/v1/responses": {"model": "m", "input": "hello"},
    "/v1/messages": {**HELLO, "max_tokens": 5},
    "/v1/complete": {"model": "m", "prompt": "\n\nHuman: hello\n\nAssistant:", "max_tokens_to_sample": 5},
}
BOUND = st.none() | st.integers(1, 50)


def read(document: dict[str, Any], endpoint: Endpoint = CHAT) -> Request:
    return read_request(endpoint, orjson.dumps(document), "application/json")


def test_every_endpoint_that_bounds_its_output_is_tried_here() -> None:
    assert {path for path, endpoint in ENDPOINTS.items() if endpoint.output_limits} == set(BOUNDED)


@pytest.mark.parametrize("path", BOUNDED)
@pytest.mark.parametrize("most", [0, 5, 400])
def test_a_request_within_the_bound_is_not_touched(path: str, most: int) -> None:
    endpoint = ENDPOINTS[path]
    request = read({**BOUNDED[path], endpoint.output_limits[0]: 5}, endpoint)
    assert capped(request, most) is request


@pytest.mark.parametrize("path", BOUNDED)
def test_a_higher_bound_is_lowered(path: str) -> None:
    endpoint = ENDPOINTS[path]
    (name, *_) = endpoint.output_limits
    document = {**BOUNDED[path], name: 500, "temperature": 1.0, "x": {"max_tokens": 500}}
    request = capped(read(document, endpoint), 400)
    assert request.max_tokens == 400
    assert orjson.loads(request.body) == {**document, name: 400}


@pytest.mark.parametrize("path", [path for path in BOUNDED if ENDPOINTS[path].dialect is OPENAI])
def test_a_missing_bound_is_put_in_and_all_other_bytes_stay(path: str) -> None:
    body = b"\n " + orjson.dumps(BOUNDED[path], option=orjson.OPT_INDENT_2)
    request = capped(read_request(ENDPOINTS[path], body, "application/json"), 400)
    inserted = b'"%b":400,' % ENDPOINTS[path].output_limits[0].encode()
    assert request.body.replace(inserted, b"", 1) == body
    assert len(request.body) == len(body) + len(inserted)
    assert request.max_tokens == 400


def test_a_bound_of_null_does_not_become_a_second_field_of_that_name() -> None:
    body = rb'{"model":"m","messages":[{}],"max_completion_\u0074okens":null}'
    request = capped(read_request(CHAT, body, "application/json"), 400)
    assert request.body.count(b"okens") == 1
    assert orjson.loads(request.body)["max_completion_tokens"] == 400


def test_a_stream_keeps_asking_for_its_usage() -> None:
    request = capped(read({**HELLO, "stream": True}), 400)
    assert request.hides_usage
    assert orjson.loads(request.body) == {
        **HELLO, "stream": True, "stream_options": {"include_usage": True}, "max_completion_tokens": 400,
    }  # fmt: skip


def test_the_rest_of_the_request_is_the_same() -> None:
    before, after = read(HELLO), capped(read(HELLO), 400)
    assert (after.prompt, after.conversation, after.choices) == (before.prompt, before.conversation, before.choices)


def test_where_answers_are_not_counted_in_tokens_there_is_no_bound() -> None:
    request = read({"model": "m", "input": "x", "max_tokens": 500}, ENDPOINTS["/v1/embeddings"])
    assert capped(request, 400) is request


@settings(deadline=None, max_examples=100)
@given(st.fixed_dictionaries({}, optional={"max_tokens": BOUND, "max_completion_tokens": BOUND}), st.integers(1, 50))
def test_whatever_was_asked_the_bound_holds_when_it_is_read_again(given_bounds: dict[str, Any], most: int) -> None:
    before = read({**HELLO, **given_bounds})
    after = capped(before, most)
    again = read_request(CHAT, after.body, "application/json")
    assert after.max_tokens == again.max_tokens == min(before.max_tokens or most, most)
    sent = orjson.loads(after.body)
    assert all(sent[name] <= most for name in ("max_tokens", "max_completion_tokens") if sent.get(name) is not None)
    assert {**sent, "max_tokens": 0, "max_completion_tokens": 0} == {
        **HELLO,
        "max_tokens": 0,
        "max_completion_tokens": 0,
    }


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-5", "max_completion_tokens"),
        ("openai/o3", "max_completion_tokens"),
        ("a-deployment-of-ours", "max_completion_tokens"),
        ("mistral-large-latest", "max_tokens"),
        ("meta-llama/llama-3.1-8b", "max_tokens"),
        ("claude-opus-5", "max_tokens"),
    ],
)
def test_a_chat_is_bounded_by_the_field_that_the_model_s_servers_know(model: str, name: str) -> None:
    body = orjson.loads(capped(read({**HELLO, "model": model}), 400).body)
    assert {key for key in body if key.startswith("max_")} == {name}
