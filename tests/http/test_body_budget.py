"""What one person, one address and all together may hold, and that nobody shuts the door to the others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.body_budget import BodyBudget, Held, MostHeld
from server.wire.errors import BodiesFull, Refusal, TooMuchAtOnce

MOST = MostHeld(person=40, address=60, total=100)


def held(budget: BodyBudget, person: str | None, address: str, size: int) -> Held:
    found = budget.open(person, address)
    found.becomes(size)
    return found


def test_a_person_holds_so_much_whatever_their_addresses() -> None:
    budget = BodyBudget(MOST)
    held(budget, "ada", "a", 30)
    with pytest.raises(TooMuchAtOnce):
        held(budget, "ada", "b", 11)
    held(budget, "ada", "b", 10)
    assert budget.refused == {"person": 1}


def test_an_address_holds_so_much_whoever_they_are() -> None:
    budget = BodyBudget(MostHeld(person=40, address=60, total=1000))
    held(budget, "ada", "a", 40)
    with pytest.raises(TooMuchAtOnce):
        held(budget, "bob", "a", 21)
    held(budget, "bob", "b", 21)
    assert budget.refused == {"address": 1}


def test_nobody_holds_more_than_what_is_free() -> None:
    """So the first takes half at most, and there is room for one who comes with little."""
    budget = BodyBudget(MostHeld(person=1000, address=1000, total=100))
    first = held(budget, "ada", "a", 50)
    with pytest.raises(BodiesFull):
        first.becomes(51)
    held(budget, "bob", "b", 25)
    with pytest.raises(BodiesFull):
        held(budget, "cleo", "c", 26)
    held(budget, "cleo", "c", 12)
    assert (budget.total, budget.refused["all"]) == (87, 2)


def test_where_everybody_is_one_person_only_addresses_count() -> None:
    budget = BodyBudget(MOST)
    held(budget, None, "a", 40)
    held(budget, None, "b", 25)
    assert budget.held_by("address", "a") == 40


def test_what_was_refused_changes_nothing() -> None:
    budget = BodyBudget(MOST)
    mine = held(budget, "ada", "a", 30)
    with pytest.raises(TooMuchAtOnce):
        mine.becomes(41)
    assert (mine.size, budget.total, budget.held_by("person", "ada")) == (30, 30, 30)


def test_after_its_end_a_request_holds_nothing_whatever_still_comes() -> None:
    budget = BodyBudget(MOST)
    mine = held(budget, "ada", "a", 30)
    mine.end()
    mine.end()
    mine.grows_to(35)
    assert (budget.total, budget.held_by("person", "ada"), budget.held_by("address", "a")) == (0, 0, 0)


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abc"), st.sampled_from("xy"), st.integers(0, 70))))
def test_whatever_happens_the_sums_are_right_and_within_the_bounds(steps: list[tuple[int, str, str, int]]) -> None:
    budget = BodyBudget(MOST)
    open_: dict[int, Held] = {}
    for number, person, address, size in steps:
        mine = open_.setdefault(number, budget.open(person, address))
        try:
            mine.becomes(size)
        except Refusal:
            open_.pop(number).end()
    assert budget.total == sum(each.size for each in open_.values()) <= MOST.total
    for kind, most in (("person", MOST.person), ("address", MOST.address)):
        for name in "abcxy":
            mine_all = sum(each.size for each in open_.values() if (kind, name) in each.holders)
            assert budget.held_by(kind, name) == mine_all <= most
    for each in open_.values():
        each.end()
    assert (budget.total, budget._by_holder) == (0, {})
