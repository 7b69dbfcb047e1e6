"""The bound of a prompt's tokens holds for every text; the guess learns, for each person apart."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.tokenizer import Tokenizer
from server.wire.prompt_length import LEAST, LONG_ENOUGH, MOST, USUAL, PromptDensities
from server.wire.tokens import PER_MEDIUM, Prompt

TEXT = "x" * 1000


@pytest.fixture(scope="module")
def tokenizer() -> Iterator[Tokenizer]:
    built = Tokenizer()
    for name in ("o200k_base", "cl100k_base"):
        built.encoding(name)
    yield built
    built.close()


@pytest.mark.slow
@given(st.text(max_size=200), st.sampled_from(["gpt-4o", "gpt-4"]))
def test_no_text_has_more_tokens_than_bytes(tokenizer: Tokenizer, text: str, model: str) -> None:
    assert tokenizer.count_text(text, model) <= Prompt((text,)).most


def test_the_bound_counts_bytes_and_what_is_fixed() -> None:
    assert Prompt(("abc", "größe", "字"), 7).most == 7 + 3 + 7 + 3
    assert Prompt(("\ud800",)).most == 3, "half a surrogate pair is no error"


def test_a_guess_has_the_usual_density_at_first() -> None:
    assert PromptDensities().guess("ada", "gpt-5", Prompt((TEXT,), 7)) == 7 + 1000 * USUAL


def test_a_guess_comes_near_to_what_providers_report() -> None:
    known, prompt = PromptDensities(), Prompt((TEXT,), 7)
    for _ in range(12):
        known.learn("ada", "gpt-5", prompt, 507)
    assert known.guess("ada", "gpt-5", prompt) == pytest.approx(507, rel=0.02)


def test_the_texts_of_one_person_change_the_guess_of_no_other() -> None:
    known, prompt = PromptDensities(), Prompt((TEXT,))
    for _ in range(12):
        known.learn("ada", "gpt-5", prompt, 900)
    assert known.guess("bob", "gpt-5", prompt) == 1000 * USUAL
    assert known.guess("ada", "gpt-4", prompt) == 1000 * USUAL


@pytest.mark.parametrize(("reported", "bound"), [(1, LEAST), (10**9, MOST)])
def test_no_report_makes_a_density_absurd(reported: int, bound: float) -> None:
    known, prompt = PromptDensities(), Prompt((TEXT,))
    for _ in range(40):
        known.learn("ada", "gpt-5", prompt, reported)
    assert known.guess("ada", "gpt-5", prompt) == pytest.approx(1000 * bound, abs=1)


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt((TEXT,), PER_MEDIUM, 1),
        Prompt(("x" * (LONG_ENOUGH - 1),)),
        Prompt((TEXT,), 5000),
    ],
    ids=["media", "short", "reported less than is fixed"],
)
def test_some_prompts_teach_nothing(prompt: Prompt) -> None:
    known = PromptDensities()
    known.learn("ada", "gpt-5", prompt, 4000)
    assert known.guess("ada", "gpt-5", Prompt((TEXT,))) == 1000 * USUAL


def test_only_the_latest_are_kept() -> None:
    known, prompt = PromptDensities(capacity=2), Prompt((TEXT,))
    for person in ("ada", "bob", "cyd"):
        known.learn(person, "gpt-5", prompt, 900)
    assert known.guess("ada", "gpt-5", prompt) == 1000 * USUAL
    assert known.guess("cyd", "gpt-5", prompt) > 1000 * USUAL
