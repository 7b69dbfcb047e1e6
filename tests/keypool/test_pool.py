"""Scenarios on the pool, in virtual time: who gets which key, and when."""

from __future__ import annotations

from collections import Counter
from functools import partial
from random import Random

import pytest

from keypool.domains import Quota
from keypool.estimates import Tokens
from keypool.health import KeyEvent
from keypool.keys import Key
from keypool.pool import Decision, Grant, Pool, QueueLimits
from keypool.verdict import CALLERS_FAULT, NONSENSE, UNREACHABLE, Verdict
from tests.keypool.making import MODEL, NO_MODEL, NO_QUOTA, REFUSED, a_key, an_ask, limited, simulator

# Bound to keys


def test_who_is_bound_to_some_keys_waits_for_one_of_these_and_takes_no_other() -> None:
    sim = simulator(a_key("k1"), a_key("k2"), a_key("k3", 9))
    for number in range(3):
        sim.ask(0.0, an_ask(f"bound{number}", f"p{number}")._replace(bound_to=frozenset(("k1", "k2"))))
    sim.ask(0.0, an_ask("one", "q")._replace(bound_to=frozenset(("k2",))))
    sim.ask(0.0, an_ask("free", "r"))
    sim.run()
    served = {name: context.grants[0][1] for name, context in sim.requests.items()}
    assert served["free"] == "k3"
    assert served["one"] == "k2"
    assert {served[f"bound{number}"] for number in range(3)} <= {"k1", "k2"}
    assert [sim.requests[f"bound{number}"].wait for number in range(3)][:2] == [0.0, 0.0]
    assert sim.requests["bound2"].wait > 0.0
    sim.assert_empty()


# Other terms


def test_a_key_gets_other_terms_and_what_it_serves_and_who_waits_for_it_stay() -> None:
    """One slot becomes two at second 2: the second request starts at once. Of three groups one may use it then."""
    sim = simulator(a_key("k1", 1))
    for number in range(3):
        sim.ask(0.0, an_ask(f"{number}", f"p{number}")._replace(groups=frozenset({"staff"})))
    key = sim.pool.keyring.keys["k1"]
    sim.decide(2.0, lambda now: sim.pool.retune(a_key("k1", 2, groups=("staff",)), now))
    sim.run()
    assert [sim.requests[f"{number}"].wait for number in range(3)] == [0.0, 2.0, 10.0]
    assert (sim.pool.keyring.keys["k1"], key.slots, key.groups) == (key, 2, {"staff"})
    sim.assert_empty()


def test_who_may_not_use_the_only_key_any_more_is_refused_and_does_not_wait_in_vain() -> None:
    sim = simulator(a_key("k1", 1))
    sim.ask(0.0, an_ask("runs", "ann"))
    sim.ask(1.0, an_ask("waits", "bob"))
    sim.decide(2.0, lambda now: sim.pool.retune(a_key("k1", 1, groups=("staff",)), now))
    sim.run()
    assert (len(sim.requests["runs"].grants), len(sim.requests["waits"].grants)) == (1, 0)
    sim.assert_empty()


def with_limit(name: str, requests: int, organisation: str = "") -> Key:
    """A key that may send so many requests a minute."""
    models, dialects = frozenset({MODEL}), frozenset({"openai"})
    return Key(name, "acme", dialects, models, 1, organisation=organisation, quota=Quota(requests))


def test_a_key_that_leaves_its_organisation_has_limits_of_its_own_and_new_ones_count_from_now_on() -> None:
    keys = [with_limit(name, 2, "lab") for name in ("k1", "k2")]
    pool = Pool(keys)
    first, second = (pool.keyring.domain(key, MODEL) for key in keys)
    assert first is second
    pool.retune(with_limit("k1", 9), 1.0)
    mine = pool.keyring.domain(keys[0], MODEL)
    assert (mine is second, set(second.members)) == (False, {"k2"})
    pool.retune(with_limit("k2", 5, "lab"), 2.0)
    assert pool.keyring.domain(keys[1], MODEL).buckets.keys() == mine.buckets.keys()
    assert [bucket.capacity for bucket in pool.keyring.domain(keys[1], MODEL).buckets.values()] == [5]


# One among many


def test_a_thousand_requests_of_one_person_delay_nine_others_only_by_what_already_runs_and_by_each_other() -> None:
    """Four slots, ten seconds a request: the nine of second 5 get the slots of 10, 20 and 30 first of all."""
    sim = simulator(a_key("k1", 2), a_key("k2", 2), limits=QueueLimits(per_person=1000))
    for number in range(1000):
        sim.ask(0.0, an_ask(f"flood{number}", "greedy"))
    for number in range(9):
        sim.ask(5.0, an_ask(f"polite{number}", f"p{number}"))
    sim.run()
    assert [sim.requests[f"polite{number}"].wait for number in range(9)] == [5.0] * 4 + [15.0] * 4 + [25.0]
    assert sim.now == 253 * 10.0, "1009 requests on four slots: none of them idled"
    sim.assert_empty()


