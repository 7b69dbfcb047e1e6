"""Keys, tickets and asks with everything filled in that a test does not care about."""

from __future__ import annotations

from keypool.health import KeyEvent
from keypool.keys import Key
from keypool.pool import Ask, Pool, QueueLimits
from keypool.ticket import Ticket
from keypool.verdict import Verdict
from tests.keypool.simulator import Fate, Simulator

MODEL = "m"
OPENAI = "openai"


def a_key(
    name: str = "k1",
    slots: int = 1,
    models: tuple[str, ...] = (MODEL,),
    dialects: tuple[str, ...] = (OPENAI,),
    groups: tuple[str, ...] = (),
) -> Key:
    return Key(name, "acme", frozenset(dialects), frozenset(models), slots, frozenset(groups))


def a_ticket(
    name: str,
    person: str,
    cost: float = 1.0,
    weight: float = 1.0,
    dialect: str = OPENAI,
    *,
    batch: bool = False,
    running_cap: int | None = None,
) -> Ticket:
    return Ticket(
        name, person, MODEL, dialect, cost, 0.0, deadline=1e9, weight=weight, batch=batch, running_cap=running_cap
    )


def an_ask(
    name: str,
    person: str,
    model: str = MODEL,
    deadline: float = 1e9,
    groups: tuple[str, ...] = (),
    weight: float = 1.0,
    input_tokens: int = 100,
    batch: bool = False,
    running_cap: int | None = None,
) -> Ask:
    return Ask(
        name,
        person,
        model,
        OPENAI,
        input_tokens,
        100,
        deadline,
        weight,
        frozenset(groups),
        batch=batch,
        running_cap=running_cap,
    )


REFUSED = Verdict(KeyEvent.KEY_REFUSED, free=True)
NO_QUOTA = Verdict(KeyEvent.OUT_OF_QUOTA, free=True, sure=True)
NO_MODEL = Verdict(KeyEvent.NO_SUCH_MODEL, free=True)


def limited(rest: float | None = None) -> Verdict:
    return Verdict(KeyEvent.RATE_LIMITED, rest=rest, sure=True)


def broken(**verdicts: Verdict) -> Fate:
    """Attempts on the named keys end so; the other keys answer."""
    return lambda grant: verdicts.get(grant.key.id)


def simulator(*keys: Key, limits: QueueLimits | None = None) -> Simulator:
    return Simulator(Pool(keys, limits))
