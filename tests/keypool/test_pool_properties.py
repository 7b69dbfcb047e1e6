"""Whatever is said to the pool, in whatever order: its books balance after every word."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keypool.domains import Quota
from keypool.estimates import Tokens
from keypool.health import KeyEvent
from keypool.keys import Key
from keypool.limits import LimitMeasure, RateWindow
from keypool.pool import Ask, Decision, GiveUp, Grant, Pool, QueueLimits, Refuse
from keypool.ticket import Ticket
from keypool.verdict import CALLERS_FAULT, NONSENSE, TOO_SLOW, UNREACHABLE, Verdict
from tests.keypool.making import NO_MODEL, NO_QUOTA, REFUSED, limited

PERSONS, MODELS, ORGANISATIONS = ("ann", "bob", "eve"), ("m", "n"), ("", "acme")
VERDICTS = (CALLERS_FAULT, NONSENSE, TOO_SLOW, UNREACHABLE, NO_MODEL, NO_QUOTA, REFUSED, limited(), limited(3.0))
WINDOWS = ({}, {LimitMeasure.REQUESTS: RateWindow(60, 5, 55.0)}, {LimitMeasure.TOKENS: RateWindow(10_000, 0, 60.0)})
VERBS = ("submit",) * 6 + ("answered", "finish", "finish", "break_off", "failed", "cancel", "learn", "add", "remove")
VERBS += ("offer", "progress", "tick", "tick")


@dataclass
class Play:
    """A pool, and what it has said so far. `dice` makes every choice."""

    pool: Pool
    dice: Random
    now: float = 0.0
    asked: int = 0
    added: int = 0
    answered: set[str] = field(default_factory=set)
    ends: Counter[str] = field(default_factory=Counter)

    def speak(self, verb: str) -> None:
        self.now += self.dice.choice((0.0, 0.01, 1.0, 7.0))
        due = self.pool.next_wakeup()
        if due is not None and due <= self.now:
            self.tick()
        getattr(self, verb)()
        self.assert_books()

    def submit(self) -> None:
        self.asked += 1
        dice = self.dice
        ask = Ask(
            id=f"r{self.asked}",
            person=dice.choice(PERSONS),
            model=dice.choice(MODELS),
            dialect=dice.choice(("openai", "anthropic")),
            input_tokens=dice.choice((10, 1000, 50_000)),
            most_output=dice.choice((None, 10, 1000)),
            deadline=self.now + dice.choice((1.0, 60.0, 1e6)),
            weight=dice.choice((1.0, 2.0)),
            conversation=dice.choice((b"", b"one", b"two")),
            max_wait=dice.choice((None, None, 0.0, 5.0)),
            batch=dice.choice((False, True)),
            running_cap=dice.choice((None, None, 1, 3)),
        )
        self.hear(self.pool.submit(ask, self.now)[1])

    def answered_(self, ticket: Ticket) -> None:
        self.answered.add(ticket.id)
        self.hear(self.pool.answered(ticket, self.now, self.dice.choice(WINDOWS)))

    def finish(self) -> None:
        if (ticket := self.one(running=True)) is not None:
            used = Tokens(ticket.need.input, self.dice.choice((0, ticket.need.input // 2)), self.dice.choice((0, 900)))
            self.end(ticket, self.pool.finish(ticket, used, self.now))

    def break_off(self) -> None:
        if (ticket := self.one(running=True)) is not None:
            self.end(ticket, self.pool.break_off(ticket, Tokens(ticket.need.input, 0, 3), self.now))

    def failed(self) -> None:
        ticket = self.one(running=True)
        if ticket is not None and ticket.id not in self.answered:
            verdict: Verdict = self.dice.choice(VERDICTS)
            self.hear(self.pool.failed(ticket, verdict, self.now, self.dice.choice(WINDOWS)))

    def cancel(self) -> None:
        if (ticket := self.one()) is not None:
            self.end(ticket, self.pool.cancel(ticket, self.now))
            assert self.pool.cancel(ticket, self.now) == []

    def progress(self) -> None:
        if (ticket := self.one(running=True)) is not None:
            self.pool.progress(ticket, self.dice.choice((1, 5000)))

    def learn(self) -> None:
        if self.pool.keys:
            key, event = self.dice.choice(sorted(self.pool.keys)), self.dice.choice(list(KeyEvent))
            self.hear(self.pool.learn(key, event, self.now, self.dice.choice(MODELS)))

    def add(self) -> None:
        self.added += 1  # who comes has a name of its own: `in_use` finds keys by name
        self.hear(self.pool.add(a_key(f"k{self.dice.randrange(6, 12)}-{self.added}", self.dice), self.now))

    def remove(self) -> None:
        if len(self.pool.keys) > 1:
            self.hear(self.pool.remove(self.dice.choice(sorted(self.pool.keys)), self.now))

    def offer(self) -> None:
        self.hear(self.pool.offer("acme", frozenset(self.dice.sample(MODELS, self.dice.randrange(1, 3))), self.now))

    def tick(self) -> None:
        self.hear(self.pool.tick(self.now))

    def one(self, *, running: bool = False) -> Ticket | None:
        tickets = [ticket for ticket in self.pool.tickets.values() if not running or ticket.key is not None]
        return self.dice.choice(tickets) if tickets else None

    def end(self, ticket: Ticket, decisions: list[Decision]) -> None:
        self.ends[ticket.id] += 1
        self.hear(decisions)

    def hear(self, decisions: list[Decision]) -> None:
        for decision in decisions:
            if isinstance(decision, Grant):
                assert decision.ticket.key is decision.key
                assert decision.ticket.id in self.pool.tickets
            else:
                assert isinstance(decision, Refuse | GiveUp)
                self.ends[decision.ticket.id] += 1

    def assert_books(self) -> None:
        pool, tickets = self.pool, self.pool.tickets.values()
        running = [ticket for ticket in tickets if ticket.key is not None]
        assert all(ticket.waiting != (ticket.key is not None) for ticket in tickets)
        assert Counter(ticket.key.id for ticket in running if ticket.key) == in_use(pool, running)
        assert sum(each.running for each in pool.keyring.domains.values()) == len(running)
        assert all(key.running <= key.slots for key in pool.keys.values())
        assert all(count == 1 for count in self.ends.values())
        assert not self.ends.keys() & pool.tickets.keys()
        held = {ticket.id for ticket in running}
        for key in pool.keys.values():
            assert {each.trial for each in (key.whole, *key.by_model.values())} <= held | {None}
        assert pool._pump(self.now) == [], "whatever could start has started"


def in_use(pool: Pool, running: list[Ticket]) -> Counter[str]:
    """What the keys themselves say: those of the pool, and removed ones that still serve a request."""
    keys = {ticket.key.id: ticket.key for ticket in running if ticket.key} | pool.keys
    return Counter({name: key.running for name, key in keys.items() if key.running})


def a_key(name: str, dice: Random) -> Key:
    return Key(
        id=name,
        upstream=dice.choice(("acme", "other")),
        dialects=frozenset(dice.choice((("openai",), ("anthropic",), ("openai", "anthropic")))),
        models=frozenset(dice.sample(MODELS, dice.randrange(1, 3))),
        slots=dice.choice((1, 2, 20)),
        organisation=dice.choice(ORGANISATIONS),
        quota=dice.choice((Quota(), Quota(requests=30), Quota(tokens=60_000), Quota(input=30_000, output=8_000))),
    )


@pytest.mark.slow
@settings(max_examples=120, deadline=None)
@given(
    st.lists(st.sampled_from(VERBS), min_size=1, max_size=120),
    st.integers(0, 2**32),
    st.sampled_from([QueueLimits(), QueueLimits(total=5, per_person=3), QueueLimits(cap=2), QueueLimits(headroom=2)]),
)
def test_after_every_word_the_books_of_the_pool_balance(verbs: list[str], seed: int, limits: QueueLimits) -> None:
    dice = Random(seed)
    play = Play(Pool([a_key(f"k{number}", dice) for number in range(4)], limits), dice)
    for verb in verbs:
        if verb == "answered":
            ticket = play.one(running=True)
            if ticket is not None:
                play.answered_(ticket)
        else:
            play.speak(verb)
    while play.pool.tickets:
        play.speak("cancel")
    assert play.asked == sum(play.ends.values())
    assert play.pool.next_wakeup() is None
    assert [
        queue.fair.waiting + queue.fair.running for queue in play.pool.areas.queues.values() if queue.fair.waiting
    ] == []
    assert all(each.running == 0 for each in play.pool.keyring.domains.values())
