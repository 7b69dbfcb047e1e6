"""What providers report is read and costs what they bill, plain and streamed, cut into any pieces."""

from __future__ import annotations

import orjson
import pytest

from server.ledger.prices import Price, cost
from server.wire.endpoints import ENDPOINTS
from server.wire.sse import Splitter
from tests.wire.usage_bodies import BODIES, RATES, Body

PRICE = Price("p", "m", 0, RATES)
bodies = pytest.mark.parametrize("body", BODIES, ids=lambda body: body.name)


def written(body: Body) -> bytes:
    assert isinstance(body.answer, list)
    return b"".join(b"data: " + orjson.dumps(event) + b"\n\n" for event in body.answer)


@bodies
def test_it_is_read_and_costs_what_is_billed(body: Body) -> None:
    meter = ENDPOINTS[body.path].meter()
    if isinstance(body.answer, dict):
        assert meter.answer(orjson.dumps(body.answer))
    else:
        for event in Splitter().feed(written(body)):
            meter.event(event)
    assert meter.usage == body.usage
    assert cost(PRICE, body.usage) == body.cost


@pytest.mark.parametrize("body", [each for each in BODIES if isinstance(each.answer, list)], ids=lambda body: body.name)
def test_a_stream_says_the_same_byte_by_byte(body: Body) -> None:
    meter, splitter = ENDPOINTS[body.path].meter(), Splitter()
    stream = written(body)
    for at in range(len(stream)):
        for event in splitter.feed(stream[at : at + 1]):
            meter.event(event)
    assert meter.usage == body.usage


def test_a_choice_that_has_finished_stays_so() -> None:
    meter = ENDPOINTS["/v1/chat/completions"].meter()
    for document in (
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"choices": [{"index": 0, "delta": {}}], "usage": {"prompt_tokens": 1, "completion_tokens": 1}},
    ):
        for event in Splitter().feed(b"data: " + orjson.dumps(document) + b"\n\n"):
            meter.event(event)
    assert meter.ended()


def test_a_response_that_breaks_off_has_the_calls_that_were_done() -> None:
    meter = ENDPOINTS["/v1/responses"].meter()
    search, files = {"type": "web_search_call", "action": {"type": "search"}}, {"type": "file_search_call"}
    events = [{"type": "response.output_item.done", "item": item} for item in (search, files, search)]
    for event in Splitter().feed(b"".join(b"data: " + orjson.dumps(each) + b"\n\n" for each in events)):
        meter.event(event)
    assert (meter.usage, meter.beside().tools) == (None, "file_search=1 web_search=2")


def test_a_stream_that_breaks_off_has_the_calls_that_were_begun_and_its_service() -> None:
    meter = ENDPOINTS["/v1/messages"].meter()
    events = [
        {"type": "message_start", "message": {"usage": {"input_tokens": 9, "service_tier": "priority"}}},
        {"type": "content_block_start", "content_block": {"type": "server_tool_use", "name": "web_search"}},
        {"type": "content_block_start", "content_block": {"type": "server_tool_use", "name": "web_search"}},
        {"type": "content_block_start", "content_block": {"type": "tool_use", "name": "web_search"}},
    ]
    for event in Splitter().feed(b"".join(b"data: " + orjson.dumps(each) + b"\n\n" for each in events)):
        meter.event(event)
    assert meter.usage is None
    assert (meter.beside().tools, meter.beside().tier) == ("web_search=2", "priority")


JUNK: list[object] = [None, True, -1, 1.5, "x", [], {}, [[]], {"type": []}, [{"type": {}}], [None, {"name": 7}]]


@pytest.mark.parametrize("junk", JUNK, ids=str)
def test_junk_in_the_places_of_figures_and_tools_does_no_harm(junk: object) -> None:
    item = {"type": "web_search_call", "action": junk}
    block = {"type": "server_tool_use", "name": junk}
    calls = {"tool_calls": junk, "executed_tools": junk}
    usage = dict.fromkeys(("iterations", "cache_creation", "server_tool_use", "service_tier", "speed"), junk)
    usage |= {"prompt_tokens_details": junk, "inference_geo": junk, "tool_usage": junk, "input_tokens": 5}
    documents = [
        ("/v1/responses", {"output": [item, junk], "usage": usage, "tool_usage": junk, "service_tier": junk}),
        ("/v1/messages", {"content": [block, junk], "usage": {**usage, "output_tokens": 1}}),
        ("/v1/chat/completions", {"choices": [{"message": calls, "usage": junk}], "x_groq": junk, "usage": usage}),
    ]
    for path, document in documents:
        assert ENDPOINTS[path].meter().answer(orjson.dumps(document))
    for kind in ("response.output_item.done", "content_block_start", "message_delta", "message_start"):
        event = {"type": kind, "item": item, "content_block": block, "usage": usage, "message": {"usage": usage}}
        for path, _ in documents:
            for read in Splitter().feed(b"data: " + orjson.dumps(event) + b"\n\n"):
                ENDPOINTS[path].meter().event(read)
