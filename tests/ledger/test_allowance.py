"""An outage stops nobody for a while, and nobody spends what was not leased."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from server.ledger.allowance import LEASE_MS, LONGEST_MS, SEEN_MS, WATCHED, Allowances
from server.ledger.quota import Charge, Hold, Reservation

NOW = 1_800_000_000_000
MOST = 500


def allowances(most: int = MOST) -> Allowances:
    return Allowances("me", lambda counter: most)


def hold(amount: int, counter: str = "pot", limit: int = 10_000) -> Hold:
    return Hold(counter, amount, limit)


def leased(counter: str = "pot", now: int = NOW) -> Allowances:
    """Holding one lease of 200 on a counter whose requests take 10 each."""
    it = allowances()
    it.seen([hold(10, counter)], [0], now)
    (reservation,) = it.due(now)
    it.given(reservation.request_id)
    return it


def test_a_lease_is_a_small_part_of_what_is_left() -> None:
    it = allowances()
    it.seen([hold(10)], [4_000], NOW)
    assert it.due(NOW) == [Reservation("lease-me-1", "me", (Hold("pot", 120, 10_000),), NOW + LEASE_MS)]
    assert it.due(NOW) == []


def test_a_lease_is_never_larger_than_the_operator_wants() -> None:
    it = allowances(most=50)
    it.seen([hold(10)], [0], NOW)
    assert [each.holds[0].amount for each in it.due(NOW)] == [50]


def test_there_is_no_lease_that_a_usual_request_would_not_fit_into() -> None:
    it = allowances()
    it.seen([hold(200)], [0], NOW)
    assert it.due(NOW) == []
    nothing = allowances(most=0)
    nothing.seen([hold(0)], [0], NOW)
    assert nothing.due(NOW) == []


def test_what_is_usual_is_learnt() -> None:
    it = allowances()
    it.seen([hold(2_000)], [0], NOW)
    for _ in range(40):
        it.seen([hold(10)], [0], NOW)
    assert len(it.due(NOW)) == 1


def test_a_request_takes_from_the_leases_of_all_its_counters_or_nothing() -> None:
    it = allowances()
    it.seen([hold(10), hold(10, "jar")], [0, 0], NOW)
    pot, jar = it.due(NOW)
    it.given(pot.request_id)
    assert not it.take("one", [hold(10), hold(10, "jar")], NOW)
    it.given(jar.request_id)
    assert it.take("one", [hold(10), hold(190, "jar")], NOW)
    assert not it.take("two", [hold(10), hold(11, "jar")], NOW)
    assert it.take("three", [hold(190), hold(10, "jar")], NOW)
    assert not it.take("four", [hold(1)], NOW)


def test_who_needs_nothing_may_always_go_on() -> None:
    assert allowances().take("one", [], NOW)


def test_taking_twice_is_taking_once() -> None:
    it = leased()
    for _ in range(3):
        assert it.take("one", [hold(200)], NOW)


def test_what_a_request_did_not_use_another_one_may_take() -> None:
    it = leased()
    assert it.take("one", [hold(200)], NOW)
    it.settle("one", [Charge("pot", 50)])
    assert not it.take("two", [hold(151)], NOW)
    assert it.take("two", [hold(150)], NOW)


def test_a_request_that_was_never_sent_leaves_the_lease_as_it_was() -> None:
    it = leased()
    assert it.take("one", [hold(200)], NOW)
    it.settle("one", [])
    it.written("one")
    assert it.give_back(NOW) == []
    assert it.take("two", [hold(200)], NOW)


def test_a_lease_stands_for_what_was_spent_until_the_store_knows_it() -> None:
    it = leased()
    it.take("one", [hold(10)], NOW)
    it.settle("one", [Charge("pot", 10)])
    assert it.give_back(NOW) == it.release_for("pot") == it.close() == []
    it.written("one")
    assert it.close() == ["lease-me-1"]


def test_a_lease_from_which_was_spent_serves_on_until_the_store_is_back() -> None:
    it = leased()
    it.take("one", [hold(10)], NOW)
    it.settle("one", [Charge("pot", 10)])
    assert it.give_back(NOW) == []
    assert it.take("two", [hold(190)], NOW)


def test_a_worn_lease_is_given_back_and_a_fresh_one_made() -> None:
    it = leased()
    it.take("one", [hold(10)], NOW)
    it.settle("one", [Charge("pot", 10)])
    it.written("one")
    (fresh,) = it.due(NOW)
    assert it.give_back(NOW) == ["lease-me-1"]
    it.given(fresh.request_id)
    assert it.give_back(NOW) == []
    assert it.take("two", [hold(200)], NOW)


def test_a_lease_is_renewed_at_half_of_its_time_and_the_old_one_given_back() -> None:
    it, later = leased(), NOW + LEASE_MS // 2
    it.seen([hold(10)], [200], later - 1)
    assert it.due(later - 1) == []
    (renewal,) = it.due(later)
    assert (renewal.request_id, renewal.expires_at) == ("lease-me-2", later + LEASE_MS)
    assert it.give_back(later) == []
    it.given(renewal.request_id)
    assert it.give_back(later) == ["lease-me-1"]
    assert it.leases == 1


def test_a_request_that_might_outlive_the_lease_takes_nothing() -> None:
    it = leased()
    assert it.take("one", [hold(1)], NOW + LEASE_MS - LONGEST_MS)
    assert not it.take("two", [hold(1)], NOW + LEASE_MS - LONGEST_MS + 1)


def test_an_expired_lease_is_over_whatever_stands_against_it() -> None:
    it = leased()
    it.take("one", [hold(10)], NOW)
    assert it.give_back(NOW + LEASE_MS) == ["lease-me-1"]
    it.settle("one", [Charge("pot", 10)])
    it.written("one")
    assert (it.leases, it.close()) == (0, [])


def test_who_asks_for_nothing_any_more_keeps_no_lease() -> None:
    it = leased()
    assert it.give_back(NOW + SEEN_MS - 1) == []
    assert it.give_back(NOW + SEEN_MS) == ["lease-me-1"]
    assert it.due(NOW + SEEN_MS) == []


def test_a_request_that_was_refused_may_have_what_was_leased_and_no_lease_follows() -> None:
    it = leased()
    assert it.release_for("another") == []
    assert it.release_for("pot") == ["lease-me-1"]
    assert it.release_for("pot") == []
    assert it.due(NOW) == []
    it.seen([hold(10)], [0], NOW)
    assert len(it.due(NOW)) == 1


def test_a_counter_that_admits_no_lease_is_not_asked_again_at_once() -> None:
    it = allowances()
    it.seen([hold(10)], [0], NOW)
    (wanted,) = it.due(NOW)
    it.refused(wanted.request_id)
    assert (it.due(NOW), it.give_back(NOW), it.leases) == ([], [], 0)


def test_a_lease_that_nobody_knows_of_is_given_back_and_never_used() -> None:
    it = allowances()
    it.seen([hold(10)], [0], NOW)
    (wanted,) = it.due(NOW)
    it.doubted(wanted.request_id)
    assert not it.take("one", [hold(1)], NOW)
    assert it.due(NOW) == []
    assert it.give_back(NOW) == [wanted.request_id]


def test_closing_gives_back_what_is_on_its_way_too() -> None:
    it = leased()
    it.seen([hold(10, "jar")], [0], NOW)
    (wanted,) = it.due(NOW)
    assert it.close() == ["lease-me-1", wanted.request_id]
    assert (it.leases, it.close()) == (0, [])


@pytest.mark.slow
def test_it_watches_only_so_many_counters() -> None:
    it = allowances()
    it.seen([hold(1, f"c{number}") for number in range(WATCHED + 5)], [0] * (WATCHED + 5), NOW)
    assert len(it.due(NOW)) == WATCHED


COUNTERS = ("pot", "jar")
LIMIT = 3_000


class World(RuleBasedStateMachine):
    """A store that comes and goes, ourselves, and somebody else who takes all that the store admits.

    Nobody uses more than was held for them. Then no counter ever exceeds its limit, not even with all that was spent
    offline and that the store does not know yet; and no lease is spent twice.
    """

    @initialize()
    def begin(self) -> None:
        self.now, self.up, self.numbers = NOW, True, 0
        self.ours = Allowances("me", lambda counter: 80)
        self.held: dict[str, tuple[tuple[Hold, ...], int]] = {}  # at the store, by id, until when
        self.spent: Counter[str] = Counter()  # settled at the store
        self.asked: list[Reservation] = []
        self.running: dict[str, list[Hold]] = {}  # offline
        self.unwritten: dict[str, list[Charge]] = {}
        self.ours.seen(self.holds(dict.fromkeys(COUNTERS, 10)), [0] * len(COUNTERS), self.now)
        self.leases_are_made()

    def taken(self, counter: str) -> int:
        return self.spent[counter] + sum(
            h.amount for holds, _ in self.held.values() for h in holds if h.counter == counter
        )

    def admits(self, holds: list[Hold]) -> bool:
        return all(self.taken(hold.counter) + hold.amount <= hold.limit for hold in holds)

    def release(self, lease_ids: list[str]) -> None:
        for lease_id in lease_ids:
            self.held.pop(lease_id, None)

    def holds(self, amounts: dict[str, int]) -> list[Hold]:
        return [Hold(counter, amount, LIMIT) for counter, amount in amounts.items()]

    @rule(up=st.booleans())
    def the_store_comes_or_goes(self, up: bool) -> None:
        self.up = up

    @precondition(lambda self: not self.running and not self.unwritten)
    @rule(seconds=st.sampled_from([1, 300, 700, 1_900, 3_700]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds * 1_000
        for lease_id, (_, expires_at) in list(self.held.items()):
            if self.now >= expires_at:
                del self.held[lease_id]

    @precondition(lambda self: self.up)
    @rule(amounts=st.dictionaries(st.sampled_from(COUNTERS), st.integers(0, 30), min_size=1))
    def a_request_comes_online(self, amounts: dict[str, int]) -> None:
        holds = self.holds(amounts)
        if not self.admits(holds):
            for hold in holds:
                self.release(self.ours.release_for(hold.counter))
        if self.admits(holds):
            self.spent.update(amounts)
            self.ours.seen(holds, [self.taken(hold.counter) for hold in holds], self.now)

    @precondition(lambda self: self.up)
    @rule(counter=st.sampled_from(COUNTERS), part=st.sampled_from([0.5, 1.0]))
    def somebody_else_takes_what_is_left(self, counter: str, part: float) -> None:
        self.spent[counter] += int(part * max(0, LIMIT - self.taken(counter)))

    @rule()
    def leases_are_asked_for(self) -> None:
        self.asked += self.ours.due(self.now)

    @rule()
    def leases_are_made(self) -> None:
        self.leases_are_asked_for()
        while self.asked:
            self.the_store_answers(answer_lost=False)

    @precondition(lambda self: self.asked)
    @rule(answer_lost=st.booleans())
    def the_store_answers(self, answer_lost: bool) -> None:
        wanted = self.asked.pop(0)
        admitted = self.up and self.admits(list(wanted.holds))
        if admitted:
            self.held[wanted.request_id] = (wanted.holds, wanted.expires_at)
        if answer_lost or not self.up:
            self.ours.doubted(wanted.request_id)
        elif admitted:
            self.ours.given(wanted.request_id)
        else:
            self.ours.refused(wanted.request_id)

    @rule(amounts=st.dictionaries(st.sampled_from(COUNTERS), st.integers(1, 40), min_size=1))
    def a_request_comes_offline(self, amounts: dict[str, int]) -> None:
        self.numbers += 1
        holds = self.holds(amounts)
        if self.ours.take(f"r{self.numbers}", holds, self.now):
            self.running[f"r{self.numbers}"] = holds

    @precondition(lambda self: self.running)
    @rule(part=st.sampled_from([0.0, 0.5, 1.0]))
    def one_ends(self, part: float) -> None:
        request_id, holds = self.running.popitem()
        charges = [Charge(hold.counter, int(part * hold.amount)) for hold in holds]
        self.unwritten[request_id] = [charge for charge in charges if charge.amount]
        self.ours.settle(request_id, charges)

    @precondition(lambda self: self.up and self.unwritten)
    @rule()
    def one_is_written(self) -> None:
        request_id, charges = self.unwritten.popitem()
        for charge in charges:
            self.spent[charge.counter] += charge.amount
        self.ours.written(request_id)

    @precondition(lambda self: self.up)
    @rule()
    def leases_are_given_back(self) -> None:
        self.release(self.ours.give_back(self.now))

    @invariant()
    def nothing_is_overspent(self) -> None:
        if not hasattr(self, "held"):
            return
        leases = Counter[str]()
        for holds, _ in self.held.values():
            leases.update({hold.counter: hold.amount for hold in holds})
        offline = Counter[str]()
        for taken in self.running.values():
            offline.update({hold.counter: hold.amount for hold in taken})
        for charges in self.unwritten.values():
            offline.update({charge.counter: charge.amount for charge in charges})
        for counter in COUNTERS:
            assert offline[counter] <= leases[counter]
            assert self.spent[counter] + offline[counter] <= LIMIT

    def teardown(self) -> None:
        if not hasattr(self, "held"):
            return
        self.up = True
        while self.asked:
            self.the_store_answers(answer_lost=False)
        while self.running:
            self.one_ends(part=1.0)
        while self.unwritten:
            self.one_is_written()
        self.release(self.ours.close())
        assert self.held == {}
        assert all(self.spent[counter] <= LIMIT for counter in COUNTERS)
        assert self.ours.leases == 0


TestWorld = pytest.mark.slow(World.TestCase)
TestWorld.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)


@pytest.mark.parametrize("longest", [1, LONGEST_MS, LEASE_MS, 4 * LEASE_MS])
def test_a_lease_is_of_use_however_long_a_request_may_last(longest: int) -> None:
    it = Allowances("me", lambda counter: 1_000, longest)
    it.seen([hold(1)], [0], NOW)
    (asked,) = it.due(NOW)
    it.given(asked.request_id)
    half = (asked.expires_at - NOW) // 2
    assert it.take("one", [hold(1)], NOW)
    assert it.take("two", [hold(1)], NOW + half), "an outage begins when it would have been renewed"
