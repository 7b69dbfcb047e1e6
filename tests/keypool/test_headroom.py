"""The last slots of a model are kept for those who have less than a fair share of them."""

from __future__ import annotations

import pytest

from keypool.estimates import Tokens
from keypool.pool import Grant, Pool, QueueLimits
from tests.keypool.making import a_key, an_ask

SLOTS = 16


def flooded(limits: QueueLimits) -> Pool:
    """One person has asked for more than there is."""
    pool = Pool([a_key("k1", SLOTS)], limits)
    for number in range(2 * SLOTS):
        pool.submit(an_ask(f"flood{number}", "flo"), 0.0)
    return pool


def running(pool: Pool, person: str) -> int:
    return sum(ticket.key is not None and ticket.person == person for ticket in pool.tickets.values())


def test_a_flood_leaves_the_last_slot_free_and_who_comes_next_has_it_at_once() -> None:
    pool = flooded(QueueLimits())
    assert running(pool, "flo") == SLOTS - 1
    _, decisions = pool.submit(an_ask("polite", "ann"), 1.0)
    assert [type(decision) for decision in decisions] == [Grant]
    assert running(pool, "ann") == 1


@pytest.mark.parametrize(
    ("slots", "kept"), [(0, 0), (1, 0), (7, 0), (8, 1), (9, 1), (31, 1), (32, 2), (47, 2), (48, 3), (160, 10)]
)
def test_from_eight_slots_on_one_is_kept_and_a_sixteenth_of_many(slots: int, kept: int) -> None:
    assert QueueLimits().headroom_of(slots) == kept
    assert QueueLimits(headroom=5).headroom_of(slots) == 5


@pytest.mark.parametrize(("limits", "slots"), [(QueueLimits(headroom=0), SLOTS), (QueueLimits(headroom=4), SLOTS - 4)])
def test_the_operator_says_how_many_are_kept(limits: QueueLimits, slots: int) -> None:
    assert running(flooded(limits), "flo") == slots


def test_a_small_pool_keeps_nothing_by_itself() -> None:
    pool = Pool([a_key("k1", 4)])
    for number in range(8):
        pool.submit(an_ask(f"flood{number}", "flo"), 0.0)
    assert running(pool, "flo") == 4


def test_who_was_served_much_more_does_not_pass_a_head_that_is_held_back() -> None:
    """Else the slots in use would decide, instead of what each person was served."""
    pool = flooded(QueueLimits())
    rich, _ = pool.submit(an_ask("rich", "ann", input_tokens=1_000_000), 1.0)
    assert rich.key is not None, "she is new, and near"
    _, decisions = pool.submit(an_ask("again", "ann"), 2.0)
    assert decisions == []
    flow = pool.areas.queue("m").fair.flows
    assert flow["ann"].counter > flow["flo"].counter
    first = next(ticket for ticket in pool.tickets.values() if ticket.person == "flo" and ticket.key is not None)
    ended = pool.break_off(rich, Tokens(1_000_000, 0, 100), 3.0)
    assert ended == [], "the slot that is free again is the last one, and she owes more than one request"
    freed = [decision.ticket.person for decision in pool.cancel(first, 4.0) if isinstance(decision, Grant)]
    assert freed == ["flo"], "of two free slots the head takes one"
