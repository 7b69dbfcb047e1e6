"""What a request will probably cost, and how that is learnt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keypool.estimates import CostModel, OutputLengths, Speeds, Tokens
from keypool.retries import Minute

tokens = st.integers(0, 10**7)


def test_output_costs_four_times_and_cached_input_a_tenth_of_input() -> None:
    assert CostModel(c0=0.0).cost(Tokens(input=100, cached=40, output=10)) == 60 + 4 + 40


def test_a_request_has_a_cost_of_its_own_so_that_tiny_ones_do_not_flood() -> None:
    assert CostModel(c0=500.0).cost(Tokens()) == 500.0


@given(tokens, tokens, tokens)
def test_no_usage_whatever_costs_less_than_a_request(fresh: int, cached: int, output: int) -> None:
    assert CostModel().cost(Tokens(fresh, cached, output)) >= CostModel().c0


def test_an_unknown_length_is_guessed_and_never_beyond_what_the_request_allows() -> None:
    lengths = OutputLengths()
    assert lengths.expect("ann", "m", None) == OutputLengths.GUESS
    assert lengths.expect("ann", "m", 16) == 16


def test_a_persons_own_length_counts_before_the_models_and_the_models_before_the_guess() -> None:
    lengths = OutputLengths()
    lengths.learn("ann", "m", 1000)
    assert lengths.expect("ann", "m", None) == 1000
    assert lengths.expect("bob", "m", None) == 1000
    assert lengths.expect("bob", "n", None) == OutputLengths.GUESS


def test_lengths_follow_what_is_seen() -> None:
    lengths = OutputLengths()
    for _ in range(40):
        lengths.learn("ann", "m", 50)
    lengths.learn("ann", "m", 100)
    assert lengths.expect("ann", "m", None) == 60


def test_no_more_pairs_are_remembered_than_the_capacity_and_the_oldest_go_first() -> None:
    lengths = OutputLengths(capacity=3)
    for person in ("ann", "bob", "eve", "joe"):
        lengths.learn(person, "m", 1000 if person == "ann" else 10)
    assert len(lengths._learnt) == 3
    assert lengths.expect("ann", "m", None) != 1000


def test_a_minute_forgets_what_is_older_than_a_minute_and_keeps_at_most_a_count_a_second() -> None:
    minute = Minute()
    for step in range(1000):
        minute.add(step / 10)
    assert minute.total(99.9) == 600
    assert len(minute._seconds) <= 61
    assert minute.total(1000.0) == 0


# How fast a model writes


def test_no_one_person_moves_the_speed_by_which_the_others_are_charged() -> None:
    """A hundred choices at once look like a hundredfold speed, one word after a minute like none."""
    for odd in (100_000, 1):
        speeds = Speeds()
        for number in range(300):
            speeds.learn(f"p{number % 3}", "m", 400, 10.0)
            speeds.learn("eve", "m", odd, 10.0)
        assert speeds.of("m") == pytest.approx(40.0)


def test_the_speed_of_a_model_follows_its_latest_users_and_models_are_forgotten() -> None:
    speeds = Speeds(capacity=2)
    assert speeds.of("m") == Speeds.GUESS
    for number in range(2 * Speeds.PERSONS):
        speeds.learn(f"p{number}", "m", 10 if number < Speeds.PERSONS else 1000, 1.0)
    assert speeds.of("m") == 1000.0
    for model in ("n", "o"):
        speeds.learn("ann", model, 10, 1.0)
    assert speeds.of("m") == Speeds.GUESS


def test_what_says_nothing_of_the_speed_is_not_learnt() -> None:
    speeds = Speeds()
    speeds.learn("ann", "m", 0, 10.0)
    speeds.learn("ann", "m", 10, 0.0)
    assert speeds.of("m") == Speeds.GUESS
