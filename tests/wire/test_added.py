"""A field that the gateway has added can be taken back, and nothing else is; a bound is never left out."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from server.wire.added import LASTS, MOST, Unwanted, refuses_bound_of_tools, refuses_what_we_added, without
from server.wire.endpoints import ENDPOINTS
from server.wire.request import Request, bounding_tools, capped, read_request, unkept

CHAT = {"model": "gpt-5", "messages": [{"role": "user", "content": '{"stream_options":{"include_usage":true},'}]}
NAMED = b'{"error":{"message":"Unknown parameter: \'stream_options\'."}}'


def asked(**more: Any) -> Request:
    body = orjson.dumps({**CHAT, "stream": True, **more})
    return read_request(ENDPOINTS["/v1/chat/completions"], body, "application/json")


def completed(**more: Any) -> Request:
    body = orjson.dumps({"model": "gpt-5", "prompt": "x", **more})
    return read_request(ENDPOINTS["/v1/completions"], body, "application/json")


def responded(**more: Any) -> Request:
    body = orjson.dumps({"model": "gpt-5", "input": 'store? "store": true', **more})
    return read_request(ENDPOINTS["/v1/responses"], body, "application/json")


def sent(request: Request) -> dict[str, Any]:
    document: dict[str, Any] = orjson.loads(request.body)
    return document


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
        bare = without(request, "stream_options")
        document = orjson.loads(bare.body)
        document.pop("max_completion_tokens", None)
        assert document == {**CHAT, "stream": True, **left}
        assert bare.hides_usage is False


def test_the_callers_own_field_is_not_ours() -> None:
    own = asked(stream_options={"include_usage": True})
    assert own.added == ()
    assert refuses_what_we_added(own, 400, NAMED) is None


@pytest.mark.parametrize(("status", "ours"), [(400, True), (422, True), (500, True), (401, False), (429, False)])
def test_only_an_error_about_the_request_can_be_about_the_field(status: int, ours: bool) -> None:
    assert (refuses_what_we_added(asked(), status, NAMED) == "stream_options") is ours
    assert refuses_what_we_added(asked(), status, b'{"error":{"message":"Unknown parameter: \'seed\'."}}') is None


def test_an_upstream_is_remembered_for_a_model_and_a_day() -> None:
    unwanted, request = Unwanted(), asked()
    unwanted.note("physics", request, "stream_options", 100.0)
    assert unwanted.fitted(request, "physics", 101.0).hides_usage is False
    assert unwanted.fitted(request, "chemistry", 101.0) is request
    assert unwanted.fitted(asked(model="gpt-4o"), "physics", 101.0).hides_usage is True
    assert unwanted.fitted(request, "physics", 100.0 + LASTS) is request


def test_little_is_remembered_and_what_is_over_makes_room() -> None:
    unwanted = Unwanted()
    for number in range(MOST + 10):
        unwanted.note("physics", asked(model=f"m{number}"), "stream_options", 0.0)
    assert unwanted.fitted(asked(model=f"m{MOST + 5}"), "physics", 1.0).hides_usage is True
    unwanted.note("physics", asked(model="late"), "stream_options", LASTS + 1.0)
    assert unwanted.fitted(asked(model="late"), "physics", LASTS + 2.0).hides_usage is False


BOUNDED = capped(asked(stream=False), 100)
UNKEPT = unkept(responded())
# What upstreams say of a field that they do not know, as they were seen to.
REFUSED = [
    (UNKEPT, b'{"error":{"message":"Unknown parameter: \'store\'.","param":"store"}}', "store"),
    (UNKEPT, b'{"detail":[{"type":"extra_forbidden","loc":["body","store"],"msg":"Extra inputs are not permitted",'
     b'"input":false}]}', "store"),
    (UNKEPT, b'{"error":{"message":"property \'store\' is unsupported, did you mean \'stop\'?"}}', "store"),
    (UNKEPT, b'{"error":{"message":"Additional properties are not allowed (\'store\' was unexpected)"}}', "store"),
    (BOUNDED, b'{"error":{"message":"Unsupported parameter: \'max_completion_tokens\'"}}', "max_completion_tokens"),
    (BOUNDED, b'{"detail":[{"loc":["body","max_completion_tokens"],"msg":"Extra inputs are not permitted"}]}',
     "max_completion_tokens"),
]  # fmt: skip
# What is the caller's own fault, though it names one of these fields.
OTHERWISE = [
    (UNKEPT, b'{"error":{"message":"Items are not persisted when `store` is set to false. Unsupported."}}'),
    (UNKEPT, b'{"error":{"message":"Background mode is not supported with store=false"}}'),
    (UNKEPT, b'{"error":{"message":"Unsupported: `store` must be true"}}'),
    (UNKEPT, b'{"error":{"message":"Unknown parameter: \'bookstore\'."}}'),
    (UNKEPT, b'{"error":{"message":"We keep it in store."}}'),
    (responded(store=False), b'{"error":{"message":"Unknown parameter: \'store\'."}}'),
    (asked(stream=False, max_tokens=5), b'{"error":{"message":"Unsupported parameter: \'max_tokens\'"}}'),
    (capped(asked(stream=False, max_tokens=500), 5), b'{"error":{"message":"Unsupported: \'max_tokens\'"}}'),
    (BOUNDED, b'{"error":{"message":"max_tokens is wrong"}}'),
    (capped(completed(), 100), b'{"error":{"message":"Unsupported parameter: \'max_tokens\'"}}'),
    (capped(responded(), 100), b'{"error":{"message":"Unsupported parameter: \'max_output_tokens\'"}}'),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "error", "field"), REFUSED)
def test_a_refusal_of_any_field_of_ours_is_known_as_one(request_: Request, error: bytes, field: str) -> None:
    assert refuses_what_we_added(request_, 400, error) == field


@pytest.mark.parametrize(("request_", "error"), OTHERWISE)
def test_what_the_caller_has_done_is_the_callers(request_: Request, error: bytes) -> None:
    assert refuses_what_we_added(request_, 400, error) is None


@pytest.mark.parametrize("own", [{}, {"store": None}])
def test_what_is_not_to_be_kept_goes_out_without_the_word_for_it(own: dict[str, Any]) -> None:
    assert sent(unkept(responded(**own)))["store"] is False
    assert "store" not in sent(without(unkept(responded(**own)), "store"))


@pytest.mark.parametrize("own", [{}, {"max_tokens": None}, {"max_completion_tokens": None}])
def test_a_bound_goes_out_under_the_other_name_and_never_not_at_all(own: dict[str, Any]) -> None:
    bounded = capped(asked(stream=False, **own), 100)
    renamed = without(bounded, "max_completion_tokens")
    assert (sent(renamed)["max_tokens"], renamed.max_tokens) == (100, 100)
    assert "max_completion_tokens" not in sent(renamed)
    assert sent(without(renamed, "max_tokens"))["max_completion_tokens"] == 100


def test_a_bound_is_renamed_once_and_a_second_refusal_is_the_answer() -> None:
    unwanted, error = Unwanted(), b"unsupported: max_completion_tokens, max_tokens"
    again = unwanted.fitted(BOUNDED, "physics", 0.0, {"max_completion_tokens"})
    assert sent(again)["max_tokens"] == 100
    assert refuses_what_we_added(again, 400, error) is None


def test_an_upstream_that_changes_its_mind_gets_the_bound_under_the_first_name_again() -> None:
    """So a name that was learnt by mistake makes no request fail."""
    unwanted = Unwanted()
    unwanted.note("physics", BOUNDED, "max_completion_tokens", 0.0)
    renamed = unwanted.fitted(BOUNDED, "physics", 1.0)
    assert sent(renamed)["max_tokens"] == 100
    assert refuses_what_we_added(renamed, 400, b"unsupported: max_tokens") == "max_tokens"
    assert sent(unwanted.fitted(BOUNDED, "physics", 1.0, {"max_tokens"}))["max_completion_tokens"] == 100
    unwanted.note("physics", renamed, "max_tokens", 2.0)
    assert sent(unwanted.fitted(BOUNDED, "physics", 3.0))["max_completion_tokens"] == 100


def test_several_fields_are_taken_back_one_after_the_other() -> None:
    request, unwanted = capped(asked(), 100), Unwanted()
    fitted = unwanted.fitted(request, "physics", 0.0, {"stream_options", "max_completion_tokens"})
    assert sent(fitted) == {**CHAT, "stream": True, "max_tokens": 100}
    assert fitted.hides_usage is False


SEARCH = {"type": "web_search_20250305", "name": "web_search"}
DEAR = {"web_search", "file_search"}


def messaged(*tools: dict[str, Any]) -> Request:
    body = {"model": "claude-opus-5", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}], "tools": tools}
    return read_request(ENDPOINTS["/v1/messages"], orjson.dumps(body), "application/json")


@pytest.mark.parametrize(
    ("more", "bound"),
    [
        ({"tools": [{"type": "web_search"}]}, 10),
        ({"tools": [{"type": "web_search", "max_uses": 1}]}, 10),
        ({"tools": [{"type": "web_search"}], "max_tool_calls": None}, 10),
        ({"tools": [{"type": "web_search"}], "max_tool_calls": 3}, 3),
        ({"tools": [{"type": "mcp", "server_url": "u"}]}, None),  # costs nothing, and may be called a hundred times
        ({"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}, None),  # paid by the container
        ({}, None),
    ],
)
def test_hosted_tools_that_cost_something_are_bounded_by_what_was_held(more: dict[str, Any], bound: int | None) -> None:
    request = bounding_tools(responded(**more), DEAR)
    assert sent(request).get("max_tool_calls") == bound
    assert ("max_tool_calls" in request.added) is (bound == 10)


@pytest.mark.parametrize(
    ("request_", "error", "ours"),
    [
        (bounding_tools(responded(tools=[{"type": "web_search"}]), DEAR), b"Unknown: 'max_tool_calls'.", True),
        (bounding_tools(messaged(SEARCH), DEAR), b"unsupported tool field: max_uses", True),
        (bounding_tools(messaged(SEARCH), DEAR), b"unsupported tool field: name", False),
        (responded(tools=[{"type": "web_search"}], max_tool_calls=3), b"Unknown: 'max_tool_calls'.", False),
        (messaged({**SEARCH, "max_uses": 3}), b"unsupported tool field: max_uses", False),
    ],
)
def test_a_bound_of_tools_is_never_taken_back_since_a_budget_rests_on_it(
    request_: Request, error: bytes, ours: bool
) -> None:
    assert refuses_bound_of_tools(request_, 400, error) is ours
    assert not refuses_bound_of_tools(request_, 429, error)
    assert refuses_what_we_added(request_, 400, error) is None


def test_anthropics_tools_are_bounded_one_by_one_and_the_callers_own_bound_stays() -> None:
    own, bare, other = {**SEARCH, "max_uses": 3}, {"name": "mine", "input_schema": {}}, {"type": "web_fetch_20250910"}
    assert sent(bounding_tools(messaged(SEARCH, bare, other), DEAR))["tools"] == [
        {**SEARCH, "max_uses": 10},
        bare,
        other,
    ]
    assert bounding_tools(messaged(own, bare), DEAR).added == ()
    assert sent(bounding_tools(messaged({**SEARCH, "max_uses": None}, own), DEAR))["tools"][0]["max_uses"] == 10
