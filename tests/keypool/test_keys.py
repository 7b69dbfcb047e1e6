"""The transition table of a key, and what a key admits while it rests."""

from __future__ import annotations

import pytest

from keypool.health import (
    DEAD,
    FIRST_REST,
    FOREVER,
    LONGEST_REST,
    RESTING,
    SLOW_REST,
    TRANSITIONS,
    TRIAL_SECONDS,
    KeyEvent,
    KeyHealth,
    KeyState,
)
from keypool.keys import Key
from keypool.pool import Grant, Pool
from keypool.verdict import UNREACHABLE
from tests.keypool.making import MODEL, a_key, an_ask

TROUBLE = (KeyEvent.RATE_LIMITED, KeyEvent.FAILED, KeyEvent.NO_SUCH_MODEL, KeyEvent.OUT_OF_QUOTA, KeyEvent.KEY_REFUSED)
ORDINARY = (KeyEvent.RATE_LIMITED, KeyEvent.FAILED)


def resting(until: float = 10.0) -> KeyHealth:
    return KeyHealth(KeyState.COOLING, since=0.0, until=until, failures=1)


def test_every_state_knows_every_event_and_nothing_else_is_in_the_table() -> None:
    assert set(TRANSITIONS) == {(state, event) for state in KeyState for event in KeyEvent}


def test_every_state_can_be_reached_from_unchecked() -> None:
    reached = {KeyState.UNCHECKED}
    for _ in KeyState:
        reached |= {TRANSITIONS[state, event] for state in reached for event in KeyEvent}
    assert reached == set(KeyState)


@pytest.mark.parametrize("state", [KeyState.REVOKED, KeyState.PAUSED])
@pytest.mark.parametrize("event", [event for event in KeyEvent if event is not KeyEvent.RESUME])
def test_a_revoked_or_paused_key_comes_back_only_by_the_operator(state: KeyState, event: KeyEvent) -> None:
    assert TRANSITIONS[state, event] in DEAD


@pytest.mark.parametrize("state", [KeyState.REVOKED, KeyState.PAUSED])
def test_the_operator_brings_a_dead_key_back_as_unchecked(state: KeyState) -> None:
    assert TRANSITIONS[state, KeyEvent.RESUME] is KeyState.UNCHECKED


@pytest.mark.parametrize("state", [state for state in KeyState if state not in DEAD])
def test_an_answer_makes_every_living_key_ready(state: KeyState) -> None:
    assert TRANSITIONS[state, KeyEvent.ANSWERED] is KeyState.READY


@pytest.mark.parametrize("event", TROUBLE)
@pytest.mark.parametrize("state", list(KeyState))
def test_no_trouble_makes_a_key_usable(state: KeyState, event: KeyEvent) -> None:
    assert TRANSITIONS[state, event] in RESTING | DEAD


@pytest.mark.parametrize("state", list(KeyState))
def test_a_dead_standing_opens_only_when_the_operator_says_so(state: KeyState) -> None:
    assert (KeyHealth(state).opens_at() == FOREVER) is (state in DEAD)


@pytest.mark.parametrize("event", ORDINARY)
def test_a_failure_rests_for_a_second_and_each_failed_trial_doubles_it_up_to_a_minute(event: KeyEvent) -> None:
    standing, rests, now = KeyHealth(), [], 0.0
    for _ in range(8):
        standing.apply(event, now)
        rests.append(standing.until - now)
        now = standing.until
    assert rests == [FIRST_REST, 2.0, 4.0, 8.0, 16.0, 32.0, LONGEST_REST, LONGEST_REST]


def test_an_answer_makes_the_next_rest_short_again() -> None:
    standing = resting()
    standing.apply(KeyEvent.FAILED, 10.0)
    standing.apply(KeyEvent.ANSWERED, 20.0)
    standing.apply(KeyEvent.FAILED, 30.0)
    assert standing.until == 30.0 + FIRST_REST


def test_failures_of_one_burst_count_once() -> None:
    """Eight requests in flight that fail together say the same thing once: the key rests one second, not a minute."""
    standing = KeyHealth()
    for step in range(8):
        standing.apply(KeyEvent.FAILED, 0.01 * step)
    assert standing.failures == 1
    assert standing.until <= 0.07 + FIRST_REST


def test_a_rest_that_the_provider_asked_for_is_not_cut_short_by_a_later_failure() -> None:
    standing = KeyHealth()
    standing.apply(KeyEvent.RATE_LIMITED, 0.0, 45.0)
    standing.apply(KeyEvent.FAILED, 0.5)
    assert standing.until == 45.0


def test_a_model_that_a_key_may_not_use_is_not_tried_early_because_of_a_rate_limit() -> None:
    standing = KeyHealth()
    standing.apply(KeyEvent.NO_SUCH_MODEL, 0.0)
    standing.apply(KeyEvent.RATE_LIMITED, 1.0)
    assert standing.until == SLOW_REST


def test_the_providers_own_rest_is_taken_as_asked() -> None:
    standing = KeyHealth()
    standing.apply(KeyEvent.RATE_LIMITED, 5.0, 7.5)
    assert standing.until == 12.5


@pytest.mark.parametrize("event", [KeyEvent.OUT_OF_QUOTA, KeyEvent.NO_SUCH_MODEL])
def test_what_will_not_change_soon_is_looked_at_again_each_hour(event: KeyEvent) -> None:
    standing = KeyHealth()
    standing.apply(event, 5.0, 1.0)
    assert standing.until == 5.0 + SLOW_REST


def test_a_resting_standing_admits_one_trial_from_the_very_instant_it_opens() -> None:
    standing = resting(until=10.0)
    assert not standing.admits(9.999)
    assert standing.admits(10.0)
    standing.trial = "t1"
    assert not standing.admits(11.0)


