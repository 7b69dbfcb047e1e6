"""Providers that refuse and do not say why: what they refuse, and what is lost, in virtual time on the real pool."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from random import Random
from statistics import mean

import pytest

from keypool.domains import Domain, Need, Sent
from keypool.estimates import Tokens
from keypool.health import KeyEvent
from keypool.hidden import HiddenPace, HiddenRecord, Trailing
from keypool.keys import Key
from keypool.limits import LimitMeasure, RateWindow
from keypool.messages import Ask, Decision, Grant
from keypool.pool import Pool
from keypool.ticket import Ticket
from keypool.verdict import Verdict
from tests.keypool.making import OPENAI, a_key

MINUTE = 60.0
LATENCY = 0.1  # seconds until a refusal, or the first byte of an answer, is here


@dataclass
class Provider:
    """Hidden limits: token buckets that hold a minute's worth, or windows by the clock, and requests in flight."""

    rpm: float | None = None
    tpm: float | None = None
    flights: int | None = None
    fixed: bool = False  # the minute of the clock, not a bucket
    levels: dict[str, float] = field(default_factory=dict)
    at: float = 0.0
    running: int = 0

    def admits(self, tokens: int, now: float) -> bool:
        needs = {"rpm": (self.rpm, 1.0), "tpm": (self.tpm, float(tokens))}
        for name, (limit, _) in needs.items():
            if limit is not None:
                level = self.levels.get(name, limit)
                if self.fixed:
                    level = limit if now // MINUTE > self.at // MINUTE else level
                else:
                    level = min(limit, level + (now - self.at) * limit / MINUTE)
                self.levels[name] = level
        self.at = now
        refused = self.flights is not None and self.running >= self.flights
        refused = refused or any(
            limit is not None and self.levels[name] < need for name, (limit, need) in needs.items()
        )
        if not refused:
            self.running += 1
            for name, (limit, need) in needs.items():
                if limit is not None:
                    self.levels[name] -= need
        return not refused


class World:
    """A pool, its provider, and people who always want more (`waiting` requests) or come in bursts."""

    def __init__(
        self,
        keys: Iterable[Key],
        provider: Provider,
        seconds: float = 6.0,
        tokens: Callable[[Random], int] = lambda dice: 400,
        models: tuple[str, ...] = ("m",),
        seed: int = 7,
    ) -> None:
        self.pool, self.provider = Pool(keys), provider
        self.seconds, self.tokens, self.models = seconds, tokens, models
        self.dice, self.now = Random(seed), 0.0
        self.sent = self.refused = 0
        self.taken: list[float] = []  # instants
        self.tokens_taken = 0
        self.busy = 0.0  # seconds in flight
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def at(self, when: float, action: Callable[[], None]) -> None:
        heappush(self._events, (when, next(self._order), action))

    def run(self, until: float) -> None:
        while True:
            due, planned = self.pool.next_wakeup(), self._events[0][0] if self._events else until + 1.0
            self.now = min(planned, until + 1.0 if due is None else max(due, self.now))
            if self.now > until:
                self.now = until
                return
            if planned <= self.now:
                heappop(self._events)[2]()
            else:
                self._carry_out(self.pool.tick(self.now))

    def ask(self, model: str = "m") -> None:
        number, tokens = next(self._order), self.tokens(self.dice)
        ask = Ask(f"r{number}", f"p{number % 5}", model, OPENAI, tokens, 100, self.now + 1e6)
        _, decisions = self.pool.submit(ask, self.now)
        self._carry_out(decisions)

    def keep(self, waiting: int) -> None:
        """From now on so many always wait."""

        def fill() -> None:
            for model in self.models:
                for _ in range(waiting - sum(t.waiting and t.model == model for t in self.pool.tickets.values())):
                    self.ask(model)
            self.at(self.now + 1.0, fill)

        fill()

    def burst(self, size: int, every: float) -> None:
        for _ in range(size):
            self.ask()
        self.at(self.now + every, lambda: self.burst(size, every))

    def _carry_out(self, decisions: list[Decision]) -> None:
        for decision in decisions:
            if isinstance(decision, Grant):
                self._send(decision.ticket, decision.ticket.attempts)

    def _send(self, ticket: Ticket, attempt: int) -> None:
        self.sent += 1
        tokens = ticket.need.input + 100
        if not self.provider.admits(tokens, self.now):
            self.refused += 1
            self.at(self.now + LATENCY, lambda: self._refused(ticket))
            return
        self.taken.append(self.now)
        self.tokens_taken += tokens
        service = self.dice.lognormvariate(0.0, 0.5) * self.seconds
        self.busy += service
        self.at(self.now + LATENCY, lambda: self._carry_out(self.pool.answered(ticket, self.now)))
        self.at(self.now + LATENCY + service, lambda: self._ended(ticket))

    def _refused(self, ticket: Ticket) -> None:
        self._carry_out(self.pool.failed(ticket, Verdict(KeyEvent.RATE_LIMITED), self.now))

    def _ended(self, ticket: Ticket) -> None:
        self.provider.running -= 1
        self._carry_out(self.pool.finish(ticket, Tokens(ticket.need.input, 0, 100), self.now))

    @property
    def refusals(self) -> float:
        return self.refused / self.sent

    def per_minute(self, since: float = 0.0) -> float:
        return sum(when >= since for when in self.taken) * MINUTE / (self.now - since)


