"""The bill that an upstream states: exact, whole, and only what can be believed."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from server.wire.endpoints import ENDPOINTS
from server.wire.sse import Splitter
from server.wire.stated import stated_bill

TOKENS = {"prompt_tokens": 194, "completion_tokens": 2, "total_tokens": 196}


@pytest.mark.parametrize(
    ("written", "micro_usd"),
    [
        ('{"cost": 0.95}', 950_000),
        ('{"cost": 0.95, "is_byok": false, "cost_details": {"upstream_inference_cost": 0.95}}', 950_000),
        ('{"cost": 0.95, "is_byok": true, "cost_details": {"upstream_inference_cost": 19}}', 19_950_000),
        ('{"cost": 0, "is_byok": true, "cost_details": {"upstream_inference_cost": 0.0000105}}', 10),  # half to even
        ('{"cost": 1.4e-05}', 14),
        ('{"cost": 0.0000115}', 12),
        ('{"cost": 0.1234565}', 123_456),  # as a binary fraction it is a little more than the half
        ('{"cost": 3}', 3_000_000),
        ('{"cost": 0, "is_byok": false}', 0),
    ],
)
def test_what_is_written_is_what_is_billed(written: str, micro_usd: int) -> None:
    assert stated_bill(orjson.loads(written)) == micro_usd


@pytest.mark.parametrize(
    "figures",
    [
        *({"cost": each} for each in (None, True, "0.95", -0.01, 10_000, float("nan"), float("inf"), {}, [0.5])),
        {"cost": 0},  # nothing, and no word about whose key it was
        {"cost": 0, "is_byok": True},  # what the model's provider asks is not said
        {"cost": 0.1, "is_byok": True, "cost_details": {"upstream_inference_cost": None}},
        {"cost": 0.1, "is_byok": True, "cost_details": 3},
        {"total_cost": 0.5},
    ],
)
def test_what_cannot_be_believed_is_no_bill(figures: dict[str, Any]) -> None:
    assert stated_bill(figures) is None


def read(path: str, *events: dict[str, Any]) -> int | None:
    meter = ENDPOINTS[path].meter()
    for event in Splitter().feed(b"".join(b"data: %b\n\n" % json.dumps(each).encode() for each in events)):
        meter.event(event)
    return meter.stated()


def test_it_stands_beside_the_figures_in_each_dialect() -> None:
    chat, whole = ENDPOINTS["/v1/chat/completions"].meter(), {"choices": [], "usage": TOKENS | {"cost": 0.25}}
    assert chat.answer(orjson.dumps(whole)) and chat.stated() == 250_000
    assert read("/v1/chat/completions", whole) == 250_000
    response = {"usage": {"input_tokens": 3, "output_tokens": 1, "cost": 0.5}}
    assert read("/v1/responses", {"type": "response.completed", "response": response}) == 500_000
    start = {"type": "message_start", "message": {"usage": {"input_tokens": 3}}}
    delta = {"type": "message_delta", "usage": {"output_tokens": 2, "cost": 0.125}}
    assert read("/v1/messages", start, delta) == 125_000


def test_it_counts_with_complete_figures_alone_and_never_shrinks() -> None:
    assert read("/v1/chat/completions", {"choices": [], "usage": {"cost": 0.25}}) is None
    first, second = TOKENS | {"cost": 0.25}, TOKENS | {"cost": 0.125}
    assert read("/v1/chat/completions", {"choices": [], "usage": first}, {"choices": [], "usage": second}) == 250_000
    late = {"choices": [{"index": 0, "delta": {"content": "more"}}]}
    told_too_early = TOKENS | {"completion_tokens": 0, "total_tokens": 194, "cost": 0.25}
    assert read("/v1/chat/completions", {"choices": [], "usage": told_too_early}, late) is None
