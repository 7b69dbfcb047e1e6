"""What a list of models says of each: what its name tells, what its price is, and nothing where that is not known."""

from __future__ import annotations

import json

import pytest

from server.ledger.listing import pricing
from server.ledger.prices import UNPRICED, Price, Rates
from server.wire.anthropic import ANTHROPIC
from server.wire.modalities import made_on, modalities
from server.wire.openai import OPENAI

TEXT, SEEN = ("text",), ("text", "image")


@pytest.mark.parametrize(
    ("model", "known"),
    [
        ("gpt-5", (SEEN, TEXT)),
        ("openai/gpt-4o-mini", (SEEN, TEXT)),
        ("gpt-4o-mini-transcribe", (("audio",), TEXT)),
        ("gpt-4o-mini-tts", (TEXT, ("audio",))),
        ("tts-1-hd", (TEXT, ("audio",))),
        ("gpt-4o-audio-preview", (("text", "audio"), ("text", "audio"))),
        ("gpt-3.5-turbo", (TEXT, TEXT)),
        ("gpt-4", (TEXT, TEXT)),
        ("o3-mini", (TEXT, TEXT)),
        ("o3", (SEEN, TEXT)),
        ("gpt-image-2.5-flare", (SEEN, ("image",))),
        ("claude-opus-4-8", (("text", "image", "file"), TEXT)),
        ("text-embedding-3-small", (TEXT, ("embeddings",))),
        ("bge-reranker-v2-m3", (TEXT, ("scores",))),
        ("a-model-of-the-campus", None),
        ("llama-4-scout", None),
    ],
)
def test_what_a_model_reads_and_writes(model: str, known: object) -> None:
    assert modalities(model) == known


@pytest.mark.parametrize(
    ("model", "day"),
    [
        ("gpt-4o-2024-08-06", "2024-08-06"),
        ("claude-sonnet-4-5-20250929", "2025-09-29"),
        ("anthropic/claude-3-5-haiku-20241022:beta", "2024-10-22"),
        ("gpt-5", None),
        ("gpt-4-0613", None),
        ("m-20230230", None),
        ("m-20231345", None),
        ("m-120230101", None),
        ("grok-4-202301011", None),
    ],
)
def test_the_day_that_a_name_tells_is_the_day_in_every_dialect(model: str, day: str | None) -> None:
    made = made_on(model)
    assert (made and made.date().isoformat()) == day
    seconds = 0 if made is None else made.timestamp()
    assert json.loads(OPENAI.model(model))["created"] == seconds
    assert json.loads(ANTHROPIC.model(model))["created_at"] == f"{day or '1970-01-01'}T00:00:00Z"


def test_prices_are_dollars_for_one_and_exact() -> None:
    rates = Rates(input=1_250_000, output=10_000_000, cached=125_000, request=2_500, image=40_000, input_audio=1)
    assert pricing(Price("p", "m", 0, rates)) == {
        "prompt": "0.00000125",
        "completion": "0.00001",
        "input_cache_read": "0.000000125",
        "audio": "0.000000000001",
        "request": "0.0025",
        "image": "0.04",
    }
    assert pricing(Price("free", "m", 0, Rates())) == {"prompt": "0", "completion": "0"}
    assert pricing(Price("dear", "m", 0, Rates(input=20_000_000_000_000))) == {"prompt": "20", "completion": "0"}
    assert pricing(UNPRICED) is None
    assert pricing(None) is None
