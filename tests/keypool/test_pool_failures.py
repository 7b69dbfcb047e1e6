"""Scenarios on the pool, in virtual time: what becomes of requests when keys fail."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from keypool.estimates import Tokens
from keypool.health import SLOW_REST, KeyEvent
from keypool.pool import GiveUp, Pool, Reason
from keypool.retries import FLOOR, RetryBudget
from keypool.verdict import CALLERS_FAULT, NONSENSE, UNREACHABLE, USED_UP, Verdict
from tests.keypool.making import MODEL, NO_MODEL, NO_QUOTA, REFUSED, a_key, an_ask, broken, limited, simulator

# Failures


@pytest.mark.parametrize("verdict", [REFUSED, NO_QUOTA, NO_MODEL, UNREACHABLE, limited(), limited(30.0)])
def test_what_failed_on_one_key_is_sent_with_another_at_once(verdict: Verdict) -> None:
    sim = simulator(a_key("k1", 2), a_key("k2", 1))
    sim.ask(0.0, an_ask("a", "ann"), service=1.0, fate=broken(k1=verdict))
    sim.run()
    assert sim.requests["a"].grants == [(0.0, "k1"), (1.0, "k2")]
    assert sim.ends() == {"a": "answered"}
    sim.assert_empty()


def test_what_failed_waits_for_an_untried_key_rather_than_use_the_one_that_failed_it() -> None:
    sim = simulator(a_key("k1", 2), a_key("k2", 1))
    sim.ask(0.0, an_ask("a", "ann"), service=5.0, fate=broken(k1=limited(0.0)))
    sim.ask(0.0, an_ask("b", "bob"), service=20.0)
    sim.run()
    assert sim.requests["a"].grants == [(0.0, "k1"), (20.0, "k2")]
    sim.assert_empty()


def test_the_last_key_is_tried_again_when_it_has_rested() -> None:
    sim = simulator(a_key("k1", 1))
    verdicts = iter([UNREACHABLE, UNREACHABLE, None])
    sim.ask(0.0, an_ask("a", "ann"), service=5.0, fate=lambda grant: next(verdicts))
    sim.run()
    assert [when for when, _ in sim.requests["a"].grants] == [0.0, 5.0 + 1.0, 11.0 + 2.0]
    assert sim.ends() == {"a": "answered"}
    sim.assert_empty()


def test_three_attempts_are_the_most_where_failures_are_not_free() -> None:
    sim = simulator(*[a_key(f"k{number}", 1) for number in range(9)])
    sim.ask(0.0, an_ask("a", "ann"), service=1.0, fate=lambda grant: UNREACHABLE)
    sim.run()
    assert len(sim.requests["a"].grants) == 3
    assert sim.ends() == {"a": "given up"}
    sim.assert_empty()


def test_free_retries_go_through_every_key_and_spend_no_budget() -> None:
    sim = simulator(*[a_key(f"k{number}", 1) for number in range(9)])
    sim.ask(0.0, an_ask("a", "ann"), service=1.0, fate=lambda grant: None if grant.key.id == "k8" else NO_QUOTA)
    sim.run()
    assert [key for _, key in sim.requests["a"].grants] == [f"k{number}" for number in range(9)]
    assert sim.ends() == {"a": "answered"}
    assert sim.pool.retries.spent(sim.now) == 0
    sim.assert_empty()


def test_what_may_have_been_billed_is_not_sent_again() -> None:
    sim = simulator(a_key("k1", 1), a_key("k2", 1))
    sim.ask(0.0, an_ask("a", "ann"), fate=lambda grant: NONSENSE)
    sim.run()
    assert len(sim.requests["a"].grants) == 1
    assert sim.ends() == {"a": "given up"}
    sim.assert_empty()


def test_what_may_have_been_billed_is_paid_for_by_its_flow() -> None:
    """Else who hangs and fails stays lowest: without a cap such a flow was seen to hold all of sixteen slots."""
    pool = Pool([a_key("k1", 1)])
    ticket, _ = pool.submit(an_ask("a", "ann", input_tokens=2000), 0.0)
    pool.failed(ticket, NONSENSE, 60.0)
    assert ticket.charged >= pool.pricing.costs.cost(Tokens(2000))


def test_the_callers_mistake_is_not_repeated_and_the_key_stays_open() -> None:
    sim = simulator(a_key("k1", 1), a_key("k2", 1))
    sim.ask(0.0, an_ask("a", "ann"), fate=lambda grant: CALLERS_FAULT)
    sim.run()
    assert sim.ends() == {"a": "given up"}
    assert sim.pool.keys["k1"].admits(MODEL, sim.now)
    sim.assert_empty()


def test_retries_of_all_together_are_a_tenth_of_the_dispatches_of_the_last_minute() -> None:
    sim = simulator(*[a_key(f"k{number}", 20) for number in range(30)])
    for number in range(100):
        sim.ask(0.0, an_ask(f"good{number}", f"p{number}"), service=1.0)
    for number in range(100):
        sim.ask(10.0, an_ask(f"bad{number}", f"p{number}"), service=0.001, fate=lambda grant: limited(0.0))
    sim.run(until=59.0)
    retries = sum(len(context.grants) - 1 for context in sim.requests.values())
    assert 20 <= retries <= 0.1 * len(sim.order) + 1
    sim.run()
    sim.assert_empty()


def test_three_retries_a_minute_are_always_allowed() -> None:
    budget = RetryBudget()
    assert [budget.take("ann", float(second)) for second in range(5)] == [True, True, True, False, False]
    assert budget.take("ann", 60.5)


def test_a_person_who_fails_all_the_time_uses_up_only_their_own_retries() -> None:
    budget = RetryBudget()
    for second in range(60):
        budget.dispatched("eve", second / 2)
        budget.take("eve", second / 2)
    assert budget.spent(30.0) > 2
    assert budget.take("ann", 30.0)


def test_a_person_who_sends_much_may_send_a_tenth_of_it_twice() -> None:
    budget = RetryBudget()
    for number in range(100):
        budget.dispatched("ann", number / 10)
    assert [budget.take("ann", 10.0) for _ in range(11)] == [True] * 10 + [False]


def test_the_budget_is_an_equal_part_for_each_when_it_is_used_up() -> None:
    """A hundred persons whose requests fail at once get no hundred retries."""
    budget = RetryBudget()
    assert sum(budget.take(f"p{number}", 0.0) for number in range(100)) == FLOOR


def test_a_retry_goes_before_its_persons_other_requests() -> None:
    sim = simulator(a_key("k1", 1))
    verdicts = iter([UNREACHABLE, None, None])
    for name in ("a", "b"):
        sim.ask(0.0, an_ask(name, "ann"), service=5.0, fate=lambda grant: next(verdicts))
    sim.run()
    assert [context.ticket.id for context in sim.order] == ["a", "a", "b"]
    sim.assert_empty()


# Keys that rest, and keys that are dead


def test_a_waiting_request_is_served_at_the_instant_a_resting_key_opens() -> None:
    sim = simulator(a_key("k1", 3))
    sim.decide(0.0, lambda now: sim.pool.learn("k1", KeyEvent.RATE_LIMITED, now, MODEL))
    for name in ("a", "b", "c"):
        sim.ask(0.25, an_ask(name, name), service=4.0)
    sim.run()
    assert sim.requests["a"].grants == [(1.0, "k1")], "the trial"
    assert sim.requests["b"].grants == sim.requests["c"].grants == [(5.0, "k1")], "its answer opens the key for all"
    sim.assert_empty()


def test_a_resting_key_wakes_the_pool_once_and_not_once_for_each_who_waits() -> None:
    sim = simulator(a_key("k1", 50))
    sim.decide(0.0, lambda now: sim.pool.learn("k1", KeyEvent.RATE_LIMITED, now, MODEL))
    for number in range(50):
        sim.ask(0.25, an_ask(f"t{number}", f"p{number}"))
    sim.run()
    assert sim.ticks == 1
    assert Counter(sim.ends().values()) == {"answered": 50}
    sim.assert_empty()


def test_a_key_that_fails_for_minutes_is_tried_by_one_request_at_a_time_and_ever_more_rarely() -> None:
    sim = simulator(a_key("k1", 5))
    for number in range(60):
        sim.ask(
            float(number), an_ask(f"t{number}", f"p{number}"), 0.0, lambda grant: UNREACHABLE if sim.now < 90 else None
        )
    sim.run()
    tries = [context.grants for context in sim.requests.values()]
    instants = sorted(when for grants in tries for when, _ in grants if when < 90)
    rests = [later - earlier for earlier, later in pairwise(instants)]
    assert rests == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    sim.assert_empty()


@pytest.mark.parametrize("event", [KeyEvent.KEY_REFUSED, KeyEvent.PAUSE])
def test_all_who_wait_are_refused_at_once_when_the_last_key_dies(event: KeyEvent) -> None:
    sim = simulator(a_key("k1", 1))
    sim.ask(0.0, an_ask("running", "ann"), service=50.0)
    sim.ask(1.0, an_ask("waiting", "bob"))
    sim.decide(2.0, lambda now: sim.pool.learn("k1", event, now))
    sim.ask(3.0, an_ask("late", "eve"))
    sim.run()
    assert sim.ends() == {"running": "answered", "waiting": "no key", "late": "no key"}
    assert sim.requests["waiting"].ended[0][0] == 2.0
    refusal = sim.requests["late"].refusal
    assert refusal is not None
    assert refusal.retry_after is None, "the instant is not known"
    sim.assert_empty()


def test_a_refusal_for_want_of_keys_names_the_earliest_recovery() -> None:
    sim = simulator(a_key("k1", 1), a_key("k2", 1), a_key("k3", 1))
    sim.ask(0.0, an_ask("waiting1", "ann", deadline=100.0), service=30.0)
    for name in ("waiting2", "waiting3", "waiting4"):
        sim.ask(0.0, an_ask(name, "bob", deadline=100.0), service=30.0)
    sim.decide(10.0, lambda now: sim.pool.learn("k1", KeyEvent.KEY_REFUSED, now))
    sim.decide(11.0, lambda now: sim.pool.learn("k2", KeyEvent.OUT_OF_QUOTA, now))
    sim.decide(12.0, lambda now: sim.pool.learn("k3", KeyEvent.OUT_OF_QUOTA, now))
    sim.run()
    refusal = sim.requests["waiting4"].refusal
    assert refusal is not None
    assert (refusal.reason, refusal.retry_after) == (Reason.NO_KEY, SLOW_REST - 1.0)
    assert sim.requests["waiting4"].ended == [(12.0, "no key")]
    sim.assert_empty()


def test_a_request_that_can_wait_until_a_key_opens_may_wait() -> None:
    sim = simulator(a_key("k1", 1))
    sim.decide(0.0, lambda now: sim.pool.learn("k1", KeyEvent.OUT_OF_QUOTA, now))
    sim.ask(1.0, an_ask("patient", "ann", deadline=SLOW_REST + 1.0))
    sim.ask(1.0, an_ask("hasty", "bob", deadline=SLOW_REST - 1.0))
    sim.run()
    assert sim.requests["patient"].grants == [(SLOW_REST, "k1")]
    assert sim.requests["hasty"].ended == [(1.0, "no key")]
    sim.assert_empty()


def test_what_two_keys_refuse_is_given_up() -> None:
    sim = simulator(a_key("k1", 1), a_key("k2", 1), a_key("k3", 1))
    sim.ask(0.0, an_ask("a", "ann"), service=1.0, fate=lambda grant: REFUSED)
    sim.run()
    assert len(sim.requests["a"].grants) == 2
    assert sim.ends() == {"a": "given up"}
    sim.assert_empty()


def test_the_last_attempt_on_the_last_key_is_refused_for_want_of_keys() -> None:
    sim = simulator(a_key("k1", 1), a_key("k2", 1))
    sim.ask(0.0, an_ask("a", "ann", deadline=60.0), service=1.0, fate=lambda grant: NO_QUOTA)
    sim.run()
    assert len(sim.requests["a"].grants) == 2
    assert sim.ends() == {"a": "no key"}
    sim.assert_empty()


def test_a_model_without_a_key_and_a_key_of_another_group_are_refused_at_once() -> None:
    sim = simulator(a_key("k1", 1, groups=("lab",)))
    sim.ask(0.0, an_ask("a", "ann", model="unheard-of"))
    sim.ask(0.0, an_ask("b", "ann", groups=("other",)))
    sim.ask(0.0, an_ask("c", "ann", groups=("lab",)))
    sim.run()
    assert sim.ends() == {"a": "no key", "b": "no key", "c": "answered"}
    assert sim.pool.keyring.models_for("openai", frozenset({"lab"})) == [MODEL]
    assert sim.pool.keyring.models_for("openai", frozenset()) == []
    assert sim.pool.keyring.models_for("anthropic", frozenset({"lab"})) == []
    sim.assert_empty()


def test_who_waits_for_a_model_that_is_withdrawn_is_refused_at_once() -> None:
    sim = simulator(a_key("k1", 1))
    sim.ask(0.0, an_ask("running", "ann"), service=50.0)
    sim.ask(0.0, an_ask("waiting", "bob"))
    sim.decide(5.0, lambda now: sim.pool.offer("acme", frozenset({"new"}), now))
    sim.run()
    assert sim.requests["waiting"].ended == [(5.0, "no key")]
    sim.assert_empty()


def test_a_model_that_becomes_known_can_be_asked_for() -> None:
    sim = simulator(a_key("k1", 1, models=()))
    sim.ask(0.0, an_ask("early", "ann"))
    sim.decide(1.0, lambda now: sim.pool.offer("acme", frozenset({MODEL}), now))
    sim.ask(2.0, an_ask("late", "ann"))
    sim.run()
    assert sim.ends() == {"early": "no key", "late": "answered"}
    sim.assert_empty()


def test_a_free_failure_is_not_tried_on_its_own_key_again_while_the_other_one_is_paused() -> None:
    pool = Pool([a_key("k1"), a_key("k2")])
    pool.learn("k2", KeyEvent.PAUSE, 0.0)
    ticket, _ = pool.submit(an_ask("a", "ann"), 0.0)
    decisions = pool.failed(ticket, USED_UP, 0.0)
    assert [type(each) for each in decisions] == [GiveUp]
    assert ticket.attempts == 1
