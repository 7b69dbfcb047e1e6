"""Phrases, web sites and caps: what the operator does not want to pass on."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.wire.errors import ContextTooLong, OriginBlocked, PromptRejected
from server.wire.filters import Caps, Origins, Phrases

PLAIN = st.text(st.sampled_from("abAB é.-ß"), min_size=1, max_size=4)


class TestPhrases:
    @pytest.mark.parametrize("text", ["the SECRET plan", "Secret", "x\nsecrets\n", "ünder secret"])
    def test_a_phrase_is_found_anywhere_and_in_any_case(self, text: str) -> None:
        assert Phrases.of(["nothing", "secret"]).hit(["hello", text])

    def test_what_holds_no_phrase_passes(self) -> None:
        assert not Phrases.of([r"\bsecret\b", "a{3}"]).hit(["secretary", "aa", ""])
        assert not Phrases.of(["secret"]).hit([])

    def test_without_phrases_everything_passes(self) -> None:
        assert not Phrases().hit(["secret"])
        assert Phrases.of([]) == Phrases()

    def test_patterns_do_not_leak_into_each_other(self) -> None:
        phrases = Phrases.of(["^a|b$", "(?-i)C"])
        assert [phrases.hit([text]) for text in ("ax", "xb", "xa", "C", "c")] == [True, True, False, True, False]

    @pytest.mark.parametrize("pattern", ["(", "(?=a)b", "(?<!a)b", r"(a)\1", "a{9999}", "*"])
    def test_what_re2_cannot_read_is_named_by_its_number_alone(self, pattern: str) -> None:
        with pytest.raises(ValueError, match=r"^pattern 2: expected RE2") as caught:
            Phrases.of(["fine", pattern])
        assert str(caught.value) == "pattern 2: expected RE2 (no lookaround, no backreference)"

    @pytest.mark.parametrize("pattern", ["", "a*", "|", "^", "(x|)"])
    def test_a_pattern_that_would_reject_everything_is_a_slip(self, pattern: str) -> None:
        with pytest.raises(ValueError, match=r"^pattern 1: it matches the empty text"):
            Phrases.of([pattern])

    def test_what_all_patterns_need_together_is_bounded(self) -> None:
        assert Phrases.of(f"word{number}" for number in range(2_000)).hit(["a Word1999"])
        with pytest.raises(ValueError, match="and not too many"):
            Phrases.of([f"{letter}{'.{900}' * 35}" for letter in "ab"])

    def test_a_pattern_that_ruins_others_takes_linear_time(self) -> None:
        """Python's `re` would need longer than the universe has been there."""
        assert not Phrases.of(["(a|aa)+$b", "(x+x+)+y"]).hit(["a" * 10_000, "x" * 10_000])

    @settings(deadline=None, max_examples=60)
    @given(st.lists(PLAIN, max_size=4), st.lists(PLAIN, max_size=4))
    def test_many_patterns_say_what_each_would_say(self, words: list[str], texts: list[str]) -> None:
        expected = any(re.search(re.escape(word), text, re.IGNORECASE) for word in words for text in texts)
        assert Phrases.of(map(re.escape, words)).hit(texts) is expected


class TestOrigins:
    @pytest.mark.parametrize(
        "address",
        ["https://chat.Example.com", "http://example.com:8080/a?b=c", "https://example.com.evil/x", "EXAMPLE.COM"],
    )
    def test_a_blocked_site_is_known_by_a_part_of_its_name(self, address: str) -> None:
        assert Origins.of(["example.COM"]).blocked(None, address)

    @pytest.mark.parametrize("address", [None, "", "null", "https://example.org/?from=example.com", "https://[", "x"])
    def test_others_are_not_blocked_nor_are_those_that_only_speak_of_it(self, address: str | None) -> None:
        assert not Origins.of(["example.com"]).blocked(address, None)

    def test_a_whole_origin_may_be_named(self) -> None:
        origins = Origins.of(["https://example.com"])
        assert (origins.blocked("https://example.com"), origins.blocked("http://example.com")) == (True, False)

    def test_no_request_is_blocked_by_default(self) -> None:
        assert not Origins().blocked("https://example.com")


def test_a_cap_admits_what_reaches_it_exactly_and_zero_is_none() -> None:
    assert [Caps(context=10).too_long(tokens) for tokens in (9, 10, 11)] == [False, False, True]
    assert not Caps().too_long(10**9)


def test_the_operator_may_say_it_in_other_words() -> None:
    assert PromptRejected().message == "The request was rejected by the gateway's content rules."
    assert PromptRejected(words="Not here.").message == "Not here."
    assert (OriginBlocked(words="Go away.").message, OriginBlocked().status) == ("Go away.", 403)
    assert (ContextTooLong("messages").code, ContextTooLong("messages").param) == (
        "context_length_exceeded",
        "messages",
    )
