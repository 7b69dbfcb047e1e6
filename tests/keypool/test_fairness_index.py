"""Jain's index over those who had to wait, in a window that slides."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keypool.fairness_index import HALF, Shares, jain

amounts = st.lists(st.floats(0.01, 1e6), min_size=2, max_size=20)


def both_wait(shares: Shares, ann: float, bob: float, start: float = 0.0, seconds: float = 60.0) -> float:
    """Ann and Bob wait and are served that much a second. Returns the instant at which both are content."""
    for person in ("ann", "bob"):
        shares.waits(person, start)
    end = start + seconds
    shares.served("ann", ann * seconds, 1.0, end)
    shares.served("bob", bob * seconds, 1.0, end)
    for person in ("ann", "bob"):
        shares.content(person, end)
    return end


# The index


@pytest.mark.parametrize(
    ("values", "index"),
    [
        ([1.0, 1.0], 1.0),
        ([7.0, 7.0, 7.0], 1.0),
        ([1.0, 0.0], 0.5),
        ([1.0, 0.0, 0.0, 0.0], 0.25),
        ([1.0, 2.0], 0.9),
        ([1.0, 2.0, 3.0], 6.0 / 7.0),
        ([], 1.0),
        ([5.0], 1.0),
        ([0.0, 0.0], 1.0),
    ],
)
def test_known_values(values: list[float], index: float) -> None:
    assert jain(values) == pytest.approx(index)


@settings(deadline=None)
@given(amounts, st.floats(0.01, 1000.0))
def test_the_index_lies_between_one_of_n_and_one_and_knows_no_unit(values: list[float], unit: float) -> None:
    index = jain(values)
    assert 1.0 / len(values) - 1e-9 <= index <= 1.0 + 1e-9
    assert jain(value * unit for value in values) == pytest.approx(index)
    assert jain(reversed(values)) == pytest.approx(index)


# Whose share counts


def test_fairness_is_perfect_while_no_person_waits() -> None:
    assert Shares().index(1e6) == 1.0


def test_two_who_wait_and_get_the_same_are_treated_fairly() -> None:
    shares = Shares()
    assert shares.index(both_wait(shares, 100.0, 100.0)) == pytest.approx(1.0)


def test_one_who_gets_twice_as_much_is_seen() -> None:
    shares = Shares()
    assert shares.index(both_wait(shares, 100.0, 200.0)) == pytest.approx(0.9)


def test_one_who_waits_and_gets_nothing_is_seen_while_waiting() -> None:
    shares = Shares()
    shares.waits("ann", 0.0)
    shares.waits("bob", 0.0)
    shares.served("bob", 100.0, 1.0, 120.0)
    assert shares.index(120.0) == pytest.approx(0.5)


def test_twice_the_weight_deserves_twice_as_much() -> None:
    shares = Shares()
    shares.waits("ann", 0.0)
    shares.waits("bob", 0.0)
    shares.served("ann", 100.0, 1.0, 120.0)
    shares.served("bob", 200.0, 2.0, 120.0)
    assert shares.index(120.0) == pytest.approx(1.0)


@pytest.mark.parametrize(("bob", "index"), [(100.0, 1.0), (200.0, 0.9), (50.0, 0.9)])
def test_one_who_waits_half_the_time_and_gets_half_as_much_is_treated_fairly(bob: float, index: float) -> None:
    shares = Shares()
    shares.waits("ann", 0.0)
    shares.waits("bob", 0.0)
    shares.served("bob", bob, 1.0, 60.0)
    shares.content("bob", 60.0)
    shares.served("ann", 200.0, 1.0, 120.0)
    assert shares.index(120.0) == pytest.approx(index)


def test_one_who_asks_for_little_does_not_count_as_unfair() -> None:
    """Bob asks for a little now and then and waits for a blink each time; Ann wants all that she can get."""
    shares = Shares()
    shares.waits("ann", 0.0)
    for second in range(1, 41):
        shares.waits("bob", second - 0.1)
        shares.served("bob", 1.0, 1.0, second)
        shares.content("bob", second)
        shares.served("ann", 1000.0, 1.0, second)
    assert shares.index(40.0) == 1.0, "forty blinks are no wait"


def test_what_a_person_gets_without_waiting_does_not_make_the_index_worse() -> None:
    shares = Shares()
    end = both_wait(shares, 100.0, 100.0)
    for second in range(100):
        shares.waits("bob", end + second)
        shares.served("bob", 5000.0, 1.0, end + second)
        shares.content("bob", end + second)
    assert shares.index(end + 100.0) == pytest.approx(1.0)


def test_what_comes_without_having_been_waited_for_is_not_counted() -> None:
    shares = Shares()
    end = both_wait(shares, 100.0, 100.0)
    shares.served("bob", 1e6, 1.0, end)
    shares.content("bob", end)
    assert shares.index(end) == pytest.approx(1.0)


def test_to_wait_for_a_second_request_does_not_begin_the_wait_again() -> None:
    shares = Shares()
    shares.waits("ann", 0.0)
    shares.waits("bob", 0.0)
    shares.waits("ann", 50.0)
    shares.served("ann", 100.0, 1.0, 60.0)
    shares.served("bob", 100.0, 1.0, 60.0)
    assert shares.index(60.0) == pytest.approx(1.0)


# The window


def test_the_index_is_the_same_however_often_it_is_asked_for() -> None:
    asked, once = Shares(), Shares()
    for shares in (asked, once):
        shares.waits("ann", 0.0)
        shares.waits("bob", 0.0)
        for second in range(1, 31):
            shares.served("ann", 100.0, 1.0, second)
            shares.served("bob", 50.0, 1.0, second)
            if shares is asked:
                shares.index(second + 0.5)
    assert asked.index(31.0) == pytest.approx(once.index(31.0))


def test_an_injustice_is_remembered_for_five_minutes_at_least_and_for_ten_at_most() -> None:
    shares = Shares()
    shares.index(1000.0)
    end = both_wait(shares, 1.0, 100.0, start=1000.0)
    assert shares.index(end + HALF - 0.1) < 0.6
    assert shares.index(end + 2 * HALF) == 1.0


def test_an_injustice_that_was_never_read_is_forgotten_as_early() -> None:
    shares = Shares()
    end = both_wait(shares, 1.0, 100.0, start=1000.0)
    shares.waits("eve", end + 1.4 * HALF)
    shares.content("eve", end + 1.4 * HALF)
    assert shares.index(end + 2 * HALF) == 1.0


def test_an_injustice_is_forgotten_also_when_no_person_waits_any_more() -> None:
    shares = Shares()
    end = both_wait(shares, 1.0, 100.0)
    assert shares.index(end) < 0.6
    assert shares.index(end + 3600.0) == 1.0
    assert not shares._before
    assert not shares._now


def test_both_halves_of_the_window_count_together() -> None:
    shares = Shares()
    shares.index(1000.0)
    both_wait(shares, 100.0, 300.0, start=1000.0)
    assert shares.index(both_wait(shares, 300.0, 100.0, start=1000.0 + HALF)) == pytest.approx(1.0)


def test_no_person_is_remembered_for_longer_than_the_window() -> None:
    shares = Shares()
    for step in range(100):
        both_wait(shares, 1.0, 1.0, start=step * 1000.0)
        shares.waits(f"once-{step}", step * 1000.0)
        shares.content(f"once-{step}", step * 1000.0 + 60.0)
    assert len(shares._now) + len(shares._before) <= 6
    assert not shares._waiting
