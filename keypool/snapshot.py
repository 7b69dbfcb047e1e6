"""The public state of the pool: frozen, without secrets and without persons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

from keypool.areas import Area
from keypool.calibration import NONE_MADE, ForecastScore
from keypool.domains import Left
from keypool.gap import bound, gap
from keypool.health import DEAD, KeyState
from keypool.keyring import Keyring
from keypool.keys import Key
from keypool.limits import LimitMeasure
from keypool.messages import Reason
from keypool.queues import ModelQueue
from keypool.ticket import Ticket
from keypool.trouble import KeyCheck, ModelTrouble, Trouble

SERVES_NONE = DEAD | {KeyState.EXHAUSTED}
MOST_MODELS = 8  # of one key, that are shown to be in trouble


@dataclass(frozen=True, slots=True)
class KeySnapshot:
    """One key. `since` is when its state began, seconds, monotonic. `suspected`: requests fail with it, though perhaps
    by the fault of the one person whose they are.

    The rest is for the operator: `until` is the end of its rest, and `trial` whether a request tries it now; `trouble`
    is why it stands so, and `doubt` the last failure that proved nothing; `resting` are models of it that stand worse,
    at most a few; `domains` are the ids of the capacities that it uses.
    """

    id: str
    upstream: str
    state: KeyState
    since: float
    running: int
    slots: int
    suspected: bool = False
    until: float = 0.0
    trial: bool = False
    trouble: Trouble | None = None
    doubt: Trouble | None = None
    checked: KeyCheck | None = None
    next_check: float | None = None
    resting: tuple[ModelTrouble, ...] = ()
    domains: tuple[str, ...] = ()


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
    """One capacity domain: each limit, and requests in flight. `until`: the provider wants no request before."""

    id: str
    limits: Mapping[LimitMeasure, Left]
    running: int
    slots: int
    until: float = 0.0


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
        keys=tuple(_key(key, key.id in names, now) for key in keyring.keys.values()),
        domains=tuple(
            DomainSnapshot(each.id, each.left(now), each.running, each.slots, each.standing.until)
            for each in keyring.domains.values()
        ),
        tally=tally,
    )


def _key(key: Key, suspected: bool, now: float) -> KeySnapshot:
    whole = key.whole
    return KeySnapshot(
        id=key.id,
        upstream=key.upstream,
        state=whole.state,
        since=whole.since,
        running=key.running,
        slots=key.slots,
        suspected=suspected,
        until=whole.until,
        trial=whole.trial is not None,
        trouble=key.troubles.get(""),
        doubt=key.doubt if suspected else None,
        checked=key.checked,
        next_check=key.next_check,
        resting=tuple(islice(_resting(key, now), MOST_MODELS)),
        domains=tuple(dict.fromkeys(domain.id for domain in key.domains.values())),
    )


def _resting(key: Key, now: float) -> Iterator[ModelTrouble]:
    """The models that this key may not serve now, by their own doing or by the rate of their capacity."""
    for model, domain in key.domains.items():
        health, waits = key.by_model.get(model), domain.standing.until
        if health is not None and health.resting and health.until > now:
            yield ModelTrouble(model, health.state, health.until, key.troubles.get(model))
        elif waits > now:
            yield ModelTrouble(model, KeyState.COOLING, waits, key.troubles.get(model))


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
