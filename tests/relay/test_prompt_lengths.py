"""A prompt is counted where its length decides something, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from server.relay.content_rules import ContentRules
from server.relay.prompt_lengths import PromptLength, PromptLengths
from server.tokenizer import Tokenizer
from server.wire.endpoints import ENDPOINTS
from server.wire.errors import ContextTooLong
from server.wire.filters import Caps
from server.wire.request import Request, read_request
from server.wire.tokens import Prompt
from server.wire.usage import Usage

CHAT = ENDPOINTS["/v1/chat/completions"]
WORDS = "some words of a prompt " * 40  # 920 bytes, about 200 tokens


class CountingTokenizer(Tokenizer):
    """Counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    async def count(self, prompt: Prompt, model: str, person: str = "") -> int:
        self.asked += 1
        return prompt.fixed + len(prompt.texts[0]) // 5


@pytest.fixture
def tokenizer() -> Iterator[CountingTokenizer]:
    made = CountingTokenizer()
    yield made
    made.close()


def a_request(text: str = WORDS, **fields: Any) -> Request:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": text}]} | fields
    return read_request(CHAT, orjson.dumps(body), "application/json")


def lengths(
    tokenizer: Tokenizer, cap: int = 0, window: int | None = None, longest: int = 1000, spooled: int = 1 << 18
) -> PromptLengths:
    rules = ContentRules(caps={"openai": Caps(context=cap)})
    return PromptLengths(tokenizer, rules, lambda model: window, longest, spooled)


@pytest.mark.gen_test
async def test_far_from_all_bounds_it_is_guessed(tokenizer: CountingTokenizer) -> None:
    found = await lengths(tokenizer).of(a_request(), "ada")
    assert (found.counted, tokenizer.asked) == (False, 0)
    assert 150 < found.tokens < 350


@pytest.mark.parametrize(
    ("near", "fields"),
    [
        ({"cap": 900}, {}),
        ({"window": 1500}, {}),
        ({"window": 3000}, {"max_tokens": 2500}),
        ({"spooled": 100}, {}),
    ],
    ids=["the operator's longest prompt", "the window of the lists", "an answer of the caller's", "it may be spooled"],
)
@pytest.mark.gen_test
async def test_where_its_bytes_may_not_fit_it_is_counted(
    tokenizer: CountingTokenizer, near: dict[str, int], fields: dict[str, Any]
) -> None:
    found = await lengths(tokenizer, **near).of(a_request(**fields), "ada")
    assert (found.counted, tokenizer.asked) == (True, 1)


@pytest.mark.gen_test
async def test_a_prompt_that_is_too_long_is_refused_by_its_count_and_not_by_its_bytes(
    tokenizer: CountingTokenizer,
) -> None:
    kept = await lengths(tokenizer, cap=300).of(a_request(), "ada")
    assert kept.tokens <= 300
    with pytest.raises(ContextTooLong):
        await lengths(tokenizer, cap=100).of(a_request(), "ada")


@pytest.mark.gen_test
async def test_what_a_provider_reports_makes_the_next_guess_better(tokenizer: CountingTokenizer) -> None:
    it, request = lengths(tokenizer), a_request()
    for _ in range(12):
        it.learn(request, "ada", Usage(input=460))
    assert (await it.of(request, "ada")).tokens == pytest.approx(460, rel=0.05)
    assert (await it.of(request, "bob")).tokens < 350


@pytest.mark.gen_test
async def test_what_was_only_estimated_teaches_nothing(tokenizer: CountingTokenizer) -> None:
    it, request = lengths(tokenizer), a_request()
    before = await it.of(request, "ada")
    it.learn(request, "ada", Usage(input=900, estimated=True))
    assert await it.of(request, "ada") == before


@pytest.mark.gen_test
async def test_a_count_is_a_count(tokenizer: CountingTokenizer) -> None:
    found = await lengths(tokenizer).count(a_request("word " * 100), "ada")
    assert found == PromptLength(7 + 100, counted=True)
