"""Rerankers: what each provider reports is found, and what one may bill is held."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.ledger.ceiling import most_cost
from server.ledger.prices import Price, Rates, cost
from server.wire.calls import calls_of
from server.wire.endpoints import ENDPOINTS
from server.wire.extent import most
from server.wire.request import Request, read_request
from server.wire.rerank import Rerank, searches_of
from server.wire.usage import Usage

RERANK = ENDPOINTS["/v1/rerank"]
RESULTS = [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]
BY_TOKEN = Price("jina", "m", 0, Rates(input=20_000))
BY_UNIT = Price("cohere", "m", 0, Rates())


def asked(documents: list[Any], query: str = "roads") -> Request:
    body = orjson.dumps({"model": "m", "query": query, "documents": documents})
    return read_request(RERANK, body, "application/json")


@pytest.mark.parametrize(
    ("figures", "usage"),
    [
        ({"usage": {"prompt_tokens": 56, "total_tokens": 56}}, Usage(56)),  # vLLM, Jina
        ({"usage": {"total_tokens": 26}}, Usage(26)),  # Voyage
        ({"meta": {"billed_units": {"total_tokens": 56}, "tokens": {"input_tokens": 50}}}, Usage(56)),  # LiteLLM
        ({"usage": {"cost": 0.001, "search_units": 1, "total_tokens": 150}}, Usage(150, tools="search_unit=1")),
        (
            {"meta": {"billed_units": {"search_units": 2.0}, "tokens": {"input_tokens": 9, "output_tokens": 0}}},
            Usage(9, tools="search_unit=2"),
        ),
        ({"meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}}, None),  # Cohere
        ({}, None),
        ({"usage": [], "meta": {"billed_units": None, "tokens": 5}}, None),
        ({"usage": {"total_tokens": -5, "prompt_tokens": "9", "input_tokens": 10**12}}, None),
    ],
)
def test_every_provider_s_figures_are_found(figures: dict[str, Any], usage: Usage | None) -> None:
    meter = Rerank()
    assert meter.answer(orjson.dumps({"id": "x", "model": "rerank-9", "results": RESULTS, **figures}))
    assert (meter.usage, meter.served_model, meter.finished) == (usage, "rerank-9", True)


def test_units_without_tokens_are_billed_beside_the_tokens_that_are_counted_here() -> None:
    meter = Rerank()
    meter.answer(orjson.dumps({"results": RESULTS, "meta": {"billed_units": {"search_units": 3}}}))
    assert meter.beside() == Usage(tools="search_unit=3")
    assert cost(BY_UNIT, Usage(500, tools="search_unit=3", estimated=True)) == 7_500


def test_an_error_in_an_answer_is_one() -> None:
    meter = Rerank()
    meter.answer(b'{"error": {"message": "busy", "code": 503}}')
    assert meter.failed


@pytest.mark.parametrize(
    ("documents", "units"),
    [
        (["road"], 1),
        (["road"] * 100, 1),
        (["road"] * 101, 2),
        (["x" * 495] * 100, 1),
        (["x" * 496] * 50, 1),
        (["x" * 496] * 51, 2),
        ([{"text": "x" * 480, "title": "road"}] * 51, 2),
        ("one text", 1),
        ([], 0),
        (None, 1),
    ],
)
def test_a_unit_is_a_hundred_documents_and_a_long_one_is_several(documents: Any, units: int) -> None:
    assert calls_of(searches_of({"query": "roads", "documents": documents}).calls).get("search_unit", 0) == units


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=600), min_size=1, max_size=120), st.text(min_size=1, max_size=100))
def test_no_more_is_billed_than_is_held(documents: list[str], query: str) -> None:
    """A provider may make a token of each byte, reads the query with each document, and rounds pieces of 500 up."""
    request = asked(documents, query)
    tokens = sum(len((query + each).encode()) for each in documents)
    room = 500 - len(query.encode())
    pieces = sum(max(1, -(-len(each.encode()) // room)) for each in documents)
    billed = Usage(tokens, tools=f"search_unit={-(-pieces // 100)}")
    bound = most(request.prompt, request.extent, "m", None, 0, 1, request.hosted.most())
    assert bound.input >= tokens
    for price in (BY_TOKEN, BY_UNIT):
        assert cost(price, billed) <= most_cost(price, bound)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda each: st.lists(each)))
@settings(max_examples=30, deadline=None)
def test_no_document_makes_it_fail(value: Any) -> None:
    searches_of({"documents": value})
