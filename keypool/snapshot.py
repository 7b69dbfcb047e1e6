"""What the outside may see of the pool: frozen, without secrets and without persons."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

from keypool.gap import bound, gap
from keypool.keyring import Keyring
from keypool.limits import Measure
from keypool.queues import ModelQueue
from keypool.standing import State


@dataclass(frozen=True, slots=True)
class KeySnapshot:
    """One key. `since` is when its state began, seconds, monotonic. `suspected`: requests fail with it, though perhaps
    by the fault of the one person whose they are."""

    id: str
    upstream: str
    state: State
    since: float
    running: int
    slots: int
    suspected: bool = False


@dataclass(frozen=True, slots=True)
class ModelSnapshot:
    """One model.

    `waiting` and `running` are requests, `slots` those of its keys; `keys` says how many are in each state. `gap` is
    the largest difference between the counters of two persons who wait, `bound` what it may be, `largest` the largest
    request so far, all in cost; `jain` is the fairness index of the last minutes; `waits` are the latest waits, in
    seconds; `suspected` is how many keys fail requests that do not prove anything against them.
    """

    name: str
    waiting: int
    running: int
    slots: int
    keys: dict[State, int]
    gap: float = 0.0
    bound: float = 0.0
    largest: float = 0.0
    jain: float = 1.0
    waits: tuple[float, ...] = ()
    suspected: int = 0


@dataclass(frozen=True, slots=True)
class DomainSnapshot:
    """One capacity domain: the used share of each limit (0 to 1, more when in debt), and requests in flight."""

    id: str
    used: Mapping[Measure, float]
    running: int
    slots: int


@dataclass(frozen=True, slots=True)
class PoolSnapshot:
    models: tuple[ModelSnapshot, ...]
    keys: tuple[KeySnapshot, ...]
    domains: tuple[DomainSnapshot, ...] = ()


def snapshot_of(keyring: Keyring, queues: Mapping[str, ModelQueue], now: float) -> PoolSnapshot:
    """Take the picture."""
    suspected = keyring.blame.suspected(now)
    names = {key for key, _ in suspected}
    return PoolSnapshot(
        models=tuple(_model(keyring, model, queue, suspected, now) for model, queue in queues.items()),
        keys=tuple(
            KeySnapshot(
                id=key.id,
                upstream=key.upstream,
                state=key.whole.state,
                since=key.whole.since,
                running=key.running,
                slots=key.slots,
                suspected=key.id in names,
            )
            for key in keyring.keys.values()
        ),
        domains=tuple(
            DomainSnapshot(each.id, each.utilisation(now), each.running, each.slots)
            for each in keyring.domains.values()
        ),
    )


def _model(
    keyring: Keyring, model: str, queue: ModelQueue, suspected: Container[tuple[str, str]], now: float
) -> ModelSnapshot:
    serving = keyring.serving(model)
    states = [keyring.state(key, model, now) for key in serving]
    slots = sum(key.slots for key in serving)
    return ModelSnapshot(
        name=model,
        waiting=queue.waiting,
        running=queue.running,
        slots=slots,
        keys={state: states.count(state) for state in State if state in states},
        gap=gap(queue.fair),
        bound=bound(queue.fair, slots),
        largest=queue.fair.largest.value,
        jain=queue.area.shares.index(now),
        waits=tuple(queue.waits),
        suspected=sum((key.id, model) in suspected or (key.id, "") in suspected for key in serving),
    )
