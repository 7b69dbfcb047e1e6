"""One counter for each person over all models whose keys share anything, also while keys come and go."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keypool.areas import partition
from keypool.counters import Largest
from keypool.domains import Quota
from keypool.estimates import Tokens
from keypool.fairqueue import FairQueue
from keypool.health import KeyEvent
from keypool.keys import Key
from keypool.pool import Ask, Grant, Pool, QueueLimits, Reason, Refuse
from keypool.queue_admission import QueueAdmission
from keypool.ticket import Ticket
from tests.keypool.making import OPENAI, a_key, a_ticket, an_ask, simulator


def of(name: str, *models: str, organisation: str = "") -> Key:
    key = a_key(name, models=models)
    key.organisation = organisation
    return key


# What belongs together


@pytest.mark.parametrize(
    ("keys", "parts"),
    [
        ([of("a", "m"), of("b", "n")], {("m",), ("n",)}),
        ([of("a", "m", "n")], {("m", "n")}),
        ([of("a", "m"), of("b", "m", "n"), of("c", "o")], {("m", "n"), ("o",)}),
        ([of("a", "m"), of("b", "m-2026-01-01")], {("m",), ("m-2026-01-01",)}),
        ([of("a", "m", organisation="x"), of("b", "m-2026-01-01", organisation="x")], {("m", "m-2026-01-01")}),
        ([of("a", "m", organisation="x"), of("b", "n", organisation="x")], {("m",), ("n",)}),
        ([], {("gone",)}),
    ],
)
def test_models_are_one_area_where_a_key_or_an_organisations_limit_is_shared(
    keys: list[Key], parts: set[tuple[str, ...]]
) -> None:
    named = [model for part in parts for model in part]
    assert {tuple(sorted(part)) for part in partition(keys, named)} == parts


def running(pool: Pool, person: str) -> int:
    return sum(ticket.key is not None and ticket.person == person for ticket in pool.tickets.values())


def test_who_asks_for_two_models_has_one_counter() -> None:
    pool = Pool([a_key(slots=1, models=("m", "n"))])
    pool.submit(an_ask("a", "ann", "m"), 0.0)
    pool.submit(an_ask("b", "ann", "n"), 0.0)
    assert pool.areas.queue("m").fair is pool.areas.queue("n").fair
    assert list(pool.areas.queue("m").fair.flows) == ["ann"]


def test_models_without_anything_in_common_have_counters_of_their_own() -> None:
    pool = Pool([a_key("k1", models=("m",)), a_key("k2", models=("n",))])
    ann, _ = pool.submit(an_ask("a", "ann", "m"), 0.0)
    pool.finish(ann, Tokens(100_000, 0, 9000), 1.0)
    pool.submit(an_ask("b1", "bob", "n"), 2.0)
    pool.submit(an_ask("b2", "bob", "n"), 2.0)
    late, _ = pool.submit(an_ask("a2", "ann", "n"), 3.0)
    assert pool.admission.outlook(late, 3.0).position == 1, "what she was served elsewhere does not count here"


def test_a_model_that_both_keys_serve_from_now_on_joins_their_areas_and_no_request_is_lost() -> None:
    sim = simulator(a_key("k1", 1, models=("m",)), replace(a_key("k2", 1, models=("n",)), upstream="other"))
    for number in range(6):
        sim.ask(0.0, an_ask(f"m{number}", "ann", "m"))
        sim.ask(0.0, an_ask(f"n{number}", "bob", "n"))
    sim.decide(15.0, lambda now: sim.pool.offer("other", frozenset(("m", "n")), now))
    sim.run(until=16.0)
    assert sim.pool.areas.queue("m").fair is sim.pool.areas.queue("n").fair
    sim.run()
    assert Counter(sim.ends().values()) == {"answered": 12}
    assert {key for _, key in sim.requests["m5"].grants} <= {"k1", "k2"}
    sim.assert_empty()


def test_a_key_that_goes_splits_an_area_and_no_request_is_lost() -> None:
    sim = simulator(a_key("k1", 1, models=("m",)), a_key("k2", 1, models=("n",)), a_key("both", 1, models=("m", "n")))
    for number in range(6):
        sim.ask(0.0, an_ask(f"m{number}", "ann", "m"))
        sim.ask(0.0, an_ask(f"n{number}", "bob", "n"))
    sim.decide(15.0, lambda now: sim.pool.remove("both", now))
    sim.run(until=16.0)
    assert sim.pool.areas.queue("m").fair is not sim.pool.areas.queue("n").fair
    sim.run()
    assert Counter(sim.ends().values()) == {"answered": 12}
    sim.assert_empty()


def test_a_waiting_request_may_use_a_key_that_comes_meanwhile() -> None:
    sim = simulator(a_key("k1", 1))
    sim.ask(0.0, an_ask("a", "ann"), service=100.0)
    sim.ask(1.0, an_ask("b", "bob"))
    sim.decide(5.0, lambda now: sim.pool.add(a_key("k2", 1), now))
    sim.run()
    assert sim.requests["b"].grants == [(5.0, "k2")]


settled = st.lists(st.tuples(st.sampled_from(["ann", "bob", "eve"]), st.floats(1.0, 1e5)), min_size=3, max_size=20)


@settings(max_examples=50, deadline=None)
@given(settled)
def test_who_is_ahead_stays_ahead_by_as_much_when_areas_merge(work: list[tuple[str, float]]) -> None:
    old, new = FairQueue(), FairQueue()
    for number, (person, cost) in enumerate(work):
        ticket = a_ticket(f"t{number}", person, cost)
        old.submit(ticket)
        old.dispatch(lambda ticket: a_key())
        old.finish(ticket, cost)
    tickets = [a_ticket(f"w{person}", person) for person in ("ann", "bob", "eve")]
    for ticket in tickets:
        old.submit(ticket)
    before = {name: flow.counter - old.virtual_time for name, flow in old.flows.items()}
    new.take_over(old, tickets)
    after = {name: flow.counter - new.virtual_time for name, flow in new.flows.items()}
    assert after == pytest.approx(before)
    assert new.waiting == old.waiting
    assert new.backlog == pytest.approx(old.backlog)


# Lanes


def test_who_waits_for_a_scarce_model_brings_no_credit_to_another_one() -> None:
    """Else a request that waits for a key which rests would hold a low counter, to be spent somewhere else."""
    sim = simulator(a_key("rests", 1, models=("m", "n")), a_key("works", 1, models=("n",)))
    sim.decide(0.0, lambda now: sim.pool.learn("rests", KeyEvent.PAUSE, now))
    sim.decide(0.0, lambda now: sim.pool.learn("rests", KeyEvent.RESUME, now))
    sim.decide(0.0, lambda now: sim.pool.learn("rests", KeyEvent.OUT_OF_QUOTA, now))
    sim.ask(1.0, an_ask("parked", "eve", "m", deadline=1e9))
    for person in ("ann", "bob"):
        for number in range(60):
            sim.ask(1.0, an_ask(f"{person}{number}", person, "n"), service=1.0)
    for number in range(20):
        sim.ask(60.5, an_ask(f"eve{number}", "eve", "n"), service=1.0)
    sim.run(until=90.5)
    late = Counter(context.ticket.person for context in sim.order if context.grants[-1][0] > 60.5)
    assert late["eve"] <= 11, "a third of thirty, and one"


def test_a_model_without_room_does_not_hold_up_another_one_of_the_same_key() -> None:
    key = replace(a_key("k1", 8, models=("m", "n")), quota=Quota(requests=1))
    sim = simulator(key)
    for number in range(3):
        sim.ask(0.0, an_ask(f"m{number}", "ann", "m", deadline=50.0), service=1.0)
    sim.ask(1.0, an_ask("other", "bob", "n"), service=1.0)
    sim.run(until=2.0)
    assert sim.requests["other"].wait == 0.0


def test_no_request_passes_a_head_into_the_limit_for_which_it_waits_by_another_name_of_the_model() -> None:
    key = replace(a_key("k1", 8, models=("m", "m-2026-01-01")), quota=Quota(tokens=60_000))
    pool = Pool([key], QueueLimits(headroom=0))
    pool.submit(an_ask("first", "ann", input_tokens=55_000), 0.0)
    pool.submit(an_ask("head", "bob", input_tokens=50_000), 0.0)
    for number in range(5):
        pool.submit(an_ask(f"small{number}", f"p{number}", "m-2026-01-01", input_tokens=10), 0.1)
    assert [running(pool, f"p{number}") for number in range(5)] == [0] * 5


# Weights, debts, credit


@pytest.mark.parametrize(("old", "new"), [(8.0, 1.0), (1.0, 8.0), (2.0, 1.0)])
def test_a_new_weight_keeps_what_a_flow_is_ahead_in_cost(old: float, new: float) -> None:
    queue = FairQueue()
    first = a_ticket("one", "ann", 80.0, old)
    queue.submit(first)
    queue.dispatch(lambda ticket: a_key())
    lead = (queue.flows["ann"].counter - queue.virtual_time) * old
    queue.submit(a_ticket("two", "ann", 1.0, new))
    assert (queue.flows["ann"].counter - queue.virtual_time) * new == pytest.approx(lead)
    assert queue.active_weight == new


def test_guesses_in_flight_do_not_move_the_time() -> None:
    queue = FairQueue()
    flood = [a_ticket(f"f{number}", "flo", 30_000.0) for number in range(10)]
    for ticket in flood:
        queue.submit(ticket)
    for _ in range(8):
        queue.dispatch(lambda ticket: a_key())
    queue.submit(a_ticket("polite", "ann", 100.0))
    for ticket in flood[:8]:
        queue.finish(ticket, 300.0)
    assert queue.flows["ann"].counter <= queue.flows["flo"].counter


def test_the_largest_request_is_forgotten_after_ten_minutes_and_one_that_was_never_sent_does_not_count() -> None:
    largest = Largest()
    largest.note(100.0, 0.0)
    largest.note(7.0, 301.0)
    assert largest.value == 100.0
    largest.note(7.0, 700.0)
    assert largest.value == 7.0
    queue = FairQueue()
    huge = a_ticket("huge", "eve", 1e9)
    queue.submit(huge)
    queue.cancel(huge)
    assert queue.largest.value == 0.0


# Leaving, and what cannot be served


@pytest.mark.parametrize("metered", [False, True])
def test_who_leaves_a_plain_answer_pays_for_the_time_that_it_took(metered: bool) -> None:
    pool = Pool([a_key("k1", 1)])
    ask = an_ask("a", "ann")._replace(most_output=None)
    ticket, _ = pool.submit(ask, 0.0)
    if metered:
        pool.progress(ticket, 10)
    pool.break_off(ticket, Tokens(100, 0, 10), 60.0, left=True)
    written = 10 if metered else pool.pricing.speeds.written("m", 60.0)
    assert ticket.charged == pool.pricing.costs.cost(Tokens(100, 0, written))


def test_who_leaves_in_flight_pays_and_never_for_more_than_was_asked_for() -> None:
    pool = Pool([a_key("k1", 1)])
    ticket, _ = pool.submit(an_ask("a", "ann"), 0.0)
    pool.cancel(ticket, 1000.0)
    assert ticket.charged == pool.pricing.costs.cost(Tokens(100, 0, 100))


def test_a_plain_answer_that_outgrows_its_guess_is_charged_while_it_runs() -> None:
    pool = Pool([a_key("k1", 2)])
    long, _ = pool.submit(an_ask("a", "ann")._replace(most_output=None), 0.0)
    guess = long.charged
    pool.submit(an_ask("b", "bob"), 0.0)
    pool.submit(an_ask("c", "bob"), 0.0)
    pool.tick(100.0)
    assert long.charged > guess
    assert long.charged == pool.pricing.costs.cost(Tokens(100, 0, pool.pricing.speeds.written("m", 100.0)))


def test_a_prompt_that_no_bucket_can_ever_hold_is_refused_at_once() -> None:
    small, large = (replace(a_key(f"k{n}"), quota=Quota(tokens=n * 30_000)) for n in (1, 2))
    decisions = Pool([small]).submit(an_ask("a", "ann", input_tokens=36_000), 0.0)[1]
    assert [each.reason for each in decisions if isinstance(each, Refuse)] == [Reason.TOO_LARGE]
    assert isinstance(Pool([small, large]).submit(an_ask("a", "ann", input_tokens=36_000), 0.0)[1][0], Grant)
    limited_by_input = replace(a_key("k3"), quota=Quota(tokens=30_000, input=30_000))
    assert isinstance(Pool([limited_by_input]).submit(an_ask("a", "ann", input_tokens=36_000), 0.0)[1][0], Grant)


# What a failure costs


class Counted(QueueAdmission):
    """Counts the tickets that are looked at when a key has failed."""

    looked_at = 0

    def hopeless(self, ticket: Ticket, now: float) -> Refuse | None:
        self.looked_at += 1
        return super().hopeless(ticket, now)


@pytest.mark.slow
def test_a_failure_looks_only_at_those_whose_time_ends_before_a_key_opens() -> None:
    pool = Pool([a_key("k1", 1), a_key("k2", 1)], QueueLimits(total=10**6, per_person=10**6))
    pool.admission = admission = Counted(pool.keyring, pool.areas, pool.pricing, pool.limits)
    for number in range(5000):
        pool.submit(an_ask(f"t{number}", f"p{number % 100}", deadline=1000.0 + number), 0.0)
    admission.looked_at = 0
    assert pool.learn("k1", KeyEvent.FAILED, 1.0, "m") == []
    assert admission.looked_at == 0, "another key stands well"
    decisions = pool.learn("k2", KeyEvent.OUT_OF_QUOTA, 2.0)
    assert decisions == [], "the first key opens before the first deadline"
    assert admission.looked_at == 0
    refused = [each for each in pool.learn("k1", KeyEvent.OUT_OF_QUOTA, 3.0) if isinstance(each, Refuse)]
    assert len(refused) == sum(1000.0 + number < 3602.0 for number in range(5000)) - 2, "two are in flight"
    assert admission.looked_at == len(refused)


# Parties


def of_group(number: int, person: str, party: str, weight: float = 1.0) -> Ask:
    return Ask(f"{person}-{number}", person, "m", OPENAI, 100, 100, 1e9, party=party, party_weight=weight)


def test_parties_have_equal_shares_and_so_have_the_persons_within_them() -> None:
    sim = simulator(a_key(slots=1))
    for number in range(60):
        sim.ask(0.0, of_group(number, "ann", "small"), service=1.0)
        for person in ("bob", "eve", "joe"):
            sim.ask(0.0, of_group(number, person, "large"), service=1.0)
    sim.run(until=59.5)
    had = Counter(context.ticket.person for context in sim.order)
    assert had["ann"] == pytest.approx(30, abs=1)
    assert [had[person] for person in ("bob", "eve", "joe")] == pytest.approx([10, 10, 10], abs=1)
    sim.run()
    sim.assert_empty()
    assert sim.pool.areas.queue("m").fair.active_weight == 0.0


def test_a_party_of_twice_the_weight_has_twice_the_share() -> None:
    sim = simulator(a_key(slots=1))
    for number in range(60):
        sim.ask(0.0, of_group(number, "ann", "light"), service=1.0)
        sim.ask(0.0, of_group(number, "bob", "heavy", 2.0), service=1.0)
    sim.run(until=59.5)
    had = Counter(context.ticket.person for context in sim.order)
    assert [had["ann"], had["bob"]] == pytest.approx([20, 40], abs=1)


def test_who_belongs_to_two_parties_is_counted_in_each_and_waits_as_one_person() -> None:
    pool = Pool([a_key(slots=1)], QueueLimits(per_person=3))
    for number in range(5):
        pool.submit(of_group(number, "ann", f"g{number % 2}"), 0.0)
    assert pool.tally.refusals == {Reason.QUEUE_FULL: 1}, "one runs and three wait"
    assert sorted(pool.areas.queue("m").fair.parties) == ["g0", "g1"]


def test_a_full_queue_sheds_the_longest_party() -> None:
    pool = Pool([a_key(slots=1)], QueueLimits(total=6))
    for number in range(7):
        pool.submit(of_group(number, f"sybil{number}", "eve's"), 0.0)
    _, decisions = pool.submit(of_group(0, "ann", "ann's"), 1.0)
    assert [each.ticket.party for each in decisions] == ["eve's"]
    assert len(pool.tickets) == 7


verbs = st.lists(st.tuples(st.sampled_from(["submit", "submit", "finish", "cancel"]), st.integers(0, 11)), max_size=80)


@settings(max_examples=100, deadline=None)
@given(verbs)
@pytest.mark.slow
def test_a_party_is_what_its_flows_are_and_is_forgotten_with_them(ops: list[tuple[str, int]]) -> None:
    queue = FairQueue()
    running: list[Ticket] = []
    waiting: list[Ticket] = []
    for count, (verb, number) in enumerate(ops):
        if verb == "submit":
            ticket = replace(a_ticket(f"t{count}", f"p{number}", 1.0 + number), party=f"g{number % 3}")
            queue.submit(ticket)
            waiting.append(ticket)
        elif verb == "finish" and running:
            queue.finish(running.pop(number % len(running)), 3.0)
        elif verb == "cancel" and waiting:
            queue.cancel(waiting.pop(number % len(waiting)))
        while len(running) < 3 and (found := queue.dispatch(lambda ticket: a_key())) is not None:
            running.append(found[0])
            waiting.remove(found[0])
        for party in queue.parties.values():
            flows = [flow for flow in queue.flows.values() if flow.party is party]
            assert party.flows == len(flows) > 0
            assert (party.waiting, party.running) == (sum(f.waiting for f in flows), sum(f.running for f in flows))
        active = [party for party in queue.parties.values() if party.waiting or party.running]
        assert queue.active_weight == pytest.approx(sum(party.weight for party in active))
        assert queue.waiting == len(waiting)
