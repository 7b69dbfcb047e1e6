"""A field that the gateway has added can be taken back, and nothing else is."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from server.wire.added import LASTS, MOST, Unwanted, refuses_what_we_added, without
from server.wire.endpoints import ENDPOINTS
from server.wire.request import Request, capped, read_request

CHAT = {"model": "gpt-5", "messages": [{"role": "user", "content": '{"stream_options":{"include_usage":true},'}]}
NAMED = b'{"error":{"message":"Unknown parameter: \'stream_options\'."}}'


def asked(**more: Any) -> Request:
    body = orjson.dumps({**CHAT, "stream": True, **more})
    return read_request(ENDPOINTS["/v1/chat/completions"], body, "application/json")


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({}, {}),
        ({"stream_options": None}, {}),
        ({"stream_options": {}}, {}),
        ({"stream_options": {"include_usage": False}}, {}),
        ({"stream_options": {"include_obfuscation": False}}, {"stream_options": {"include_obfuscation": False}}),
    ],
)
def test_what_is_left_is_what_the_caller_said(options: dict[str, Any], left: dict[str, Any]) -> None:
    for request in (asked(**options), capped(asked(**options), 100)):
        bare = without(request, ["stream_options"])
        document = orjson.loads(bare.body)
        document.pop("max_completion_tokens", None)
        assert document == {**CHAT, "stream": True, **left}
        assert bare.hides_usage is False


def test_the_callers_own_field_is_not_ours() -> None:
    own = asked(stream_options={"include_usage": True})
    assert without(own, ["stream_options"]) is own
    assert refuses_what_we_added(own, 400, NAMED) is None


@pytest.mark.parametrize(("status", "ours"), [(400, True), (422, True), (500, True), (401, False), (429, False)])
def test_only_an_error_about_the_request_can_be_about_the_field(status: int, ours: bool) -> None:
    assert (refuses_what_we_added(asked(), status, NAMED) == "stream_options") is ours
    assert refuses_what_we_added(asked(), status, b'{"error":{"message":"Unknown parameter: \'seed\'."}}') is None


def test_an_upstream_is_remembered_for_a_model_and_a_day() -> None:
    unwanted, request = Unwanted(), asked()
    unwanted.note("physics", "gpt-5", "stream_options", 100.0)
    assert unwanted.fitted(request, "physics", 101.0).hides_usage is False
    assert unwanted.fitted(request, "chemistry", 101.0) is request
    assert unwanted.fitted(asked(model="gpt-4o"), "physics", 101.0).hides_usage is True
    assert unwanted.fitted(request, "physics", 100.0 + LASTS) is request


def test_little_is_remembered_and_what_is_over_makes_room() -> None:
    unwanted = Unwanted()
    for number in range(MOST + 10):
        unwanted.note("physics", f"m{number}", "stream_options", 0.0)
    assert unwanted.fitted(asked(model=f"m{MOST + 5}"), "physics", 1.0).hides_usage is True
    unwanted.note("physics", "late", "stream_options", LASTS + 1.0)
    assert unwanted.fitted(asked(model="late"), "physics", LASTS + 2.0).hides_usage is False
