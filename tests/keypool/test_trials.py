"""A key that rests is tried at its instant, whatever else waits, and by nothing but the pool's own wake-up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from keypool.domains import Quota
from keypool.health import FIRST_REST, KeyEvent, KeyState
from keypool.pool import Grant, Pool, QueueLimits
from keypool.verdict import BROKEN_OFF, DROPPED, REFUSED, UNREACHABLE, Verdict
from tests.keypool.making import MODEL, a_key, an_ask, limited
from tests.keypool.simulator import Simulator


def convicted_by(verdict: Verdict, count: int = 2) -> Callable[[Pool, float], None]:
    def convict(pool: Pool, now: float) -> None:
        for number in range(count):
            ticket, _ = pool.submit(an_ask(f"witness {number}", f"witness {number}"), now)
            pool.failed(ticket, verdict, now)
            pool.cancel(ticket, now)

    return convict


def checked(pool: Pool, now: float) -> None:
    pool.learn("k1", KeyEvent.UNREACHED, now)


RESTS = {
    "two persons' failures": convicted_by(DROPPED),
    "two persons' streams": convicted_by(BROKEN_OFF),
    "no connection": convicted_by(UNREACHABLE, 1),
    "the provider's rate": convicted_by(limited(FIRST_REST), 1),
    "a free check": checked,
}


@pytest.mark.parametrize("rest", RESTS.values(), ids=RESTS)
@pytest.mark.parametrize("headroom", [0, 1])
def test_a_resting_key_is_tried_at_its_instant_without_any_other_event(
    rest: Callable[[Pool, float], None], headroom: int
) -> None:
    sim = Simulator(Pool([a_key(slots=2)], QueueLimits(headroom=headroom)))
    rest(sim.pool, 0.0)
    for number in range(40):
        sim.ask(0.1, an_ask(f"t{number}", f"p{number % 20}"), service=1.0)
    sim.run()
    sim.assert_empty()
    first = min(context.grants[0][0] for context in sim.requests.values())
    assert first == pytest.approx(FIRST_REST, abs=1e-3)
    assert {context.end for context in sim.requests.values()} == {"answered"}


@pytest.mark.parametrize("heads", [1, 15, 16, 17, 60])
def test_a_resting_key_is_tried_though_many_heads_wait_for_limits_before_it(heads: int) -> None:
    """Each of them waits at an organisation of its own, with a slot free, for an hour."""
    slow = [
        replace(a_key(f"slow{number}", 4, models=(f"slow{number}",)), quota=Quota(daily=1)) for number in range(heads)
    ]
    names = tuple(f"slow{number}" for number in range(heads))
    binder = a_key("binder", 1, models=(MODEL, *names), groups=("empty",))  # makes one area of all
    sim = Simulator(Pool([*slow, binder, a_key("k1", 4)]))
    for number in range(heads):
        sim.ask(0.0, an_ask(f"a{number}", f"p{number}", f"slow{number}"), service=1.0)
    sim.at(1.5, lambda: convicted_by(DROPPED)(sim.pool, 1.5))
    for number in range(heads):
        sim.ask(2.0, an_ask(f"b{number}", f"p{number}", f"slow{number}", deadline=7200.0), service=1.0)
    sim.ask(2.0, an_ask("last", "last"), service=1.0)
    sim.ask(2.0, an_ask("last two", "last"), service=1.0)
    sim.run(until=60.0)
    assert sim.requests["last"].grants[0][0] == pytest.approx(1.5 + FIRST_REST, abs=1e-3)
    assert sim.requests["last two"].end == "answered"


def test_a_401_for_one_caller_on_every_key_leaves_the_others_unharmed() -> None:
    """The keys are asked about and are well; whatever one caller's requests meet, the others keep every key."""
    pool = Pool([a_key(f"k{number}", 4) for number in range(3)])
    for number in range(30):
        eve, decisions = pool.submit(an_ask(f"eve{number}", "eve"), float(number))
        assert isinstance(decisions[0], Grant)
        while eve.id in pool.tickets:
            pool.failed(eve, REFUSED, float(number))
        for key in pool.keys:
            pool.learn(key, KeyEvent.LISTED, float(number))
    polite = [pool.submit(an_ask(f"p{number}", f"p{number}"), 30.0)[0] for number in range(12)]
    assert all(ticket.key is not None for ticket in polite)
    assert {key.state(MODEL) for key in pool.keys.values()} == {KeyState.READY}
