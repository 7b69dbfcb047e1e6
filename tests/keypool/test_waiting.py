"""How fast a queue is served, and how a forecast learns from what it got wrong."""

from __future__ import annotations

from math import exp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keypool.pool import Pool
from keypool.waiting import EXPERIENCE, MEMORY, USUAL_ANSWER, Opening, ServiceRate
from tests.keypool.making import MODEL, a_key, a_ticket


def served(ends: int, every: float, cost: float, start: float = 0.0) -> ServiceRate:
    """A queue in which requests wait all the time."""
    rate = ServiceRate()
    rate.idle(start)
    for step in range(1, ends + 1):
        rate.ended(cost, start + step * every)
    return rate


# Whose rate

SLOW, FAST = 10.0, 1.0  # seconds between two ends


@pytest.mark.parametrize(
    ("ends", "gap"), [(100, SLOW), (4, SLOW), (3, FAST)], ids=["known", "just long enough", "the model is too new"]
)
def test_a_model_that_waits_for_limits_alone_has_a_rate_of_its_own(ends: int, gap: float) -> None:
    pool = Pool([a_key()])
    queue = pool.areas.queue(MODEL)
    queue.rate, queue.area.rate = served(ends, SLOW, 100.0), served(100, FAST, 100.0)
    assert (queue.rate.seconds >= EXPERIENCE) is (ends > 3)
    assert queue.forecast(a_ticket("t", "ann"), [Opening(0.0, 1)], 0.0, full=False).seconds == pytest.approx(gap)


# The rate


def test_before_anything_was_seen_every_slot_is_thought_to_answer_in_the_usual_time() -> None:
    rate = ServiceRate()
    assert rate.per_second(8, 500.0) == 8 * 500.0 / USUAL_ANSWER
    assert rate.gap() == 0.0


@pytest.mark.parametrize(("slots", "typical"), [(0, 500.0), (8, 0.0), (0, 0.0)])
def test_a_rate_is_never_zero_so_that_it_can_be_divided_by(slots: int, typical: float) -> None:
    assert ServiceRate().per_second(slots, typical) > 0.0
    assert served(3, 1.0, cost=0.0).per_second(slots, typical) > 0.0


@pytest.mark.parametrize("ends", [1, 10, 1000])
def test_a_steady_service_is_measured_exactly(ends: int) -> None:
    rate = served(ends, every=2.0, cost=300.0)
    assert rate.per_second(1, 1.0) == pytest.approx(150.0)
    assert rate.gap() == pytest.approx(2.0)


def test_ends_at_one_instant_count_together() -> None:
    rate = served(1, every=4.0, cost=100.0)
    rate.ended(100.0, 4.0)
    assert rate.per_second(1, 1.0) == pytest.approx(50.0)
    assert rate.gap() == pytest.approx(2.0)


def test_the_first_end_ever_has_nothing_to_be_measured_from() -> None:
    rate = ServiceRate()
    rate.ended(100.0, 50.0)
    assert rate.per_second(2, 10.0) == 2 * 10.0 / USUAL_ANSWER
    rate.ended(100.0, 60.0)
    assert rate.per_second(1, 10.0) == 10.0
    assert rate.per_second(2, 10.0) == 20.0, "it is learnt for each open slot"


def test_an_hour_without_a_waiting_request_is_not_slow_service() -> None:
    rate = served(100, every=1.0, cost=100.0)
    rate.idle(3700.0)
    rate.ended(100.0, 3701.0)
    assert rate.per_second(1, 1.0) == pytest.approx(100.0)


def test_a_change_of_pace_is_believed_within_minutes_and_the_older_pace_fades_as_the_memory_says() -> None:
    rate = served(1000, every=1.0, cost=100.0)
    for step in range(1, 121):
        rate.ended(50.0, 1000.0 + step)
    faded = exp(-120.0 / MEMORY)
    assert rate.per_second(1, 1.0) == pytest.approx(50.0 + 50.0 * faded, rel=0.01)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0.001, 1000.0), st.floats(0.1, 1e6)), min_size=1, max_size=50))
def test_the_rate_lies_between_the_slowest_and_the_fastest_that_was_seen(ends: list[tuple[float, float]]) -> None:
    rate, now = ServiceRate(), 0.0
    rate.idle(now)
    for pause, cost in ends:
        now += pause
        rate.ended(cost, now)
    paces = [cost / pause for pause, cost in ends]
    assert min(paces) * 0.999 <= rate.per_second(1, 1.0) <= max(paces) * 1.001
    assert min(pause for pause, _ in ends) * 0.999 <= rate.gap() <= max(pause for pause, _ in ends) * 1.001
