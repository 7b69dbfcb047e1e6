"""One caller may provoke any answer that a request can provoke: the others notice nothing, and no key is lost.

A seeded simulation on the real pool, in virtual time. Four polite persons send what succeeds. One hostile person sends
as much as all of them together. Poison may fail before or after its first byte, or be rejected. In the control run that
person's requests are harmless and take twice as long, since a poisonous one may be asked of one other key. Keys that
are really broken fail all people.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import pytest

from keypool.blame import FLAKY_COUNT
from keypool.estimates import Tokens
from keypool.health import KeyState
from keypool.keys import Key
from keypool.pool import Grant, Pool
from keypool.verdict import (
    CALLERS_FAULT,
    DROPPED,
    FORBIDDEN,
    NO_MODEL,
    NONSENSE,
    OUR_BOUND,
    PERHAPS_NO_MONEY,
    REFUSED,
    TOO_SLOW,
    Verdict,
)
from tests.keypool.error_bodies import ROWS
from tests.keypool.making import MODEL, a_key, an_ask
from tests.keypool.simulator import SimulatedRequest, Simulator

SUSPECTED = {row.verdict for row in ROWS.values() if not row.verdict.sure}
PROVOKED = sorted(SUSPECTED | {NONSENSE, TOO_SLOW, OUR_BOUND}, key=repr)
POLITE = ("ann", "bob", "cat", "dan")
SECONDS = 400.0
BROKEN = (DROPPED, NONSENSE, FORBIDDEN, NO_MODEL, REFUSED, PERHAPS_NO_MONEY)
SERVICE = 4.0


@dataclass
class Poisoned(Simulator):
    """A simulator in which an attempt may also break off after its first byte, or be rejected.

    `states` are all that a key was ever seen in, apart from ready and unchecked.
    """

    pool: Pool
    states: set[KeyState] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__(self.pool)

    def _attempt_ends(self, context: SimulatedRequest, grant: Grant, attempt: int) -> None:
        verdict = None if context.ended or context.ticket.attempts != attempt else context.fate(grant)
        if verdict is BREAKS or verdict is REJECTED:
            self._ends_after_its_first_byte(context, broke=verdict is BREAKS)
        else:
            super()._attempt_ends(context, grant, attempt)
        self.states |= {key.state(MODEL) for key in self.pool.keys.values()} - {KeyState.READY, KeyState.UNCHECKED}

    def _ends_after_its_first_byte(self, context: SimulatedRequest, *, broke: bool) -> None:
        pool, ticket, now = self.pool, context.ticket, self.now
        self._end(context, "answered")
        if broke:
            self.carry_out([*pool.answered(ticket, now), *pool.broke(ticket, now)])
        else:
            pool.rejected(ticket, CALLERS_FAULT, now)
        self.carry_out(pool.break_off(ticket, Tokens(ticket.need.input, 0, 0), now))


BREAKS, REJECTED = Verdict(None, final=True, rest=1.0), Verdict(None, final=True, rest=2.0)  # distinguished by identity


def play(seed: int, fates: list[Verdict | None], keys: list[Key], hostile: float = SERVICE) -> Poisoned:
    """Let all persons send at a polite pace. `fates` are what hostile requests may meet, in `hostile` seconds."""
    random, fate_of, sim = Random(seed), Random(seed), Poisoned(Pool(keys))
    for number in range(100):
        person, when = POLITE[number % len(POLITE)], random.uniform(0.0, SECONDS)
        sim.ask(when, an_ask(f"{person}{number}", person, deadline=when + 60.0), service=SERVICE)
    for number in range(100):
        when, fate = random.uniform(0.0, SECONDS), fate_of.choice(fates)
        ask = an_ask(f"eve{number}", "eve", deadline=when + 60.0)
        sim.ask(when, ask, service=hostile, fate=lambda grant, fate=fate: fate)  # type: ignore[misc]
    sim.run()
    sim.assert_empty()
    return sim


def polite(sim: Poisoned) -> list[SimulatedRequest]:
    return [context for name, context in sim.requests.items() if not name.startswith("eve")]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("slots", [1, 3])
def test_poison_of_one_takes_nothing_from_the_others(seed: int, slots: int) -> None:
    keys = [a_key(f"k{number}", slots) for number in range(3)]
    control = play(seed, [None], [a_key(f"k{number}", slots) for number in range(3)], hostile=2 * SERVICE)
    sim = play(seed, [*PROVOKED, BREAKS, REJECTED], keys)
    assert sim.states == set()
    assert {context.end for context in polite(sim)} == {"answered"}
    assert [len(context.grants) for context in polite(sim)] == [1] * len(polite(sim))
    assert sum(context.wait for context in polite(sim)) <= sum(context.wait for context in polite(control)) + SERVICE


@pytest.mark.parametrize("fate", [*PROVOKED, BREAKS, REJECTED], ids=repr)
def test_no_single_kind_of_poison_rests_a_key(fate: Verdict) -> None:
    sim = play(1, [fate], [a_key("k1", 2), a_key("k2", 2)])
    assert sim.states == set()
    assert {context.end for context in polite(sim)} == {"answered"}


@pytest.mark.parametrize(
    "verdict", [DROPPED, NONSENSE, FORBIDDEN, NO_MODEL, REFUSED, PERHAPS_NO_MONEY, BREAKS], ids=repr
)
def test_a_key_that_fails_all_people_rests_after_a_few_requests_and_the_other_serves(verdict: Verdict) -> None:
    keys = [a_key("broken", 4), a_key("well", 4)]
    sim, random, hits = Poisoned(Pool(keys)), Random(1), []

    def fate(grant: Grant) -> Verdict | None:
        if grant.key.id == "broken":
            hits.append(sim.now)
        return verdict if grant.key.id == "broken" else None

    for number in range(100):
        sim.ask(random.uniform(0.0, 100.0), an_ask(f"t{number}", random.choice(POLITE)), service=1.0, fate=fate)
    sim.run()
    assert sim.states & {KeyState.COOLING, KeyState.REVOKED, KeyState.EXHAUSTED}
    assert len(hits) <= 25
    assert len([hit for hit in hits if hit < 10.0]) <= 8


@pytest.mark.parametrize("seed", range(5))
def test_a_broken_key_comes_back_by_itself_in_spite_of_poison(seed: int) -> None:
    """The only key is broken for a minute; meanwhile and afterwards one caller sends poison only."""
    key, random = a_key("k1", 3), Random(seed)
    sim = Poisoned(Pool([key]))

    def fate(grant: Grant) -> Verdict | None:
        poison = grant.ticket.person == "eve" or sim.now < 60.0
        return random.choice((DROPPED, FORBIDDEN, NONSENSE)) if poison else None

    for number in range(100):
        person = "eve" if number % 2 else random.choice(POLITE)
        when = random.uniform(0.0, 180.0)
        sim.ask(when, an_ask(f"{person}{number}", person, deadline=when + 120.0), service=0.5, fate=fate)
    sim.run()
    sim.assert_empty()
    late = [context for context in polite(sim) if context.asked > 60.0 + 64.0]
    assert sim.states == {KeyState.COOLING}
    assert key.state(MODEL) is KeyState.READY
    assert late
    assert {context.end for context in late} == {"answered"}
    assert max(context.wait for context in late) < 15.0


@pytest.mark.parametrize("every", [2, 4])
def test_a_key_that_cuts_some_streams_of_all_people_rests_now_and_then(every: int) -> None:
    key = a_key("k1", 4)
    sim = Poisoned(Pool([key]))
    for number in range(60):
        cut = BREAKS if number % every == 0 else None
        ask = an_ask(f"t{number}", POLITE[number % 3], deadline=1000.0)
        sim.ask(2.0 * number, ask, service=1.0, fate=lambda grant, cut=cut: cut)  # type: ignore[misc]
    sim.run()
    assert sim.states == {KeyState.COOLING}
    assert len(sim.requests) > FLAKY_COUNT
    assert all(context.end == "answered" for context in sim.requests.values())