def test_a_single_request_waits_for_the_next_free_slot_and_no_longer() -> None:
    """The flooder's slots free at seconds 10, 11, 12, 13, 20, ...: who comes between is served at the next of these."""
    sim = simulator(a_key("k1", 4))
    for number in range(4):
        sim.ask(float(number), an_ask(f"run{number}", "greedy"))
    for number in range(90):
        sim.ask(4.0, an_ask(f"flood{number}", "greedy"))
    for number, when in enumerate((20.5, 41.5, 62.5, 83.5)):
        sim.ask(when, an_ask(f"polite{number}", f"p{number}"))
    sim.run()
    assert [sim.requests[f"polite{number}"].wait for number in range(4)] == [0.5, 0.5, 0.5, 6.5]
    sim.assert_empty()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_ten_persons_who_always_want_more_get_equal_shares(seed: int) -> None:
    dice = Random(seed)
    sim = simulator(a_key("k1", 2), a_key("k2", 2), limits=QueueLimits(per_person=100))
    for person in range(10):
        for number in range(100):
            sim.ask(0.0, an_ask(f"{person}-{number}", f"p{person}"), service=dice.uniform(1, 20))
    sim.run(until=1000.0)
    shares = Counter(context.ticket.person for context in sim.order)
    assert max(shares.values()) - min(shares.values()) <= 4 + 1, "the first to come had the four slots alone, once"
    sim.run()
    sim.assert_empty()


def test_a_heavier_weight_is_a_larger_share() -> None:
    sim = simulator(a_key("k1", 1))
    for number in range(60):
        sim.ask(0.0, an_ask(f"b{number}", "batch", weight=1.0))
        sim.ask(0.0, an_ask(f"i{number}", "interactive", weight=8.0))
    sim.run(until=10.0 * 45)
    shares = Counter(context.ticket.person for context in sim.order)
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
    turns = [context.ticket.model for context in sim.order]
    assert turns[0] == "m", "it came first and alone"
    assert all(set(turns[at : at + 3]) == {"m", "n", "o"} for at in range(1, 26))
    sim.assert_empty()


def test_a_model_that_waits_for_its_own_key_does_not_hold_up_another() -> None:
    sim = simulator(a_key("k1", 1, models=("m",)), a_key("k2", 1, models=("n",)))
    sim.ask(0.0, an_ask("m1", "ann"), service=100.0)
    sim.ask(0.0, an_ask("m2", "ann"))
    sim.ask(1.0, an_ask("n1", "bob", model="n"))
    sim.run()
    assert (sim.requests["m2"].wait, sim.requests["n1"].wait) == (100.0, 0.0)
    sim.assert_empty()


def test_the_key_with_the_larger_free_share_is_taken_and_among_equals_the_one_used_less() -> None:
    sim = simulator(a_key("small", 2), a_key("large", 4))
    for number in range(6):
        sim.ask(0.0, an_ask(f"t{number}", f"p{number}"))
    sim.run()
    assert [context.grants[0][1] for context in sim.order] == ["small", "large", "large", "small", "large", "large"]


def test_a_person_passes_a_head_only_on_a_key_that_the_head_can_never_use() -> None:
    open_key, lab = a_key("open", 1), a_key("lab", 1, groups=("lab",))
    sim = simulator(open_key, lab)
    sim.ask(0.0, an_ask("first", "ann"), service=50.0)
    sim.ask(1.0, an_ask("head", "bob"))
    sim.ask(2.0, an_ask("member", "eve", groups=("lab",)))
    sim.ask(3.0, an_ask("outsider", "joe"))
    sim.run()
    assert sim.requests["member"].grants == [(2.0, "lab")]
    assert sim.requests["head"].grants == [(50.0, "open")]
    assert sim.requests["outsider"].grants == [(60.0, "open")]
    sim.assert_empty()


def test_no_request_passes_a_head_that_could_use_the_key_when_it_has_rested() -> None:
    key, other = a_key("k1", 1), a_key("k2", 1)
    sim = simulator(key, other)
    sim.ask(0.0, an_ask("running", "ann"), service=50.0)
    sim.decide(1.0, lambda now: sim.pool.learn("k2", KeyEvent.PAUSE, now))
    sim.ask(2.0, an_ask("head", "bob"))
    sim.ask(3.0, an_ask("later", "eve"))
    sim.decide(4.0, lambda now: sim.pool.learn("k2", KeyEvent.RESUME, now))
    sim.run()
    assert sim.requests["head"].grants == [(4.0, "k2")]
    assert sim.requests["later"].grants == [(14.0, "k2")]
    sim.assert_empty()


# Bounds


