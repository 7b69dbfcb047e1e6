"""Reranking: documents by how well they fit a query. The shape is Cohere's; vLLM, Jina, LiteLLM have it.

Some are paid for by the token, some by the search unit, and no two providers report it in one place:

    {"usage": {"prompt_tokens": 56, "total_tokens": 56}}             vLLM, Jina; Voyage and others the total alone
    {"meta": {"billed_units": {"search_units": 1}}}                  Cohere, Bedrock
    {"meta": {"billed_units": {"total_tokens": 56}, "tokens": {"input_tokens": 56}}}     LiteLLM, for others
    {"usage": {"search_units": 1, "total_tokens": 150}}              OpenRouter

A search unit is the call of a tool by that name: it has a price in `ledger/tariff.py`, and `TOOL_PRICES` sets another.
It is one query with at most 100 documents, where one of more than 500 tokens, its query included, counts as several
(cohere.com/pricing, docs.cohere.com/docs/rerank). An answer that reports no tokens has those that are counted here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from server.wire.calls import called
from server.wire.figures import ABSURD
from server.wire.hosted import Hosted
from server.wire.meter import DeliveryMeter

UNIT = "search_unit"
DOCUMENTS_A_UNIT = 100
PIECE, LEAST_PIECE = 500, 50  # tokens of a document that count as one, its query included; beside an endless query
_TOKENS = ("prompt_tokens", "input_tokens", "total_tokens")


class Rerank(DeliveryMeter):
    """`/v1/rerank`."""

    def _event(self, document: dict[str, Any]) -> bool:
        self._failed_with(document)
        return False

    def _answer(self, document: dict[str, Any]) -> None:
        self._served_by(document)
        places = list(_places(document))
        if units := _most(places, (UNIT + "s",)):
            self.figures.call({UNIT: units})
        if tokens := _most(places, _TOKENS):
            self.figures.add({"input_tokens": tokens})
            self.usage = self.figures.input_usage()


def searches_of(document: Mapping[str, Any]) -> Hosted:
    """The most search units that a request can be billed, if each byte is a token. Never raises on odd values."""
    documents, room = document.get("documents"), max(LEAST_PIECE, PIECE - _length(document.get("query")))
    each = documents if type(documents) is list else [documents]
    pieces = sum(max(1, -(-_length(one) // room)) for one in each)
    return Hosted(called({UNIT: -(-pieces // DOCUMENTS_A_UNIT)}))


def _length(document: Any) -> int:
    """Bytes of a text, or of an object with several of them."""
    return len(document.encode(errors="surrogatepass") if type(document) is str else orjson.dumps(document))


def _places(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The objects in which providers report figures."""
    meta = document.get("meta")
    inside = (meta.get("billed_units"), meta.get("tokens")) if type(meta) is dict else ()
    for found in (document.get("usage"), *inside):
        if type(found) is dict:
            yield found


def _most(places: list[dict[str, Any]], names: tuple[str, ...]) -> int:
    """The largest believable figure of these names; 0 if there is none. Cohere writes units as `1.0` at times."""
    return max((_figure(place.get(name)) for place in places for name in names), default=0)


def _figure(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and 0 < value < ABSURD else 0
