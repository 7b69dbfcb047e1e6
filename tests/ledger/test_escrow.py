"""What is taken in advance: how much, when, and when it goes back. Whole histories are played in `tests/accounting`."""

from __future__ import annotations

import pytest

from server.ledger.escrow import (
    AT_ONCE,
    BARRED_MS,
    LIFETIME_MS,
    LONGEST_MS,
    MANY,
    SECONDS,
    SEEN_MS,
    SHARE,
    WATCHED,
    Escrows,
)
from server.ledger.quota import Charge, Escrowed, Hold, Release, Reservation, Reserved, Trim

NOW = 1_800_000_000_000
BEAT = 1_000
LIMIT = 100_000
FIRST = "escrow/me/1"


def hold(amount: int, counter: str = "pot", limit: int = LIMIT, ends_at: int | None = None) -> Hold:
    return Hold(counter, amount, limit, ends_at)


def asked(it: Escrows, *holds: Hold, now: int = NOW) -> None:
    """One who asked for this, and went to the store."""
    assert it.hold("first", holds, now) is None


def beat(
    it: Escrows, now: int = NOW, taken: int = 0, holders: tuple[str, ...] = (), calls: int = 0
) -> list[Reservation]:
    """A heartbeat, at which every counter stands like this; what is to be taken."""
    for counter in it.beat(now):
        it.looked(Escrowed(counter, taken, 0, frozenset(holders), calls), now)
    return it.due(now)


def granted(it: Escrows, now: int = NOW, taken: int = 0) -> None:
    for each in beat(it, now, taken):
        it.given(each.request_id, taken + each.holds[0].amount, now)


def in_escrow(counter: str = "pot", outage: int = 0, ends_at: int | None = None) -> Escrows:
    """With an escrow of 400 where requests hold 100."""
    it = Escrows("me", lambda counter, left: outage)
    asked(it, hold(100, counter, ends_at=ends_at))
    granted(it)
    assert it.live == 1
    return it


def test_what_is_taken_is_what_the_last_seconds_asked_for() -> None:
    it = Escrows("me", lambda counter, left: 0)
    for _ in range(20):
        asked(it, hold(10))
    (escrow,) = beat(it)
    assert escrow.holds[0].amount == SECONDS * 200
    assert (escrow.request_id, escrow.holder, escrow.expires_at) == (FIRST, "me", NOW + LIFETIME_MS)
    assert beat(it) == [], "it is asked for already"


def test_who_asks_rarely_has_a_few_usual_requests_in_escrow() -> None:
    it = Escrows("me", lambda counter, left: 0)
    asked(it, hold(10))
    it.beat(NOW)
    for beats in range(1, 20):
        it.beat(NOW + beats * BEAT)
    (escrow,) = beat(it, NOW + 20 * BEAT)
    assert escrow.holds[0].amount == MANY * 10


