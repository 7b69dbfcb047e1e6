"""The first example asks a model that chats, that a living key serves, and that has a price."""

from __future__ import annotations

from typing import Any

import pytest

from keypool.health import KeyEvent
from server.bootstrap.example import Example, chats, cheapest
from server.bootstrap.serve import example
from server.ledger.prices import UNPRICED, Price, Rates
from tests.fakes.upstream import FakeUpstream
from tests.gateways import gateway, spec

CHATS = (
    *("gpt-4o-mini", "gpt-5-nano", "chatgpt-4o-latest", "o3-mini", "smollm2", "claude-haiku-4-5"),
    *("gemini-2.5-pro", "llama-3.1-8b-instruct", "mistral-small-latest", "deepseek-chat"),
)
OTHERS = (
    *("text-embedding-3-small", "whisper-1", "tts-1", "gpt-4o-mini-tts", "gpt-4o-transcribe", "dall-e-3"),
    *("gpt-image-1", "omni-moderation-latest", "gpt-realtime", "gpt-4o-audio-preview", "babbage-002", "davinci-002"),
    *("gpt-3.5-turbo-instruct", "gpt-5-pro", "o1-pro", "o3-pro-2025-06-10", "gpt-5-codex", "computer-use-preview"),
    *("o3-deep-research", "gpt-4o-search-preview", "sora-2", "bge-reranker-v2-m3"),
)


@pytest.mark.parametrize("model", CHATS)
def test_it_chats(model: str) -> None:
    assert chats(model)


@pytest.mark.parametrize("model", OTHERS)
def test_it_does_something_else(model: str) -> None:
    assert not chats(model)


def price(name: str, rate: int) -> Price:
    return Price(name, name, 0, Rates(input=rate, output=rate))


def test_the_cheapest_that_chats_is_asked_and_one_without_a_price_last() -> None:
    priced = [("dear", price("dear", 9)), ("fair", price("fair", 2)), ("whisper-1", price("w", 1))]
    assert cheapest(priced) == "fair"
    assert cheapest([("a", UNPRICED), *priced]) == "fair"
    assert cheapest([("a", UNPRICED)]) == "a"
    assert cheapest([("whisper-1", price("w", 1))]) is None
    assert cheapest([]) is None


OPENAI = {"name": "openai", "dialects": ("openai",)}
ANTHROPIC = {"name": "anthropic", "dialects": ("anthropic",), "keys": ("sk-other",)}


@pytest.mark.parametrize(
    ("upstreams", "expected"),
    [
        ((OPENAI | {"models": ("dall-e-3", "gpt-4o", "gpt-4o-mini", "unheard-of")},), Example("gpt-4o-mini")),
        ((ANTHROPIC | {"models": ("claude-opus-4-5", "claude-haiku-4-5")},), Example("claude-haiku-4-5", "anthropic")),
        (
            (ANTHROPIC | {"models": ("claude-haiku-4-5",)}, OPENAI | {"models": ("gpt-4o", "text-embedding-3-small")}),
            Example("gpt-4o"),
        ),
        ((OPENAI | {"models": ("unheard-of",)},), None),
        ((OPENAI | {"models": ("text-embedding-3-small",)},), None),
        ((OPENAI | {"models": ("gpt-4o",), "groups": ("staff",)},), None),
    ],
)
@pytest.mark.gen_test
async def test_a_gateway_names_one_that_it_answers_for(
    upstreams: tuple[dict[str, Any], ...], expected: Example | None
) -> None:
    async with FakeUpstream() as fake:
        specs = [spec(fake, **each) for each in upstreams]
        async with gateway(fake, *specs, unpriced_models="refuse") as running:
            assert example(running.services) == expected


@pytest.mark.gen_test
async def test_a_model_whose_keys_are_all_refused_is_no_example() -> None:
    async with FakeUpstream() as fake, gateway(fake, spec(fake, models=("gpt-4o",))) as running:
        dispatcher = running.services.dispatcher
        assert example(running.services) == Example("gpt-4o")
        for key in list(dispatcher.pool.keys):
            dispatcher.learn(key, KeyEvent.KEY_REFUSED)
        assert example(running.services) is None
