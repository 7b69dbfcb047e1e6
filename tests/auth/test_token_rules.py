"""What a token looks like, which terms it may have, and what counts as one address or one failure too many."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.auth import throttle as failures
from server.auth import tokens as token_door
from server.auth.throttle import Failures
from server.auth.token_format import TOKEN_PATTERN, budget_id, hint, looks_like_token, new_id, new_token, next_id
from server.auth.token_terms import checked_terms, in_networks, place
from server.auth.tokens import Cache
from server.store.base import Caller, Credential, TokenTerms

# The text


def test_a_token_can_be_found_by_a_secret_scanner_and_differs_from_a_look_alike() -> None:
    secret = new_token()
    assert re.fullmatch(TOKEN_PATTERN, secret)
    assert looks_like_token(secret)
    assert new_token() != secret
    assert hint(secret) == f"fg_…{secret[-4:]}"


@given(st.integers(0, 51), st.characters(codec="ascii"))
@settings(deadline=None, max_examples=100)
def test_a_token_with_one_other_character_is_no_token(position: int, character: str) -> None:
    secret = new_token()
    other = secret[:position] + character + secret[position + 1 :]
    assert looks_like_token(other) is (other == secret)


@pytest.mark.parametrize(
    "text",
    ["", "fg_", "fg_" + "A" * 49, new_token() + "\n", new_token()[:-1], "ｆｇ_" + "A" * 49],
    ids=["empty", "prefix alone", "wrong checksum", "newline behind it", "a character too few", "wide letters"],
)
def test_what_is_not_of_a_token_s_shape_is_no_token(text: str) -> None:
    assert not looks_like_token(text)


def test_all_tokens_of_one_line_have_the_budgets_of_the_first() -> None:
    first = new_id()
    second, third = next_id(first), next_id(next_id(first))
    assert len({first, second, third}) == 3
    assert {budget_id(each) for each in (first, second, third)} == {first}
    assert budget_id("pass:0123456789abcdef") == "pass:0123456789abcdef"


# The terms

FINE = {
    "none": TokenTerms(),
    "special": TokenTerms("special"),
    "all of them": TokenTerms("normal", ("gpt-4*", "o1"), ("10.0.0.0/8", "2001:db8::/32", "192.0.2.7"), 3, "chunk"),
}
NONSENSE = {
    "a kind that is none": (TokenTerms("royal"), "kind"),
    "a guest": (TokenTerms("guest"), "kind"),
    "temporary without an end": (TokenTerms("temporary"), "expiry"),
    "an empty model": (TokenTerms(models=("",)), "models"),
    "too many models": (TokenTerms(models=("m",) * 101), "models"),
    "a network that is none": (TokenTerms(networks=("10.0.0.0/33",)), "networks"),
    "a name for a network": (TokenTerms(networks=("campus",)), "networks"),
    "too many networks": (TokenTerms(networks=("10.0.0.0/8",) * 101), "networks"),
    "less than no addresses": (TokenTerms(addresses=-1), "addresses"),
    "too many addresses": (TokenTerms(addresses=1_001), "addresses"),
    "signs of life that are none": (TokenTerms(keepalive="campus"), "keepalive"),
}


@pytest.mark.parametrize("terms", FINE.values(), ids=FINE.keys())
def test_terms_that_make_sense_may_be_checked_twice(terms: TokenTerms) -> None:
    once = checked_terms(terms, None)
    assert checked_terms(once, None) == once


@pytest.mark.parametrize(("terms", "about"), NONSENSE.values(), ids=NONSENSE.keys())
def test_the_refusal_of_bad_terms_names_them_and_does_not_repeat_them(terms: TokenTerms, about: str) -> None:
    with pytest.raises(ValueError, match=about) as caught:
        checked_terms(terms, None)
    assert "royal" not in str(caught.value)
    assert "campus" not in str(caught.value)


def test_a_network_is_kept_without_the_host_in_it() -> None:
    assert checked_terms(TokenTerms(networks=("10.1.2.3/8",)), None).networks == ("10.0.0.0/8",)


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("11.1.2.3", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("nowhere", False),
        ("", False),
    ],
)
def test_an_address_lies_in_a_network_however_it_is_written(address: str, inside: bool) -> None:
    assert in_networks(TokenTerms(networks=("10.0.0.0/8", "2001:db8::/32")), address) is inside
    assert in_networks(TokenTerms(), address)


def test_one_household_is_one_address() -> None:
    assert place("2001:db8:0:1::1") == place("2001:db8:0:1:ffff::2") != place("2001:db8:0:2::1")
    assert place("::ffff:192.0.2.1") == place("192.0.2.1") != place("192.0.2.2")
    assert place("/run/socket") == "/run/socket"


# What is counted and remembered


def test_31_failures_in_a_minute_are_too_many_and_a_minute_later_all_is_forgiven() -> None:
    kept = Failures()
    assert [kept.count("a", 0.0) for _ in range(30)] == [None] * 30
    assert kept.wait("a", 10.0) == 50.0
    assert kept.count("a", 20.0) == 40.0
    assert kept.wait("b", 20.0) is None
    assert kept.wait("a", 60.0) is None
    assert kept.count("a", 60.0) is None


def test_no_more_names_are_watched_than_there_is_room_for() -> None:
    kept = Failures()
    for number in range(failures.WATCHED + 5):
        kept.count(str(number), 0.0)
    assert len(kept) == failures.WATCHED


def test_no_more_tokens_are_remembered_than_there_is_room_for_and_the_oldest_goes() -> None:
    cache, credential = Cache(5.0), Credential(Caller("usr_1", "Ada", "tok_1"), False, None, None)
    for number in range(token_door.CACHE_ENTRIES + 1):
        cache.put(str(number).encode(), credential, 0.0)
    assert len(cache) == token_door.CACHE_ENTRIES
    assert cache.get(b"0", 0.0) is None
    assert cache.get(b"1", 4.9) is credential
    assert cache.get(b"1", 5.0) is None
    assert cache.get(b"1", 5.0, 9.0) is credential