def played(
    provider: Provider,
    minutes: int,
    *slots: int,
    seconds: float = 6.0,
    tokens: Callable[[Random], int] = lambda dice: 400,
    models: tuple[str, ...] = ("m",),
    seed: int = 7,
) -> World:
    """Twenty always wait for each model, on one key for each number of slots."""
    keys = [a_key(f"k{number}", each, models=models) for number, each in enumerate(slots)]
    world = World(keys, provider, seconds, tokens, models, seed)
    world.keep(20)
    world.run(minutes * MINUTE)
    return world


def of_any_size(dice: Random) -> int:
    """Half of them within a factor of two around 400 tokens, some ten times as large."""
    return int(dice.lognormvariate(6, 1))


def soaked(*values: float) -> object:
    """A case between two others that every run has: each world is half an hour of some thousand requests."""
    return pytest.param(*values, marks=pytest.mark.soak)


# What binds is found, and used


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [1.0, soaked(6.0), 20.0])
def test_a_hidden_rate_of_fifty_is_hardly_ever_refused_and_used_to_the_full(seconds: float) -> None:
    world = played(Provider(rpm=50), 30, 64, seconds=seconds)
    assert world.refusals <= 0.02
    assert world.per_minute(since=60.0) >= 0.95 * 50


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [soaked(1.0), 6.0, soaked(20.0)])
def test_a_hidden_rate_of_three_is_refused_one_time_in_ten_at_most(seconds: float) -> None:
    """In half an hour, on average: it is a hundred requests, of which one more or less is chance."""
    worlds = [played(Provider(rpm=3), 30, 8, seconds=seconds, seed=seed) for seed in range(1, 17)]
    assert mean(world.refusals for world in worlds) <= 0.10
    assert mean(world.per_minute(since=60.0) for world in worlds) >= 0.9 * 3


@pytest.mark.slow
@pytest.mark.parametrize(("flights", "seconds"), [(8, 6.0), soaked(8, 20.0), soaked(16, 6.0), (16, 20.0)])
def test_a_hidden_limit_in_flight_keeps_its_slots_busy(flights: int, seconds: float) -> None:
    world = played(Provider(flights=flights), 15, 20, seconds=seconds)
    assert world.busy / world.now >= 0.95 * flights
    assert world.refusals <= 0.1


@pytest.mark.slow
def test_a_hidden_rate_of_tokens_is_paced_by_tokens() -> None:
    world = played(Provider(tpm=40_000), 30, 64, tokens=of_any_size)
    assert world.refusals <= 0.02
    assert world.tokens_taken / 30 >= 0.95 * 40_000


@pytest.mark.slow
def test_sizes_do_not_hide_a_rate_of_requests() -> None:
    world = played(Provider(rpm=50), 30, 64, tokens=of_any_size)
    assert world.refusals <= 0.02
    assert world.per_minute(since=60.0) >= 0.9 * 50


@pytest.mark.slow
def test_two_keys_of_one_organisation_find_their_common_rate() -> None:
    world = played(Provider(rpm=50), 30, 32, 32)
    assert world.refusals <= 0.02
    assert world.per_minute(since=60.0) >= 0.95 * 50


@pytest.mark.slow
def test_models_that_share_a_rate_use_it_to_the_full() -> None:
    world = played(Provider(rpm=50), 30, 64, models=("m", "n", "o"))
    assert world.refusals <= 0.1
    assert world.per_minute(since=60.0) >= 0.95 * 50


def test_a_window_by_the_clock_costs_throughput_and_few_refusals() -> None:
    """Such a window is refused until its minute is over, without a word: a provider of this kind sends a reset."""
    world = played(Provider(rpm=50, fixed=True), 30, 8)
    assert world.refusals <= 0.05
    assert world.per_minute() >= 0.5 * 50


# What changes is found again


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after", "within"), [(50, 150, 8), soaked(150, 50, 4), soaked(3, 30, 15), (30, 3, 4)]
)
def test_a_rate_that_is_raised_or_lowered_is_found_within_minutes(before: int, after: int, within: int) -> None:
    provider = Provider(rpm=before)
    world = World([a_key("k1", 64)], provider)
    world.keep(100)
    world.at(20 * MINUTE, lambda: setattr(provider, "rpm", after))
    world.run((20 + within) * MINUTE)
    found = world.now
    world.run(found + 15 * MINUTE)
    assert 0.9 * after <= world.per_minute(since=found) <= 1.1 * after
    assert world.refusals <= (0.02 if before >= 50 else 0.1)


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(4, 16), (16, 4)])
def test_a_limit_in_flight_that_is_raised_or_lowered_is_found_within_a_quarter_of_an_hour(
    before: int, after: int
) -> None:
    provider = Provider(flights=before)
    world = World([a_key("k1", 20)], provider)
    world.keep(60)
    world.at(10 * MINUTE, lambda: setattr(provider, "flights", after))
    world.run(25 * MINUTE)
    busy = world.busy
    world.run(40 * MINUTE)
    assert (world.busy - busy) / (15 * MINUTE) >= 0.9 * after


