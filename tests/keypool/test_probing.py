"""When a key is asked about."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keypool.probing import CALM, MISSED, Schedule

T = 1_000.0


def watching(*keys: str, interval: float = 900.0, most: int = 4) -> Schedule:
    schedule = Schedule(interval, most)
    for key in keys:
        schedule.watch(key, T)
    return schedule


def settled(schedule: Schedule, now: float, jitter: float = 0.5) -> Schedule:
    for key in schedule.begin(now):
        schedule.settled(key, now, jitter)
    return schedule


def test_a_new_key_is_asked_about_at_once_and_only_once() -> None:
    schedule = watching("a")
    assert schedule.next_wakeup() == T
    assert schedule.begin(T) == ["a"]
    assert schedule.begin(T) == []
    assert schedule.next_wakeup() is None


def test_watching_a_watched_key_changes_nothing() -> None:
    schedule = settled(watching("a"), T)
    schedule.watch("a", T + 1)
    assert schedule.begin(T + 1) == []


@pytest.mark.parametrize(("jitter", "due"), [(0.0, 810.0), (0.5, 900.0), (1.0, 990.0)])
def test_a_settled_key_is_asked_again_after_the_interval_give_or_take_a_tenth(jitter: float, due: float) -> None:
    schedule = settled(watching("a"), T, jitter)
    assert schedule.next_wakeup() == pytest.approx(T + due)
    assert schedule.begin(T + due - 1) == []
    assert schedule.begin(T + due + 0.001) == ["a"]


def test_without_an_interval_a_settled_key_is_asked_about_on_suspicion_only() -> None:
    schedule = settled(watching("a", interval=0.0), T)
    assert schedule.next_wakeup() is None
    schedule.suspect("a", T + 100)
    assert schedule.next_wakeup() == T + 100


def test_a_key_without_a_clear_answer_is_asked_again_ever_more_slowly_until_it_gives_one() -> None:
    schedule, now, waits = watching("a"), T, []
    for _ in range(len(MISSED) + 2):
        assert schedule.begin(now) == ["a"]
        schedule.missed("a", now)
        due = schedule.next_wakeup()
        assert due is not None
        waits.append(due - now)
        now = due
    assert waits == [*MISSED, 60.0, 60.0]
    settled(schedule, now)
    schedule.want("a", now)
    schedule.begin(now)
    schedule.missed("a", now)
    assert schedule.next_wakeup() == now + 1.0


def test_suspicion_is_looked_into_at_once_and_a_burst_of_it_is_one_asking() -> None:
    schedule = settled(watching("a"), T)
    for moment in (0.1, 0.2, 0.3):
        schedule.suspect("a", T + moment)
    assert schedule.next_wakeup() == T + 0.1
    settled(schedule, T + 0.3)
    for moment in (0.4, 5.0):
        schedule.suspect("a", T + moment)
    assert schedule.next_wakeup() == T + 0.1 + CALM
    settled(schedule, T + 0.1 + CALM)
    schedule.suspect("a", T + 500)
    assert schedule.begin(T + 500) == ["a"]


def test_suspicion_during_an_asking_leads_to_another_one_some_time_later() -> None:
    schedule = watching("a")
    schedule.begin(T)
    schedule.suspect("a", T)
    schedule.settled("a", T + 1, 0.5)
    assert schedule.next_wakeup() == T + 1 + CALM


def test_the_operator_is_answered_at_once_and_during_an_asking_right_after_it() -> None:
    schedule = settled(watching("a"), T)
    schedule.want("a", T + 1)
    assert schedule.begin(T + 1) == ["a"]
    schedule.want("a", T + 2)
    assert schedule.begin(T + 2) == []
    schedule.settled("a", T + 3, 0.5)
    assert schedule.begin(T + 3) == ["a"]


def test_no_more_than_so_many_are_asked_about_at_a_time_in_the_order_in_which_they_came() -> None:
    schedule = watching(*"cab", most=2)
    assert schedule.begin(T) == ["c", "a"]
    assert schedule.next_wakeup() is None
    schedule.settled("c", T, 0.5)
    assert schedule.begin(T) == ["b"]


def test_progress_counts_the_keys_that_were_asked_about() -> None:
    schedule = watching("a", "b", most=1)
    assert schedule.progress() == (0, 2)
    assert settled(schedule, T).progress() == (1, 2)
    schedule.begin(T)
    schedule.missed("b", T)
    assert schedule.progress() == (2, 2)


def test_a_key_that_was_forgotten_is_new_when_it_comes_back() -> None:
    schedule = settled(watching("a"), T)
    schedule.forget("a")
    schedule.forget("a")
    for verb in (schedule.suspect, schedule.want, schedule.missed):
        verb("a", T)
    schedule.settled("a", T, 0.5)
    assert schedule.progress() == (0, 0)
    schedule.watch("a", T + 1)
    assert schedule.begin(T + 1) == ["a"]


VERBS = ("watch", "forget", "suspect", "want", "settled", "missed", "begin")
STEPS = st.lists(st.tuples(st.sampled_from(VERBS), st.sampled_from("abcd"), st.floats(0.0, 100.0)), max_size=40)


@given(STEPS)
@settings(deadline=None, max_examples=50)
def test_whatever_happens_askings_are_bounded_and_the_wakeup_is_exact(steps: list[tuple[str, str, float]]) -> None:
    schedule, asking, now = Schedule(300.0, 2), set[str](), T
    for verb, key, elapsed in steps:
        now += elapsed
        if verb == "forget":
            schedule.forget(key)
            asking.discard(key)
        elif verb in ("watch", "suspect", "want"):
            getattr(schedule, verb)(key, now)
        elif verb == "begin":
            due = schedule.next_wakeup()
            begun = schedule.begin(now)
            assert bool(begun) == (due is not None and due <= now)
            assert asking.isdisjoint(begun)
            asking.update(begun)
        elif key in asking:
            asking.discard(key)
            _ = schedule.missed(key, now) if verb == "missed" else schedule.settled(key, now, 0.5)
        assert len(asking) <= 2