def test_where_the_store_is_remote_an_outage_is_provided_for() -> None:
    it = Escrows("me", lambda counter, left: left // 50)
    asked(it, hold(10))
    assert [each.holds[0].amount for each in beat(it, taken=50_000)] == [1_000]


@pytest.mark.parametrize("others", [0, 1, 4])
def test_it_is_at_most_its_share_of_what_is_left_and_the_store_compares_that(others: int) -> None:
    it = Escrows("me", lambda counter, left: LIMIT)
    asked(it, hold(10))
    (escrow,) = beat(it, taken=20_000, holders=("me", *map(str, range(others))))
    (taken,) = escrow.holds
    assert taken.amount == 80_000 // (SHARE * (others + 1))
    assert LIMIT - taken.limit + taken.amount == 80_000, "admitted as long as so much is left"


def test_near_a_limit_nothing_is_taken() -> None:
    left = SHARE * MANY * 10
    for taken, wanted in ((LIMIT - left, 1), (LIMIT - left + 1, 0), (LIMIT, 0), (2 * LIMIT, 0)):
        it = Escrows("me", lambda counter, left: 0)
        asked(it, hold(10))
        assert len(beat(it, taken=taken)) == wanted


def test_nothing_is_taken_before_it_is_known_what_is_left() -> None:
    it = Escrows("me", lambda counter, left: 0)
    asked(it, hold(10))
    assert it.beat(NOW) == ["pot"]
    assert it.due(NOW) == []


def test_a_request_holds_on_all_its_counters_or_on_none() -> None:
    it = in_escrow()
    assert it.hold("r1", [hold(100, "jar")], NOW) is None
    granted(it)
    assert it.hold("r2", [hold(400), hold(100, "jar")], NOW) is not None
    assert it.hold("r3", [hold(1), hold(100, "jar")], NOW) is None
    assert it.hold("r3", [hold(300, "jar")], NOW) == Reserved((400,))
    assert it.hold("r4", [], NOW) == Reserved(())


def test_what_a_request_holds_already_it_holds_once() -> None:
    it = in_escrow()
    for _ in range(2):
        assert it.hold("r1", [hold(300)], NOW) == Reserved((300,))
    assert it.hold("r2", [hold(100)], NOW) == Reserved((400,))


def test_a_charge_draws_what_was_held_and_the_rest_is_free_again() -> None:
    it = in_escrow()
    it.hold("r1", [hold(300)], NOW)
    assert it.draws("r1", [Charge("pot", 120), Charge("jar", 1)]) == (Charge("pot", 120, FIRST, 120), Charge("jar", 1))
    assert it.settle("r1", [Charge("pot", 120)]) == (Charge("pot", 120, FIRST, 120),)
    assert it.in_use("pot") == 120
    assert it.hold("r2", [hold(281)], NOW) is None
    assert it.hold("r2", [hold(280)], NOW) is not None
    it.written("r1")
    assert it.in_use("pot") == 280


def test_what_was_used_beyond_the_hold_is_not_drawn() -> None:
    it = in_escrow()
    it.hold("r1", [hold(100)], NOW)
    assert it.settle("r1", [Charge("pot", 150)]) == (Charge("pot", 150, FIRST, 100),)
    assert it.settle("r1", [Charge("pot", 150)]) == (Charge("pot", 150),), "it holds nothing any more"


def test_who_was_never_sent_frees_everything() -> None:
    it = in_escrow()
    it.hold("r1", [hold(400)], NOW)
    assert it.settle("r1", ()) == ()
    assert (it.in_use("pot"), [*it.holding]) == (0, [])
    assert it.hold("r2", [hold(400)], NOW) is not None


def test_it_is_renewed_when_half_of_it_is_used_and_the_old_one_goes_back() -> None:
    it = in_escrow()
    for beats in (1, 2):
        it.hold(f"r{beats}", [hold(100)], NOW)
        assert beat(it, NOW + beats * BEAT, taken=400) == []
    it.hold("r3", [hold(100)], NOW)
    granted(it, NOW + 3 * BEAT, taken=400)
    assert it.returns() == [Trim(FIRST, 300)]
    assert it.returns() == []
    it.settle("r1", [Charge("pot", 50)])
    it.settle("r2", ())
    it.settle("r3", ())
    assert it.returns() == [Trim(FIRST, 50)]
    it.written("r1")
    assert it.returns() == [Release(FIRST)]
    assert it.returns() == []


def test_it_is_renewed_early_enough_for_the_longest_request() -> None:
    it = in_escrow()
    quarter = (LIFETIME_MS - LONGEST_MS) // 2
    asked_at = NOW + quarter
    for at in range(NOW + BEAT, asked_at, SEEN_MS // 2):
        it.settle("r", it.hold("r", [hold(100)], at) and ())
        assert beat(it, at) == []
    assert len(beat(it, asked_at)) == 1
    assert it.hold("last", [hold(1)], NOW + LIFETIME_MS - LONGEST_MS) is not None
    assert it.hold("late", [hold(1)], NOW + LIFETIME_MS - LONGEST_MS + 1) is None


def test_a_counter_that_is_not_used_any_more_needs_no_escrow() -> None:
    it = in_escrow()
    assert beat(it, NOW + SEEN_MS - 1) == []
    assert it.live == 1
    assert it.beat(NOW + SEEN_MS) == []
    assert (it.live, it.returns()) == (0, [Release(FIRST)])


def test_a_window_that_ends_ends_its_escrow() -> None:
    it = in_escrow("day/1", ends_at=NOW + 5 * BEAT)
    it.hold("r1", [hold(100, "day/1", ends_at=NOW + 5 * BEAT)], NOW)
    assert it.beat(NOW + 5 * BEAT) == []
    assert it.returns() == [Trim(FIRST, 100)]
    assert it.settle("r1", [Charge("day/1", 90)]) == (Charge("day/1", 90, FIRST, 90),)
    it.written("r1")
    assert it.returns() == [Release(FIRST)]


def test_a_lower_limit_ends_it_at_its_next_use_and_any_change_at_once() -> None:
    it = in_escrow()
    assert it.hold("r1", [hold(100, limit=LIMIT - 1)], NOW) is None
    assert it.returns() == [Release(FIRST)]
    it = in_escrow()
    it.end_all()
    assert (it.live, it.returns()) == (0, [Release(FIRST)])


def test_who_is_called_back_gives_back_and_takes_nothing_for_a_while() -> None:
    it = in_escrow()
    it.hold("r1", [hold(100)], NOW)
    assert beat(it, NOW + BEAT, calls=1) == []
    assert it.returns() == [Trim(FIRST, 100)]
    assert beat(it, NOW + BEAT + BARRED_MS - 1, calls=1) == []
    assert len(beat(it, NOW + BEAT + BARRED_MS, calls=1)) == 1


def test_calls_from_before_concern_no_one() -> None:
    it = Escrows("me", lambda counter, left: 0)
    asked(it, hold(100))
    assert len(beat(it, calls=7)) == 1


def test_who_calls_others_back_gives_back_too() -> None:
    it = in_escrow()
    assert it.call_back("pot", NOW) == [Release(FIRST)]
    assert it.call_back("pot", NOW) == it.call_back("other", NOW) == []
    assert beat(it, NOW + BEAT) == []


def test_a_call_that_comes_while_one_is_taken_ends_it_at_once() -> None:
    it = Escrows("me", lambda counter, left: 0)
    asked(it, hold(100))
    (escrow,) = beat(it)
    it.call_back("pot", NOW)
    it.given(escrow.request_id, 400, NOW)
    assert (it.live, it.returns()) == (0, [Release(FIRST)])


def test_what_the_store_refuses_is_asked_for_again_when_it_is_known_what_is_left() -> None:
    it = Escrows("me", lambda counter, left: 0)
    asked(it, hold(100))
    (escrow,) = beat(it)
    it.refused(escrow.request_id)
    assert it.due(NOW) == []
    assert [each.request_id for each in beat(it, NOW + BEAT)] == ["escrow/me/2"]
    assert it.returns() == []


def test_what_is_in_doubt_is_given_back_and_never_used() -> None:
    it = Escrows("me", lambda counter, left: 0)
    asked(it, hold(100))
    (escrow,) = beat(it)
    it.doubted(escrow.request_id)
    assert it.hold("r1", [hold(1)], NOW) is None
    assert it.returns() == [Release(FIRST)]


def test_no_more_counters_are_watched_than_memory_is_meant_for() -> None:
    it = Escrows("me", lambda counter, left: 0)
    for number in range(WATCHED + 5):
        it.hold("r", [hold(1, f"pot/{number}")], NOW)
    assert len(it.beat(NOW)) == WATCHED
    assert it.seen([hold(1, f"pot/{WATCHED + 1}")], [5]) == Reserved((5,))
    assert [len(beat(it, NOW + beats * BEAT)) for beats in (1, 2)] == [AT_ONCE, AT_ONCE]