def test_since_says_when_the_state_began_not_when_it_was_last_confirmed() -> None:
    standing = KeyHealth()
    standing.apply(KeyEvent.ANSWERED, 3.0)
    standing.apply(KeyEvent.ANSWERED, 9.0)
    assert standing.since == 3.0


def trial_pool() -> tuple[Pool, Key]:
    """A key of two slots whose rest is over at 1.0: the next request is its trial."""
    key = a_key(slots=2)
    pool = Pool([key])
    ticket, _ = pool.submit(an_ask("first", "ann"), 0.0)
    pool.failed(ticket, UNREACHABLE, 0.0)
    pool.cancel(ticket, 0.0)
    assert key.standing(MODEL).until == 1.0
    return pool, key


def test_only_one_request_at_a_time_tries_a_key_that_rested() -> None:
    pool, key = trial_pool()
    pool.submit(an_ask("a", "ann"), 1.0)
    _, decisions = pool.submit(an_ask("b", "bob"), 1.0)
    assert decisions == []
    assert key.running == 1


def test_a_good_trial_opens_the_key_for_those_who_wait() -> None:
    pool, key = trial_pool()
    trial, _ = pool.submit(an_ask("a", "ann"), 1.0)
    other, _ = pool.submit(an_ask("b", "bob"), 1.0)
    assert pool.answered(trial, 2.0) == [Grant(other, key)]
    assert key.state(MODEL) is KeyState.READY


def test_a_failed_trial_doubles_the_rest() -> None:
    pool, key = trial_pool()
    trial, _ = pool.submit(an_ask("a", "ann"), 1.0)
    assert pool.failed(trial, UNREACHABLE, 2.0) == []
    assert key.standing(MODEL).until == 4.0
    assert key.standing(MODEL).trial is None


def test_a_cancelled_trial_lets_the_next_one_try() -> None:
    pool, key = trial_pool()
    trial, _ = pool.submit(an_ask("a", "ann"), 1.0)
    other, _ = pool.submit(an_ask("b", "bob"), 1.0)
    assert pool.cancel(trial, 2.0) == [Grant(other, key)]
    assert key.standing(MODEL).trial == "b"


def test_a_failure_of_what_was_sent_before_the_rest_does_not_let_a_second_trial_in() -> None:
    key = a_key(slots=3)
    pool = Pool([key])
    early, _ = pool.submit(an_ask("early", "ann"), 0.0)
    late, _ = pool.submit(an_ask("late", "eve"), 0.0)
    pool.failed(early, UNREACHABLE, 0.0)
    assert [grant.ticket for grant in pool.tick(1.0) if isinstance(grant, Grant)] == [early], "the trial"
    pool.failed(late, UNREACHABLE, 1.5)
    assert pool.tick(20.0) == [], "the trial is still under way"
    assert pool.answered(early, 21.0) == [Grant(late, key)]


def test_a_trial_that_does_not_end_is_not_the_only_one_for_ever() -> None:
    """Else one request that hangs keeps a key closed that is well again."""
    pool, key = trial_pool()
    pool.submit(an_ask("hangs", "eve"), 1.0)
    other, _ = pool.submit(an_ask("b", "bob"), 2.0)
    due = pool.next_wakeup()
    assert due == 1.0 + TRIAL_SECONDS
    assert pool.tick(due) == [Grant(other, key)]
    pool.answered(other, due + 1.0)
    assert key.state(MODEL) is KeyState.READY


def test_an_answer_to_what_was_sent_before_the_rest_proves_nothing() -> None:
    key = a_key(slots=2)
    pool = Pool([key])
    slow, _ = pool.submit(an_ask("slow", "ann"), 0.0)
    quick, _ = pool.submit(an_ask("quick", "bob"), 0.0)
    pool.failed(quick, UNREACHABLE, 0.5)
    assert pool.answered(slow, 0.7) == []
    assert key.state(MODEL) is KeyState.COOLING


def test_a_stream_that_outlives_a_revocation_does_not_revive_the_key() -> None:
    key = a_key()
    pool = Pool([key])
    ticket, _ = pool.submit(an_ask("a", "ann"), 0.0)
    pool.learn(key.id, KeyEvent.KEY_REFUSED, 1.0)
    pool.answered(ticket, 2.0)
    assert key.state(MODEL) is KeyState.REVOKED


def test_trouble_with_one_model_leaves_the_others_usable() -> None:
    key = a_key(models=("m", "n"))
    key.apply(KeyEvent.RATE_LIMITED, "m", 0.0, 30.0)
    assert not key.admits("m", 1.0)
    assert key.admits("n", 1.0)


def test_trouble_with_the_whole_key_closes_every_model() -> None:
    key = a_key(models=("m", "n"))
    key.apply(KeyEvent.OUT_OF_QUOTA, "m", 0.0)
    assert not key.admits("n", 1.0)
    assert key.state("n") is KeyState.EXHAUSTED


def test_a_key_opens_when_both_the_key_and_the_model_have_rested() -> None:
    key = a_key()
    key.apply(KeyEvent.OUT_OF_QUOTA, MODEL, 0.0)
    key.apply(KeyEvent.RATE_LIMITED, MODEL, 0.0, 5000.0)
    assert key.opens_at(MODEL) == 5000.0


def test_a_full_key_admits_no_request() -> None:
    key = a_key(slots=1)
    key.running = 1
    assert not key.admits(MODEL, 0.0)


def test_a_key_that_the_operator_topped_up_need_not_rest_for_the_hour() -> None:
    key = a_key()
    key.apply(KeyEvent.OUT_OF_QUOTA, MODEL, 0.0)
    key.apply(KeyEvent.RESUME, MODEL, 60.0)
    assert key.admits(MODEL, 60.0)