def test_who_waits_beyond_the_deadline_is_refused_at_that_instant() -> None:
    sim = simulator(a_key("k1", 1))
    sim.ask(0.0, an_ask("running", "ann"), service=50.0)
    sim.ask(0.0, an_ask("b", "bob", deadline=7.0))
    sim.ask(0.0, an_ask("c", "eve", deadline=3.0))
    sim.run()
    assert sim.requests["b"].ended == [(7.0, "timed out")]
    assert sim.requests["c"].ended == [(3.0, "timed out")]
    sim.assert_empty()


def test_a_deadline_is_for_waiting_and_does_not_cut_what_runs() -> None:
    sim = simulator(a_key("k1", 1))
    sim.ask(0.0, an_ask("a", "ann", deadline=5.0), service=50.0)
    sim.run()
    assert sim.requests["a"].ended == [(50.0, "answered")]
    sim.assert_empty()


def test_a_failure_after_the_deadline_is_not_repeated() -> None:
    sim = simulator(a_key("k1", 1), a_key("k2", 1))
    sim.ask(0.0, an_ask("a", "ann", deadline=5.0), service=6.0, fate=lambda grant: UNREACHABLE)
    sim.run()
    assert len(sim.requests["a"].grants) == 1
    sim.assert_empty()


def test_a_full_queue_sheds_the_longest_flow_and_never_a_polite_arrival() -> None:
    sim = simulator(a_key("k1", 1), limits=QueueLimits(total=10))
    for number in range(12):
        sim.ask(0.0, an_ask(f"greedy{number}", "greedy"))
    sim.ask(1.0, an_ask("polite", "ann"))
    sim.run()
    assert [name for name, end in sim.ends().items() if end == "queue full"] == ["greedy10", "greedy11"]
    assert sim.requests["polite"].wait == 9.0
    sim.assert_empty()


def test_one_person_cannot_fill_the_queue() -> None:
    sim = simulator(a_key("k1", 1), limits=QueueLimits(total=1000, per_person=3))
    for number in range(10):
        sim.ask(0.0, an_ask(f"a{number}", "ann"))
    sim.run()
    assert Counter(sim.ends().values()) == {"answered": 4, "queue full": 6}
    sim.assert_empty()


def test_a_cap_holds_one_persons_requests_in_flight() -> None:
    sim = simulator(a_key("k1", 10), limits=QueueLimits(cap=3))
    for number in range(9):
        sim.ask(0.0, an_ask(f"a{number}", "ann"))
    sim.run()
    assert [context.wait for context in sim.order] == [0.0] * 3 + [10.0] * 3 + [20.0] * 3
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
    assert sim.requests["c"].grants == [(4.0, "k1")]
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
    sim = simulator(a_key("k1", 1), limits=QueueLimits(total=10_000))
    tickets = [sim.pool.submit(an_ask(f"t{number}", f"p{number % 500}"), 0.0)[0] for number in range(10_000)]
    for ticket in tickets:
        sim.pool.cancel(ticket, 1.0)
    sim.assert_empty()


def test_an_answer_that_breaks_off_is_paid_for_and_teaches_nothing_about_lengths() -> None:
    sim = simulator(a_key("k1", 1))
    pool = sim.pool
    ticket, _ = pool.submit(an_ask("a", "ann"), 0.0)
    expected = pool.pricing.lengths.expect("ann", MODEL, None)
    pool.answered(ticket, 1.0)
    pool.progress(ticket, 5000)
    assert ticket.charged == pool.pricing.costs.cost(Tokens(100, 0, 5000))
    pool.break_off(ticket, Tokens(100, 0, 40), 2.0)
    assert ticket.charged == pool.pricing.costs.cost(Tokens(100, 0, 40))
    assert pool.pricing.lengths.expect("ann", MODEL, None) == expected
    sim.assert_empty()


def test_the_callers_mistake_costs_what_was_sent() -> None:
    pool = Pool([a_key("k1", 1)])
    ticket, _ = pool.submit(an_ask("a", "ann"), 0.0)
    pool.failed(ticket, CALLERS_FAULT, 1.0)
    assert ticket.charged == pool.pricing.costs.cost(Tokens(100))


# All at once


def pause(pool: Pool, name: str, now: float) -> list[Decision]:
    return pool.learn(name, KeyEvent.PAUSE, now)


def resume(pool: Pool, name: str, now: float) -> list[Decision]:
    return pool.learn(name, KeyEvent.RESUME, now)


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

    sim = simulator(*keys, limits=QueueLimits(total=60, per_person=15, cap=dice.choice([None, 2, 5])))
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
    for when, name in ((50.0, "k0"), (120.0, dice.choice(["k1", "k2", "k3"]))):
        sim.decide(when, partial(pause, sim.pool, name))
        sim.decide(when + 20, partial(resume, sim.pool, name))
    sim.run()
    assert Counter(sim.ends().values())["answered"] > 50
    sim.assert_empty()
