"""What a limit per minute promises: never more than it says in any sixty seconds, and nothing is lost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.ledger.holds import HoldEntry
from server.ledger.limits import Limit, LimitWindow, Scope, Unit
from server.ledger.ratelimit import MARKS, Left, RateLimits, Taken, Wait


def entry(most: int, needs: int = 1, unit: Unit = Unit.REQUESTS, who: str = "ada") -> HoldEntry:
    limit = Limit(f"{unit}-{most}", Scope.EVERYONE, "", unit, LimitWindow.MINUTE, most)
    return HoldEntry(f"person:{who}/{unit}/*/minute", limit, most, needs, None)


def tokens(most: int, needs: int, who: str = "ada") -> HoldEntry:
    return entry(most, needs, Unit.TOKENS, who)


def take(rates: RateLimits, now: float, *entries: HoldEntry) -> Taken:
    taken = rates.take(entries, now)
    assert isinstance(taken, Taken)
    return taken


def wait(rates: RateLimits, now: float, *entries: HoldEntry) -> float | None:
    refused = rates.take(entries, now)
    assert isinstance(refused, Wait)
    return refused.seconds


def test_so_many_are_admitted_and_the_next_one_waits_for_the_first_to_leave() -> None:
    rates = RateLimits()
    for now in (0, 10, 20):
        take(rates, now, entry(3))
    assert wait(rates, 30, entry(3)) == 30
    assert wait(rates, 59.5, entry(3)) == 0.5
    take(rates, 60, entry(3))
    assert wait(rates, 60, entry(3)) == 10


def test_there_is_no_double_burst_at_the_minutes_edge() -> None:
    rates = RateLimits()
    for _ in range(5):
        take(rates, 59, entry(5))
    assert wait(rates, 61, entry(5)) == 58


def test_tokens_wait_until_enough_of_them_have_left() -> None:
    rates = RateLimits()
    for now, needs in ((0, 40), (5, 30), (9, 30)):
        take(rates, now, tokens(100, needs))
    assert wait(rates, 10, tokens(100, 40)) == 50
    assert wait(rates, 10, tokens(100, 41)) == 55
    assert wait(rates, 10, tokens(100, 100)) == 59


def test_what_never_fits_is_told_so() -> None:
    assert wait(RateLimits(), 0, tokens(100, 101)) is None
    assert wait(RateLimits(), 0, entry(0)) is None


def test_what_needs_nothing_is_not_kept_waiting_by_a_window_that_is_full() -> None:
    rates = RateLimits()
    take(rates, 0, tokens(100, 100))
    take(rates, 0, tokens(100, 0))
    assert wait(rates, 0, tokens(100, 1)) == 60


def test_all_counters_or_none() -> None:
    rates = RateLimits()
    take(rates, 0, tokens(100, 90))
    assert wait(rates, 1, entry(1), tokens(100, 20)) == 59
    take(rates, 1, entry(1), tokens(100, 10))


def test_the_longest_wait_counts_and_names_its_limit() -> None:
    rates = RateLimits()
    take(rates, 0, tokens(100, 90))
    take(rates, 10, entry(1))
    refused = rates.take([tokens(100, 20), entry(1)], 15)
    assert isinstance(refused, Wait)
    assert (refused.seconds, refused.limit.unit) == (55, Unit.REQUESTS)
    never = rates.take([tokens(100, 200), entry(1)], 15)
    assert isinstance(never, Wait)
    assert (never.seconds, never.limit.unit) == (None, Unit.TOKENS)


def test_without_limits_everything_is_admitted_and_nothing_is_remembered() -> None:
    rates = RateLimits()
    take(rates, 0)
    assert len(rates) == 0


def test_what_is_given_back_may_be_taken_again_and_only_once() -> None:
    rates = RateLimits()
    first = take(rates, 0, entry(2), tokens(100, 60))
    take(rates, 1, entry(2), tokens(100, 40))
    rates.give_back(first)
    rates.give_back(first)
    take(rates, 2, entry(2), tokens(100, 60))
    assert wait(rates, 3, entry(2), tokens(100, 1)) == 58


def test_giving_back_what_has_left_the_window_changes_nothing() -> None:
    rates = RateLimits()
    first = take(rates, 0, entry(2))
    take(rates, 70, entry(2))
    rates.give_back(first)
    take(rates, 70, entry(2))
    assert wait(rates, 70, entry(2)) == 60


def test_the_real_number_of_tokens_replaces_the_estimate() -> None:
    rates = RateLimits()
    taken = take(rates, 0, entry(9), tokens(100, 90))
    rates.correct(taken, 30)
    assert rates.left([tokens(100, 0)], Unit.TOKENS, 1) == Left(100, 70, 59)
    rates.correct(taken, 30)
    assert rates.left([entry(9), tokens(100, 0)], Unit.TOKENS, 1) == Left(100, 70, 59)
    assert rates.left([entry(9)], Unit.REQUESTS, 1) == Left(9, 8, 59)


def test_more_than_was_estimated_leaves_the_window_over_its_limit_until_it_slides_on() -> None:
    rates = RateLimits()
    rates.correct(take(rates, 0, tokens(100, 10)), 500)
    assert rates.left([tokens(100, 0)], Unit.TOKENS, 20) == Left(100, 0, 40)
    assert wait(rates, 20, tokens(100, 1)) == 40
    take(rates, 60, tokens(100, 100))


def test_nothing_is_given_back_after_a_correction_but_what_is_there() -> None:
    rates = RateLimits()
    taken = take(rates, 0, tokens(100, 10))
    rates.correct(taken, 60)
    rates.give_back(taken)
    assert rates.left([tokens(100, 0)], Unit.TOKENS, 0) == Left(100, 100, 0)


def test_people_do_not_get_into_each_others_way() -> None:
    rates = RateLimits()
    take(rates, 0, entry(1, who="ada"))
    take(rates, 0, entry(1, who="bob"))
    assert wait(rates, 0, entry(1, who="ada")) == 60


def test_what_is_left_is_that_of_the_tightest_limit() -> None:
    rates = RateLimits()
    pot = [entry(100, who="group"), entry(5, who="ada")]
    take(rates, 0, *pot)
    take(rates, 10, *pot)
    assert rates.left(pot, Unit.REQUESTS, 12) == Left(5, 3, 58)
    assert rates.left(pot, Unit.TOKENS, 12) is None
    assert rates.left([entry(7, who="new")], Unit.REQUESTS, 12) == Left(7, 7, 0)


def test_a_limit_that_was_lowered_holds_at_once() -> None:
    rates = RateLimits()
    for now in range(5):
        take(rates, now, entry(10))
    assert wait(rates, 5, entry(3)) == 57  # when two of five are left


# --- memory


def test_a_counter_is_forgotten_a_window_after_its_last_use() -> None:
    rates = RateLimits()
    for person in range(1000):
        take(rates, person / 100, entry(5, who=f"usr_{person}"))
    take(rates, 20, entry(5, who="usr_0"))
    assert len(rates) == 1000
    take(rates, 70, entry(5, who="new"))
    assert len(rates) == 2


def test_looking_and_being_refused_leave_nothing_behind() -> None:
    rates = RateLimits()
    rates.left([entry(5)], Unit.REQUESTS, 0)
    wait(rates, 0, entry(0))
    assert len(rates) == 0


def test_a_crowded_window_stays_small_and_never_admits_too_many() -> None:
    rates, most = RateLimits(), 3 * MARKS
    admitted = [at for at in (step / 64 for step in range(64 * 90)) if isinstance(rates.take([entry(most)], at), Taken)]
    assert crowd(admitted) <= most
    assert len(admitted) >= most * 90 / 60 * 0.99  # joining marks costs hardly anything
    (sliding,) = rates._slidings.values()
    assert len(sliding.marks) <= 2 * MARKS + 1
    assert sliding.total == sum(mark.amount for mark in sliding.marks)


def crowd(times: list[float]) -> int:
    """The most of these moments in any sixty seconds."""
    most, first = 0, 0
    for last, time in enumerate(times):
        while times[first] + 60 <= time:
            first += 1
        most = max(most, last - first + 1)
    return most


# --- properties: times are multiples of 1/64, so that sums of them are exact

STEPS = st.lists(st.integers(0, 64 * 40), max_size=60)


@given(st.integers(1, 6), STEPS)
@settings(deadline=None, max_examples=50)
def test_no_sixty_seconds_ever_hold_more_than_the_limit(most: int, steps: list[int]) -> None:
    rates, now, admitted = RateLimits(), 0.0, []
    for step in steps:
        now += step / 64
        if isinstance(rates.take([entry(most)], now), Taken):
            admitted.append(now)
    assert crowd(admitted) <= most


@given(st.integers(1, 6), STEPS)
@settings(deadline=None, max_examples=40)
def test_whoever_waits_as_long_as_told_is_admitted_and_not_a_moment_earlier(most: int, steps: list[int]) -> None:
    rates, now = RateLimits(), 0.0
    for step in steps:
        now += step / 64
        refused = rates.take([entry(most)], now)
        if isinstance(refused, Wait):
            assert refused.seconds is not None
            assert wait(rates, now + refused.seconds - 1 / 64, entry(most)) == 1 / 64
            now += refused.seconds
            take(rates, now, entry(most))


Deed = tuple[int, int, str, int]
DEEDS = st.lists(
    st.tuples(
        st.integers(0, 64 * 30),  # later by
        st.integers(0, 120),  # tokens
        st.sampled_from(["keep", "back", "correct"]),
        st.integers(0, 200),  # real tokens
    ),
    max_size=40,
)


@given(DEEDS)
@settings(deadline=None, max_examples=50)
def test_a_window_is_the_sum_of_what_was_taken_in_it_and_not_given_back(deeds: list[Deed]) -> None:
    rates, now = RateLimits(), 0.0
    kept: list[tuple[float, int]] = []
    for later, needs, deed, real in deeds:
        now += later / 64
        kept = [(at, amount) for at, amount in kept if at + 60 > now]
        held = sum(amount for _, amount in kept)
        taken = rates.take([tokens(100, needs)], now)
        assert isinstance(taken, Taken) == (needs == 0 or held + needs <= 100)
        if isinstance(taken, Taken):
            kept.append((now, finish(rates, taken, deed, needs, real)))
        left = rates.left([tokens(100, 0)], Unit.TOKENS, now)
        assert left is not None
        assert left.remaining == max(0, 100 - sum(amount for _, amount in kept))


def finish(rates: RateLimits, taken: Taken, deed: str, needs: int, real: int) -> int:
    if deed == "keep":
        return needs
    if deed == "back":
        rates.give_back(taken)
        return 0
    rates.correct(taken, real)
    return real


@given(STEPS)
@settings(deadline=None, max_examples=50)
def test_giving_everything_back_is_as_if_nothing_had_been_taken(steps: list[int]) -> None:
    rates, now, all_taken = RateLimits(), 0.0, []
    for step in steps:
        now += step / 64
        outcome = rates.take([entry(10), tokens(500, 50)], now)
        all_taken += [outcome] if isinstance(outcome, Taken) else []
    for taken in reversed(all_taken):
        rates.give_back(taken)
    for unit, every in ((Unit.REQUESTS, entry(10)), (Unit.TOKENS, tokens(500, 0))):
        assert rates.left([every], unit, now) == Left(every.most, every.most, 0)


def test_the_first_sixty_seconds_of_a_monotonic_clock_are_like_any_others() -> None:
    rates = RateLimits()
    take(rates, -30.5, entry(1))
    assert wait(rates, 0, entry(1)) == pytest.approx(29.5)


def test_what_others_take_counts_here_and_what_they_give_back_does_not() -> None:
    said: list[tuple[str, int, float]] = []
    mine, others = RateLimits(), RateLimits()
    others.say = lambda counter, amount, at: said.append((counter, amount, at))
    take(others, 1.0, entry(2))
    others.give_back(take(others, 2.0, entry(2)))
    for counter, amount, at in said:
        mine.note(counter, amount, at, 2.5)
    assert [amount for _, amount, _ in said] == [1, 1, -1]
    take(mine, 3.0, entry(2))
    assert wait(mine, 4.0, entry(2)) == 57.0
    take(mine, 61.5, entry(2))


def test_what_is_said_too_late_or_twice_takes_nothing_from_others() -> None:
    rates, counter = RateLimits(), entry(2).counter
    rates.note(counter, 5, 0.0, 61.0)
    rates.note(counter, -5, 0.0, 61.0)
    assert len(rates) == 0
    rates.note(counter, 1, 61.0, 61.0)
    rates.note(counter, -9, 61.0, 61.5)
    rates.note(counter, 1, 62.0, 62.0)
    take(rates, 62.0, entry(2))
    assert wait(rates, 62.0, entry(2)) == 60.0


def test_one_that_begins_late_learns_what_counts() -> None:
    rates, late = RateLimits(), RateLimits()
    rates.give_back(take(rates, 0.0, entry(9)))
    take(rates, 1.0, entry(2))
    take(rates, 30.0, entry(2), tokens(10, 4))
    found = rates.counting(61.0)
    for each in found:
        late.note(*each, now=61.0)
    assert sorted(found) == sorted([(entry(2).counter, 1, 30.0), (tokens(10, 4).counter, 4, 30.0)])
    take(late, 61.0, entry(2))
    assert wait(late, 61.0, entry(2)) == 29.0


def test_what_another_has_taken_before_counts_from_then_and_is_corrected_wherever_it_stands() -> None:
    rates, all_of_it = RateLimits(), tokens(1_000, 1)
    take(rates, 10, tokens(1_000, 100))
    rates.note(all_of_it.counter, 500, 8, 11)
    rates.note(all_of_it.counter, 50, 8, 11)
    rates.note(all_of_it.counter, -540, 8, 12)
    assert rates.left([all_of_it], Unit.TOKENS, 12) == Left(1_000, 890, 58)
    assert rates.left([all_of_it], Unit.TOKENS, 68) == Left(1_000, 900, 2)
