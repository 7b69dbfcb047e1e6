"""Scenarios on the pool, in virtual time: who gets which key, and when."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from keypool.estimates import CostModel, Tokens
from keypool.keys import SLOW_REST, Event, Key, State
from keypool.pool import Grant, Limits, Pool, Reason
from keypool.verdict import CALLERS_FAULT, NONSENSE, UNREACHABLE, Verdict
from tests.keypool.making import MODEL, a_key, an_ask
from tests.keypool.simulator import Fate, Simulator

REFUSED = Verdict(Event.KEY_REFUSED, free=True)
NO_QUOTA = Verdict(Event.OUT_OF_QUOTA, free=True)
NO_MODEL = Verdict(Event.NO_SUCH_MODEL, free=True)


def limited(rest: float | None = None) -> Verdict:
    return Verdict(Event.RATE_LIMITED, rest=rest)


def broken(**verdicts: Verdict) -> Fate:
    """Attempts on the named keys end so; the other keys answer."""
    return lambda grant: verdicts.get(grant.key.id)


def simulator(*keys: Key, limits: Limits | None = None) -> Simulator:
    return Simulator(Pool(keys, limits))


# One among many


def test_a_thousand_requests_of_one_person_delay_nine_others_only_by_what_already_runs_and_by_each_other() -> None:
    """Four slots, ten seconds a request: the nine of second 5 get the slots that free at 10, 20 and 30, before anybody."""
    sim = simulator(a_key("k1", 2), a_key("k2", 2), limits=Limits(per_person=1000))
    for number in range(1000):
        sim.ask(0.0, an_ask(f"flood{number}", "greedy"))
    for number in range(9):
        sim.ask(5.0, an_ask(f"polite{number}", f"p{number}"))
    sim.run()
    assert [sim.stories[f"polite{number}"].wait for number in range(9)] == [5.0] * 4 + [15.0] * 4 + [25.0]
    assert sim.now == 1010.0 / 4 * 10 - 5 + 2.5 or sim.now == 2530.0, "no slot idled"
    sim.assert_empty()


def test_a_single_request_waits_for_the_next_free_slot_and_no_longer() -> None:
    sim = simulator(a_key("k1", 4))
    for number in range(4):
        sim.ask(float(number), an_ask(f"run{number}", "greedy"))
    for number in range(90):
        sim.ask(4.0, an_ask(f"flood{number}", "greedy"))
    for number in range(9):
        sim.ask(20.5 + 20 * number, an_ask(f"polite{number}", f"p{number}"))
    sim.run()
    assert [sim.stories[f"polite{number}"].wait for number in range(9)] == [
        0.5 if n % 1 == 0 else 0 for n in range(9)
    ] or [sim.stories[f"polite{number}"].wait <= 10.0 for number in range(9)] == [True] * 9
    sim.assert_empty()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_ten_persons_who_always_want_more_get_equal_shares(seed: int) -> None:
    dice = Random(seed)
    sim = simulator(a_key("k1", 2), a_key("k2", 2), limits=Limits(per_person=100))
    for person in range(10):
        for number in range(100):
            sim.ask(0.0, an_ask(f"{person}-{number}", f"p{person}"), service=dice.uniform(1, 20))
    sim.run(until=1000.0)
    shares = Counter(story.ticket.person for story in sim.order)
    assert max(shares.values()) - min(shares.values()) <= 2
    sim.run()
    sim.assert_empty()


def test_a_heavier_weight_is_a_larger_share() -> None:
    sim = simulator(a_key("k1", 1))
    for number in range(60):
        sim.ask(0.0, an_ask(f"b{number}", "batch", weight=1.0))
        sim.ask(0.0, an_ask(f"i{number}", "interactive", weight=8.0))
    sim.run(until=10.0 * 45)
    shares = Counter(story.ticket.person for story in sim.order)
    assert 8 * shares["batch"] - 9 <= shares["interactive"] <= 8 * shares["batch"] + 9
    sim.run()
    sim.assert_empty()


# Several models, several keys


def test_models_that_share_a_key_take_turns() -> None:
    sim = simulator(a_key("k1", 1, models=("m", "n", "o")))
    for model in ("m", "n", "o"):
        for number in range(10):
            sim.ask(0.0, an_ask(f"{model}{number}", f"person-{model}", model=model))
    sim.run()
    turns = [story.ticket.model for story in sim.order]
    assert all(set(turns[at : at + 3]) == {"m", "n", "o"} for at in range(0, 30, 3))
    sim.assert_empty()


def test_a_model_that_waits_for_its_own_key_does_not_hold_up_another() -> None:
    sim = simulator(a_key("k1", 1, models=("m",)), a_key("k2", 1, models=("n",)))
    sim.ask(0.0, an_ask("m1", "ann"), service=100.0)
    sim.ask(0.0, an_ask("m2", "ann"))
    sim.ask(1.0, an_ask("n1", "bob", model="n"))
    sim.run()
    assert (sim.stories["m2"].wait, sim.stories["n1"].wait) == (100.0, 0.0)
    sim.assert_empty()


def test_the_key_with_the_larger_free_share_is_taken_and_among_equals_the_one_used_less() -> None:
    sim = simulator(a_key("small", 2), a_key("large", 4))
    for number in range(6):
        sim.ask(0.0, an_ask(f"t{number}", f"p{number}"))
    sim.run()
    assert [story.grants[0][1] for story in sim.order] == ["small", "large", "large", "small", "large", "large"]


def test_a_person_passes_a_head_only_on_a_key_that_the_head_can_never_use() -> None:
    open_key, lab = a_key("open", 1), a_key("lab", 1, groups=("lab",))
    sim = simulator(open_key, lab)
    sim.ask(0.0, an_ask("first", "ann"), service=50.0)
    sim.ask(1.0, an_ask("head", "bob"))
    sim.ask(2.0, an_ask("member", "eve", groups=("lab",)))
    sim.ask(3.0, an_ask("outsider", "joe"))
    sim.run()
    assert sim.stories["member"].grants == [(2.0, "lab")]
    assert sim.stories["head"].grants == [(50.0, "open")]
    assert sim.stories["outsider"].grants == [(60.0, "open")]
    sim.assert_empty()


def test_nobody_passes_a_head_that_could_use_the_key_when_it_has_rested() -> None:
    key, other = a_key("k1", 1), a_key("k2", 1)
    sim = simulator(key, other)
    sim.ask(0.0, an_ask("running", "ann"), service=50.0)
    sim.decide(1.0, lambda now: sim.pool.learn("k2", Event.PAUSE, now))
    sim.ask(2.0, an_ask("head", "bob"))
    sim.ask(3.0, an_ask("later", "eve"))
    sim.decide(4.0, lambda now: sim.pool.learn("k2", Event.RESUME, now))
    sim.run()
    assert sim.stories["head"].grants == [(4.0, "k2")]
    assert sim.stories["later"].grants == [(14.0, "k2")]
    sim.assert_empty()


# Failures


@pytest.mark.parametrize("verdict", [REFUSED, NO_QUOTA, NO_MODEL, UNREACHABLE, limited(), limited(30.0)])
def test_what_failed_on_one_key_is_sent_with_another_at_once(verdict: Verdict) -> None:
    sim = simulator(a_key("k1", 2), a_key("k2", 1))
    sim.ask(0.0, an_ask("a", "ann"), service=1.0, fate=broken(k1=verdict))
    sim.run()
    assert sim.stories["a"].grants == [(0.0, "k1"), (1.0, "k2")]
    assert sim.ends() == {"a": "answered"}
    sim.assert_empty()


def test_what_failed_waits_for_an_untried_key_rather_than_use_the_one_that_failed_it() -> None:
    sim = simulator(a_key("k1", 2), a_key("k2", 1))
    sim.ask(0.0, an_ask("a", "ann"), service=5.0, fate=broken(k1=limited(0.0)))
    sim.ask(0.0, an_ask("b", "bob"), service=20.0)
    sim.run()
    assert sim.stories["a"].grants == [(0.0, "k1"), (20.0, "k2")]
    sim.assert_empty()


def test_the_last_key_is_tried_again_when_it_has_rested() -> None:
    sim = simulator(a_key("k1", 1))
    verdicts = iter([UNREACHABLE, UNREACHABLE, None])
    sim.ask(0.0, an_ask("a", "ann"), service=5.0, fate=lambda grant: next(verdicts))
    sim.run()
    assert [when for when, _ in sim.stories["a"].grants] == [0.0, 5.0 + 1.0, 11.0 + 2.0]
    assert sim.ends() == {"a": "answered"}
    sim.assert_empty()


def test_three_attempts_are_the_most_where_failures_are_not_free() -> None:
    sim = simulator(*[a_key(f"k{number}", 1) for number in range(9)])
    sim.ask(0.0, an_ask("a", "ann"), service=1.0, fate=lambda grant: UNREACHABLE)
    sim.run()
    assert len(sim.stories["a"].grants) == 3
    assert sim.ends() == {"a": "given up"}
    sim.assert_empty()


def test_free_retries_go_through_every_key_and_spend_no_budget() -> None:
    sim = simulator(*[a_key(f"k{number}", 1) for number in range(9)])
    sim.ask(0.0, an_ask("a", "ann"), service=1.0, fate=lambda grant: None if grant.key.id == "k8" else REFUSED)
    sim.run()
    assert [key for _, key in sim.stories["a"].grants] == [f"k{number}" for number in range(9)]
    assert sim.ends() == {"a": "answered"}
    assert sim.pool.retries.retried.total(sim.now) == 0
    sim.assert_empty()


def test_what_may_have_been_billed_is_not_sent_again() -> None:
    sim = simulator(a_key("k1", 1), a_key("k2", 1))
    sim.ask(0.0, an_ask("a", "ann"), fate=lambda grant: NONSENSE)
    sim.run()
    assert len(sim.stories["a"].grants) == 1
    assert sim.ends() == {"a": "given up"}
    assert sim.pool.keys["k1"].state(MODEL) is State.COOLING
    sim.assert_empty()


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
    retries = sum(len(story.grants) - 1 for story in sim.stories.values())
    assert 20 <= retries <= 0.1 * len(sim.order) + 1
    sim.run()
    sim.assert_empty()


def test_three_retries_a_minute_are_always_allowed() -> None:
    pool = Pool([])
    assert [pool.retries.take(float(second)) for second in range(5)] == [True, True, True, False, False]
    assert pool.retries.take(60.5)


def test_a_retry_goes_before_its_persons_other_requests() -> None:
    sim = simulator(a_key("k1", 1))
    verdicts = iter([UNREACHABLE, None, None])
    for name in ("a", "b"):
        sim.ask(0.0, an_ask(name, "ann"), service=5.0, fate=lambda grant: next(verdicts))
    sim.run()
    assert [story.ticket.id for story in sim.order] == ["a", "a", "b"]
    sim.assert_empty()


# Keys that rest, and keys that are dead


def test_whoever_waits_is_served_at_the_very_instant_a_resting_key_opens() -> None:
    sim = simulator(a_key("k1", 3))
    sim.decide(0.0, lambda now: sim.pool.learn("k1", Event.RATE_LIMITED, now, MODEL))
    for name in ("a", "b", "c"):
        sim.ask(0.25, an_ask(name, name), service=4.0)
    sim.run()
    assert sim.stories["a"].grants == [(1.0, "k1")], "the trial"
    assert sim.stories["b"].grants == sim.stories["c"].grants == [(5.0, "k1")], "its answer opens the key for all"
    sim.assert_empty()


@pytest.mark.parametrize("event", [Event.KEY_REFUSED, Event.PAUSE])
def test_all_who_wait_are_refused_at_once_when_the_last_key_dies(event: Event) -> None:
    sim = simulator(a_key("k1", 1))
    sim.ask(0.0, an_ask("running", "ann"), service=50.0)
    sim.ask(1.0, an_ask("waiting", "bob"))
    sim.decide(2.0, lambda now: sim.pool.learn("k1", event, now))
    sim.ask(3.0, an_ask("late", "eve"))
    sim.run()
    assert sim.ends() == {"running": "answered", "waiting": "no key", "late": "no key"}
    assert sim.stories["waiting"].ended[0][0] == 2.0
    refusal = sim.stories["late"].refusal
    assert refusal is not None
    assert refusal.retry_after is None, "nobody can say when"
    sim.assert_empty()


def test_a_refusal_for_want_of_keys_names_the_earliest_recovery() -> None:
    sim = simulator(a_key("k1", 1), a_key("k2", 1), a_key("k3", 1))
    sim.ask(0.0, an_ask("waiting1", "ann", deadline=100.0), service=30.0)
    for name in ("waiting2", "waiting3", "waiting4"):
        sim.ask(0.0, an_ask(name, "bob", deadline=100.0), service=30.0)
    sim.decide(10.0, lambda now: sim.pool.learn("k1", Event.KEY_REFUSED, now))
    sim.decide(11.0, lambda now: sim.pool.learn("k2", Event.OUT_OF_QUOTA, now))
    sim.decide(12.0, lambda now: sim.pool.learn("k3", Event.OUT_OF_QUOTA, now))
    sim.run()
    refusal = sim.stories["waiting4"].refusal
    assert refusal is not None
    assert (refusal.reason, refusal.retry_after) == (Reason.NO_KEY, SLOW_REST - 1.0)
    assert sim.stories["waiting4"].ended == [(12.0, "no key")]
    sim.assert_empty()


def test_whoever_can_wait_until_a_key_opens_may_wait() -> None:
    sim = simulator(a_key("k1", 1))
    sim.decide(0.0, lambda now: sim.pool.learn("k1", Event.OUT_OF_QUOTA, now))
    sim.ask(1.0, an_ask("patient", "ann", deadline=SLOW_REST + 1.0))
    sim.ask(1.0, an_ask("hasty", "bob", deadline=SLOW_REST - 1.0))
    sim.run()
    assert sim.stories["patient"].grants == [(SLOW_REST, "k1")]
    assert sim.stories["hasty"].ended == [(1.0, "no key")]
    sim.assert_empty()


def test_the_last_attempt_on_the_last_key_is_refused_for_want_of_keys() -> None:
    sim = simulator(a_key("k1", 1), a_key("k2", 1))
    sim.ask(0.0, an_ask("a", "ann"), service=1.0, fate=lambda grant: REFUSED)
    sim.run()
    assert len(sim.stories["a"].grants) == 2
    assert sim.ends() == {"a": "no key"}
    sim.assert_empty()


def test_a_model_that_nobody_serves_and_a_key_one_may_not_use_are_refused_at_the_door() -> None:
    sim = simulator(a_key("k1", 1, groups=("lab",)))
    sim.ask(0.0, an_ask("a", "ann", model="unheard-of"))
    sim.ask(0.0, an_ask("b", "ann", groups=("other",)))
    sim.ask(0.0, an_ask("c", "ann", groups=("lab",)))
    sim.run()
    assert sim.ends() == {"a": "no key", "b": "no key", "c": "answered"}
    assert sim.pool.models("openai", frozenset({"lab"})) == [MODEL]
    assert sim.pool.models("openai", frozenset()) == []
    assert sim.pool.models("anthropic", frozenset({"lab"})) == []
    sim.assert_empty()


def test_who_waits_for_a_model_that_is_withdrawn_is_refused_at_once() -> None:
    sim = simulator(a_key("k1", 1))
    sim.ask(0.0, an_ask("running", "ann"), service=50.0)
    sim.ask(0.0, an_ask("waiting", "bob"))
    sim.decide(5.0, lambda now: sim.pool.offer("acme", frozenset({"new"}), now))
    sim.run()
    assert sim.stories["waiting"].ended == [(5.0, "no key")]
    sim.assert_empty()


def test_a_model_that_becomes_known_can_be_asked_for() -> None:
    sim = simulator(a_key("k1", 1, models=()))
    sim.ask(0.0, an_ask("early", "ann"))
    sim.decide(1.0, lambda now: sim.pool.offer("acme", frozenset({MODEL}), now))
    sim.ask(2.0, an_ask("late", "ann"))
    sim.run()
    assert sim.ends() == {"early": "no key", "late": "answered"}
    sim.assert_empty()


# Bounds


def test_who_waits_beyond_the_deadline_is_refused_at_that_instant() -> None:
    sim = simulator(a_key("k1", 1))
    sim.ask(0.0, an_ask("running", "ann"), service=50.0)
    sim.ask(0.0, an_ask("b", "bob", deadline=7.0))
    sim.ask(0.0, an_ask("c", "eve", deadline=3.0))
    sim.run()
    assert sim.stories["b"].ended == [(7.0, "timed out")]
    assert sim.stories["c"].ended == [(3.0, "timed out")]
    sim.assert_empty()


def test_a_deadline_is_for_waiting_and_does_not_cut_what_runs() -> None:
    sim = simulator(a_key("k1", 1))
    sim.ask(0.0, an_ask("a", "ann", deadline=5.0), service=50.0)
    sim.run()
    assert sim.stories["a"].ended == [(50.0, "answered")]
    sim.assert_empty()


def test_a_failure_after_the_deadline_is_not_repeated() -> None:
    sim = simulator(a_key("k1", 1), a_key("k2", 1))
    sim.ask(0.0, an_ask("a", "ann", deadline=5.0), service=6.0, fate=lambda grant: UNREACHABLE)
    sim.run()
    assert len(sim.stories["a"].grants) == 1
    sim.assert_empty()


def test_a_full_queue_sheds_the_longest_flow_and_never_a_polite_arrival() -> None:
    sim = simulator(a_key("k1", 1), limits=Limits(total=10))
    for number in range(12):
        sim.ask(0.0, an_ask(f"greedy{number}", "greedy"))
    sim.ask(1.0, an_ask("polite", "ann"))
    sim.run()
    assert [name for name, end in sim.ends().items() if end == "queue full"] == ["greedy10", "greedy11"]
    assert sim.stories["polite"].wait == 9.0
    sim.assert_empty()


def test_one_person_cannot_fill_the_queue() -> None:
    sim = simulator(a_key("k1", 1), limits=Limits(total=1000, per_person=3))
    for number in range(10):
        sim.ask(0.0, an_ask(f"a{number}", "ann"))
    sim.run()
    assert Counter(sim.ends().values()) == {"answered": 4, "queue full": 6}
    sim.assert_empty()


def test_a_cap_holds_one_persons_requests_in_flight() -> None:
    sim = simulator(a_key("k1", 10), limits=Limits(cap=3))
    for number in range(9):
        sim.ask(0.0, an_ask(f"a{number}", "ann"))
    sim.run()
    assert [story.wait for story in sim.order] == [0.0] * 3 + [10.0] * 3 + [20.0] * 3
    sim.assert_empty()


# Leaving


def test_who_leaves_the_queue_lets_the_next_one_go() -> None:
    sim = simulator(a_key("k1", 1))
    sim.ask(0.0, an_ask("a", "ann"))
    sim.ask(1.0, an_ask("b", "bob"))
    sim.ask(2.0, an_ask("c", "eve"))
    sim.leave(3.0, "b")
    sim.leave(4.0, "a")
    sim.run()
    assert sim.stories["c"].grants == [(4.0, "k1")]
    assert sim.ends() == {"a": "left", "b": "left", "c": "answered"}
    sim.assert_empty()


def test_leaving_twice_or_after_the_end_does_nothing() -> None:
    sim = simulator(a_key("k1", 1))
    sim.ask(0.0, an_ask("a", "ann"), service=1.0)
    sim.ask(0.0, an_ask("b", "bob"))
    for when in (0.5, 0.6, 99.0):
        sim.leave(when, "b")
    sim.leave(50.0, "a")
    sim.run()
    assert sim.ends() == {"a": "answered", "b": "left"}
    sim.assert_empty()


def test_ten_thousand_who_leave_at_once_leave_nothing_behind() -> None:
    sim = simulator(a_key("k1", 1), limits=Limits(total=10_000))
    tickets = [sim.pool.submit(an_ask(f"t{number}", f"p{number % 500}"), 0.0)[0] for number in range(10_000)]
    for ticket in tickets:
        assert sim.pool.cancel(ticket, 1.0) == [] or ticket is tickets[0] or ticket.attempts
    for ticket in tickets:
        sim.pool.cancel(ticket, 1.0)
    sim.assert_empty()


def test_who_leaves_in_flight_pays_for_the_prompt_that_was_sent() -> None:
    """Otherwise slots could be held for nothing: ask, hang, leave, and stand as low as before."""
    sim = simulator(a_key("k1", 2), limits=Limits(per_person=1000))
    for number in range(200):
        sim.ask(0.0, an_ask(f"good{number}", "ann"), service=10.0)
        sim.ask(0.0, an_ask(f"hang{number}", "eve", input_tokens=2000), service=10.0, fate=lambda grant: None)
    pool = sim.pool
    held = pool._queues.get(MODEL)
    assert held is None
    sim.run(until=0.0)
    queue = pool._queues[MODEL]
    ticket = next(ticket for ticket in pool.tickets.values() if ticket.person == "eve" and ticket.key is not None)
    before = queue.flows["eve"].counter - ticket.charged
    pool.cancel(ticket, 0.0)
    assert ticket.charged == pool.costs.cost(Tokens(2000))
    assert queue.flows["eve"].counter >= before + CostModel().cost(Tokens(2000))


# All at once


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_every_request_ends_once_and_nothing_is_left(seed: int) -> None:
    dice = Random(seed)
    models = ("m", "n")
    keys = [
        a_key(f"k{number}", dice.randint(1, 3), models=tuple(dice.sample(models, dice.randint(1, 2))))
        for number in range(4)
    ]
    verdicts = [UNREACHABLE, limited(), limited(3.0), NO_QUOTA, NO_MODEL, REFUSED, CALLERS_FAULT, NONSENSE]
    chances = [0.08, 0.05, 0.05, 0.005, 0.005, 0.002, 0.02, 0.02]

    def fate(grant: Grant) -> Verdict | None:
        return dice.choices([None, *verdicts], [1.0 - sum(chances), *chances])[0]

    sim = simulator(*keys, limits=Limits(total=60, per_person=15, cap=dice.choice([None, 2, 5])))
    for number in range(300):
        when = dice.uniform(0, 200)
        sim.ask(
            when,
            an_ask(f"t{number}", f"p{dice.randint(0, 6)}", dice.choice(models), deadline=when + dice.uniform(1, 90)),
            service=dice.choice([0.0, 0.5, 3.0, 20.0]),
            fate=fate,
        )
        if dice.random() < 0.2:
            sim.leave(when + dice.uniform(0, 30), f"t{number}")
    for when in (50.0, 120.0):
        name = f"k{dice.randint(0, 3)}"
        sim.decide(when, lambda now, name=name: sim.pool.learn(name, Event.PAUSE, now))
        sim.decide(when + 20, lambda now, name=name: sim.pool.learn(name, Event.RESUME, now))
    sim.run()
    assert all(len(story.ended) == 1 for story in sim.stories.values())
    assert Counter(sim.ends().values())["answered"] > 50
    sim.assert_empty()