@pytest.mark.parametrize(("size", "every"), [(40, 60.0), (20, 60.0)])
def test_bursts_that_the_provider_takes_are_never_held_back(size: int, every: float) -> None:
    world = World([a_key("k1", 64)], Provider(rpm=50))
    world.burst(size, every)
    world.run(30 * MINUTE)
    assert world.refused == 0
    assert len(world.taken) == size * 31


def test_a_burst_beyond_the_rate_is_refused_once_and_the_next_ones_hardly() -> None:
    world = World([a_key("k1", 64)], Provider(rpm=50))
    world.burst(100, 600.0)
    world.run(60 * MINUTE)
    assert world.refused <= 20


# One refusal


def test_one_refusal_of_a_provider_in_trouble_slows_nothing_for_long() -> None:
    provider = Provider()
    world = World([a_key("k1", 64)], provider)
    world.ask()
    world.run(20.0)
    world.at(20.0, lambda: setattr(provider, "flights", 0))
    world.at(20.0, world.ask)
    world.at(20.5, lambda: setattr(provider, "flights", None))
    world.at(21.0, lambda: world.keep(20))
    world.run(80.0)
    assert world.refused >= 1
    assert len(world.taken) >= 200


# Beside limits that the provider sends


def refused(domain: Domain, sent: Sent, now: float) -> None:
    domain.limited(now, 1.0, sent)
    domain.give(sent.need, None, now)


def test_a_refusal_that_a_known_limit_explains_hides_nothing() -> None:
    domain = Domain("d", {}, members={"k1": 8})
    for number in range(6):
        sent = domain.take(Need(100, 0), float(10 * number))
        domain.learn({LimitMeasure.REQUESTS: RateWindow(60, 0, 60.0)}, sent, 10.0 * number)
        refused(domain, sent, 10.0 * number)
    domain.wait(Need(100, 0), 100.0)
    assert domain.hidden.pace is None


def test_a_refusal_that_no_known_limit_explains_is_of_a_hidden_rate() -> None:
    """Groq tells the requests of a day and not those of a minute."""
    domain, now = Domain("d", {}, members={"k1": 8}), 0.0
    domain.learn({LimitMeasure.REQUESTS: RateWindow(14_400, 14_000, None)}, {}, now)
    for number in range(40):
        now += 0.1
        sent = domain.take(Need(100, 0), now)
        if number >= 30:
            domain.learn({LimitMeasure.REQUESTS: RateWindow(14_400, 13_970, None)}, sent, now)
            refused(domain, sent, now)
            now += domain.wait(Need(100, 0), now)
        else:
            domain.answered(now, sent)
    assert domain.hidden.pace is not None
    assert domain.hidden.pace.span > 0.0
    assert domain.hidden.width == 1.0


def test_headers_end_what_was_believed_without_them() -> None:
    domain = Domain("d", {}, members={"k1": 8})
    for now in (0.0, 10.0):
        refused(domain, domain.take(Need(1, 0), now), now)
    domain.wait(Need(1, 0), 20.0)
    assert domain.hidden.pace is not None
    domain.learn({LimitMeasure.TOKENS: RateWindow(1000, 1000, None)}, {}, 20.0)
    assert domain.hidden.pace is None


# Parts


def test_a_record_is_kept_for_five_minutes_and_ten_at_most() -> None:
    record = HiddenRecord()
    record.note(9.0, 0.0)
    record.note(3.0, 299.0)
    record.note(3.0, 301.0)
    assert record.value == 9.0
    record.note(2.0, 602.0)
    assert record.value == 3.0
    record.note(1.0, 5000.0)
    assert record.value == 1.0


def test_a_pace_grows_soon_then_flat_then_ever_faster_and_only_while_it_holds_something_back() -> None:
    pace = HiddenPace(1.0, 100.0, tokens=False, at=0.0, taken=0.0)
    rates = []
    for age in (0, 50, 100, 150, 200, 260, 320):
        pace.age = float(age)
        rates.append(pace.rate)
    assert rates == pytest.approx([0.9, 0.9875, 1.0, 1.0125, 1.1, 2.2, 4.4])
    pace.age = 0.0
    pace.take(1, 1000.0)
    assert pace.age == 0.0, "nothing waited"
    assert pace.wait(1, 1000.0) == 0.0, "ten seconds' worth is saved up"
    for _ in range(8):
        pace.take(1, 1000.0)
    wait = pace.wait(1, 1000.0)
    assert wait > 0.0
    pace.take(1, 1000.0 + wait)
    assert pace.age == pytest.approx(wait)


def test_what_the_provider_took_is_counted_for_a_minute() -> None:
    taken = Trailing()
    taken.add(1, 100, 0.0)
    taken.add(1, 50, 30.0)
    taken.add(-1, -50, 30.2)
    assert (taken.requests, taken.tokens) == (1, 100)
    taken.expire(60.0)
    assert (taken.requests, taken.tokens, taken.since_requests) == (0, 0, 1)
