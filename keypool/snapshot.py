"""The public state of the pool: frozen, without secrets and without persons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace

from keypool.areas import Area
from keypool.calibration import NONE_MADE, ForecastScore
from keypool.domains import Left
from keypool.gap import bound, gap
from keypool.health import DEAD, KeyState
from keypool.keyring import Keyring
from keypool.limits import LimitMeasure
from keypool.messages import Reason
from keypool.queues import ModelQueue
from keypool.ticket import Ticket

SERVES_NONE = DEAD | {KeyState.EXHAUSTED}


@dataclass(frozen=True, slots=True)
class KeySnapshot:
    """One key. `since` is when its state began, seconds, monotonic. `suspected`: requests fail with it, though perhaps
    by the fault of the one person whose they are."""

    id: str
    upstream: str
    state: KeyState
    since: float
    running: int
    slots: int
    suspected: bool = False


@dataclass(frozen=True, slots=True)
class ModelSnapshot:
    """One model. `forecasts` is how good the forecasts of its waits were since the start.

    `waiting` and `running` are requests for it, `slots` those that its keys may serve at once: a key that is refused,
    paused or without quota serves none. `keys` says how many are in each state. Keys may serve other models, too:
    `held` are the slots of its keys that any model has now, `competing` the requests that wait for any of its keys.
    So slots and keys of several models must not be added up: `PoolSnapshot.keys` has each key once. The rest is of all
    models that share anything: `gap` is the largest difference between the counters of two persons who wait, `bound`
    what it may be, `largest` the largest request so far, all in cost; `jain` is the fairness index of the last minutes.
    `waits` are the latest waits for it, in seconds; `suspected` is how many of its keys fail requests that do not prove
    anything against them; `people` is how many persons wait for it.
    """

    name: str
    waiting: int
    running: int
    slots: int
    keys: dict[KeyState, int]
    held: int = 0
    competing: int = 0
    gap: float = 0.0
    bound: float = 0.0
    largest: float = 0.0
    jain: float = 1.0
    waits: tuple[float, ...] = ()
    suspected: int = 0
    people: int = 0
    forecasts: ForecastScore = NONE_MADE


@dataclass(frozen=True, slots=True)
class DomainSnapshot:
    """One capacity domain: each limit, and requests in flight."""

    id: str
    limits: Mapping[LimitMeasure, Left]
    running: int
    slots: int


@dataclass(frozen=True, slots=True)
class TallySnapshot:
    """What the pool has counted since its start; `spent` and `allowed` are paid retries of the last minute."""

    refusals: Mapping[Reason, int]
    retries: int = 0
    spent: float = 0.0
    allowed: float = 0.0
    input_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class PoolSnapshot:
    models: tuple[ModelSnapshot, ...]
    keys: tuple[KeySnapshot, ...]
    domains: tuple[DomainSnapshot, ...] = ()
    tally: TallySnapshot = TallySnapshot({})


def snapshot_of(
    keyring: Keyring, queues: Mapping[str, ModelQueue], tickets: Iterable[Ticket], tally: TallySnapshot, now: float
) -> PoolSnapshot:
    """Take the picture."""
    suspected = keyring.blame.suspected(now)
    names = {key for key, _ in suspected}
    shared = {queue.area: _fairness(queue.area, now) for queue in queues.values()}
    models = [_model(keyring, queues, model, shared[queue.area], now) for model, queue in queues.items()]
    people = Counter(model for model, _ in {(each.model, each.person) for each in tickets if each.waiting})
    return PoolSnapshot(
        models=tuple(
            replace(each, suspected=_suspected(keyring, each.name, suspected), people=people[each.name])
            for each in models
        ),
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
            DomainSnapshot(each.id, each.left(now), each.running, each.slots) for each in keyring.domains.values()
        ),
        tally=tally,
    )


@dataclass(frozen=True, slots=True)
class _Fairness:
    """The fairness figures that the models of one area share."""

    gap: float
    bound: float
    largest: float
    jain: float


def _fairness(area: Area, now: float) -> _Fairness:
    slots = sum(key.slots for key in area.keys)
    return _Fairness(gap(area.fair), bound(area.fair, slots), area.fair.largest.value, area.shares.index(now))


def _model(
    keyring: Keyring, queues: Mapping[str, ModelQueue], model: str, shared: _Fairness, now: float
) -> ModelSnapshot:
    serving, queue = keyring.serving(model), queues[model]
    states = [keyring.state(key, model, now) for key in serving]
    rivals = {model}.union(*(key.models for key in serving))
    return ModelSnapshot(
        name=model,
        waiting=queue.waiting,
        running=queue.running,
        slots=sum(key.slots for key, state in zip(serving, states, strict=True) if state not in SERVES_NONE),
        keys={state: states.count(state) for state in KeyState if state in states},
        held=sum(key.running for key in serving),
        competing=sum(queues[each].waiting for each in rivals if each in queues),
        gap=shared.gap,
        bound=shared.bound,
        largest=shared.largest,
        jain=shared.jain,
        waits=tuple(queue.waits),
        forecasts=queue.score,
    )


def _suspected(keyring: Keyring, model: str, places: Container[tuple[str, str]]) -> int:
    return sum((key.id, model) in places or (key.id, "") in places for key in keyring.serving(model))
