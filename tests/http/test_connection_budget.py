"""How many connections there may be, by the operator's word and by the system's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.connection_budget import LEAST, AddressCap, ConnectionBudget, connections_for


@pytest.mark.parametrize(
    ("wanted", "files", "most"), [(10_000, 1 << 20, 10_000), (10_000, 20_064, 10_000), (10_000, 1024, 480), (5, 10, 5)]
)
def test_a_connection_needs_two_files_and_some_are_kept(wanted: int, files: int, most: int) -> None:
    assert connections_for(wanted, files) == most


def test_with_hardly_any_files_there_are_some_connections_all_the_same() -> None:
    assert connections_for(10_000, 32) == LEAST


def test_an_address_has_a_quarter_where_the_operator_says_nothing() -> None:
    budget = ConnectionBudget(8)
    assert [budget.connected("a") for _ in range(3)] == [True, True, False]
    assert budget.connected("b")
    assert (budget.open, budget.refused) == (3, 1)
    budget.closed("a")
    assert budget.connected("a")


def test_the_connections_of_our_own_proxies_count_in_all_only_and_requests_by_their_address() -> None:
    budget = ConnectionBudget(8, 2, proxied=True)
    assert [budget.connected("proxy") for _ in range(8)] == [True] * 8
    assert budget.full
    assert [budget.requested("a") for _ in range(3)] == [True, True, False]
    assert budget.requested("b")
    budget.answered("a")
    assert budget.requested("a")


def test_without_proxies_requests_are_not_counted_beside_their_connections() -> None:
    budget = ConnectionBudget(8, 1)
    assert [budget.requested("a") for _ in range(5)] == [True] * 5
    budget.answered("a")
    assert budget.connected("a")


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abc"))))
def test_no_address_has_more_than_it_may_and_nothing_is_remembered_of_who_has_gone(
    steps: list[tuple[bool, str]],
) -> None:
    cap, there = AddressCap(3), dict.fromkeys("abc", 0)
    for comes, address in steps:
        if comes:
            assert cap.enter(address) == (there[address] < 3)
            there[address] = min(3, there[address] + 1)
        elif there[address]:
            cap.leave(address)
            there[address] -= 1
    assert len(cap) == sum(number > 0 for number in there.values())
