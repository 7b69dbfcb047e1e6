"""The pool: which request gets which key, and when.

Pure. Each verb takes `now` (seconds, monotonic) and returns decisions; the dispatcher carries them out and calls
`tick` at `next_wakeup`. One fair queue per model; the keys, their slots and their standings are shared by all models.
Where several models wait for one key, they take turns.

The life of a ticket:

    submit -> Grant -> finish                      answered: settled at its cost
           |        -> failed -> Grant             nothing was delivered, another attempt is allowed
           |                  -> GiveUp            no attempt is left; the caller is told the upstream's failure
           -> Refuse                               queue full, waited too long, or no key can serve it in time
    cancel at any point                            the caller left
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from heapq import heappop, heappush

from keypool.estimates import CostModel, OutputLengths, Tokens
from keypool.fairqueue import FairQueue, Ticket
from keypool.keys import FOREVER, LONGEST_REST, RESTING, Event, Key, State
from keypool.retries import RetryBudget
from keypool.snapshot import KeySnapshot, ModelSnapshot, PoolSnapshot
from keypool.verdict import Verdict

MOST_RETRIES = 2  # of one request, where the failures were not free


class Reason(Enum):
    QUEUE_FULL = "queue full"
    TIMED_OUT = "timed out"
    NO_KEY = "no key"


@dataclass(frozen=True, slots=True)
class Grant:
    """Send it now, with this key."""

    ticket: Ticket
    key: Key


@dataclass(frozen=True, slots=True)
class Refuse:
    """It leaves the queue without a key. `retry_after` is in seconds."""

    ticket: Ticket
    reason: Reason
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It failed and is not tried again."""

    ticket: Ticket


Decision = Grant | Refuse | GiveUp


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of each model's queue: requests in all, waiting per person, in flight per person (None: no cap)."""

    total: int = 5000
    per_person: int = 100
    cap: int | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """What somebody wants. `deadline` is the instant until which it may wait for a key."""

    id: str
    person: str
    model: str
    dialect: str
    input_tokens: int
    most_output: int | None
    deadline: float
    weight: float = 1.0
    groups: frozenset[str] = frozenset()


class Pool:
    """All keys and all queues of one process."""

    def __init__(self, keys: Iterable[Key], limits: Limits | None = None, costs: CostModel | None = None) -> None:
        self.limits = limits or Limits()
        self.costs = costs or CostModel()
        self.keys: dict[str, Key] = {key.id: key for key in keys}
        self.lengths = OutputLengths()
        self.retries = RetryBudget()
        self.tickets: dict[str, Ticket] = {}
        self._queues: dict[str, FairQueue] = {}
        self._busy: dict[str, FairQueue] = {}  # the queues where somebody waits, in the order of their turns
        self._alarms: list[tuple[float, str]] = []  # (instant, the ticket whose deadline it is, or "" for a key's rest)
        self._serving = _by_model(self.keys.values())

    # What may be asked for

    def models(self, dialect: str, groups: frozenset[str]) -> list[str]:
        """The models that somebody in these groups may ask for in this dialect."""
        return [model for model in sorted(self._serving) if self.serves(model, dialect, groups)]

    def serves(self, model: str, dialect: str, groups: frozenset[str]) -> bool:
        return any(_may(key, dialect, groups) for key in self._serving.get(model, ()))

    @property
    def complete(self) -> bool:
        """The models of all keys are known."""
        return all(key.models for key in self.keys.values())

    # The verbs

    def submit(self, ask: Ask, now: float) -> tuple[Ticket, list[Decision]]:
        """Put a request into its model's queue."""
        output = self.lengths.expect(ask.person, ask.model, ask.most_output)
        ticket = Ticket(
            id=ask.id,
            person=ask.person,
            model=ask.model,
            dialect=ask.dialect,
            cost=self.costs.cost(Tokens(ask.input_tokens, 0, output)),
            submitted=now,
            deadline=ask.deadline,
            weight=ask.weight,
            groups=ask.groups,
            input_tokens=ask.input_tokens,
        )
        if (hopeless := self._hopeless(ticket, now)) is not None:
            return ticket, [hopeless]
        shed = self._queue(ask.model).submit(ticket)
        if shed is ticket:
            return ticket, [Refuse(ticket, Reason.QUEUE_FULL)]
        self.tickets[ticket.id] = ticket
        decisions: list[Decision] = []
        if shed is not None:
            del self.tickets[shed.id]
            decisions.append(Refuse(shed, Reason.QUEUE_FULL))
        return ticket, decisions + self._enqueue(ticket, now)

    def answered(self, ticket: Ticket, now: float) -> list[Decision]:
        """The first bytes of a good answer have come. An answer to what was sent before a key rested proves nothing."""
        key = ticket.key
        assert key is not None, "only a granted ticket can be answered"
        was_open = key.admits(ticket.model, now)
        for standing in (key.whole, key.standing(ticket.model)):
            if standing.state not in RESTING or standing.trial == ticket.id:
                standing.apply(Event.ANSWERED, now)
        return [] if was_open else self._pump(now)

    def progress(self, ticket: Ticket, output: int) -> None:
        """The answer has grown to `output` tokens and is still coming."""
        self._queue(ticket.model).progress(ticket, self.costs.cost(Tokens(ticket.input_tokens, 0, output)))

    def finish(self, ticket: Ticket, used: Tokens, now: float) -> list[Decision]:
        """A complete answer has come, and cost this much."""
        self.lengths.learn(ticket.person, ticket.model, used.output)
        return self._end(ticket, self.costs.cost(used), now)

    def break_off(self, ticket: Ticket, used: Tokens, now: float) -> list[Decision]:
        """A request in flight ended without a complete answer. It pays for what was used all the same."""
        return self._end(ticket, self.costs.cost(used), now)

    def failed(self, ticket: Ticket, verdict: Verdict, now: float) -> list[Decision]:
        """An attempt has ended before its first byte: learn, give the cost back, and try again where that helps."""
        key = ticket.key
        assert key is not None, "only a granted ticket can fail"
        if verdict.event is None:  # the caller's fault: the upstream still counts it as a request
            return [GiveUp(ticket), *self._end(ticket, self.costs.c0, now)]
        key.apply(verdict.event, ticket.model, now, verdict.rest)
        ticket.tried |= {key.id}
        stranded = self._after_rest(key, ticket.model, now)
        if not verdict.final and (hopeless := self._hopeless(ticket, now)) is not None:
            return [hopeless, *stranded, *self._end(ticket, 0.0, now)]
        if verdict.final or not (verdict.free or self._may_retry(ticket, now)):
            return [GiveUp(ticket), *stranded, *self._end(ticket, 0.0, now)]
        self._release(ticket)
        self._queue(ticket.model).refund(ticket)
        return [*stranded, *self._enqueue(ticket, now)]

    def opens_in(self, ticket: Ticket, now: float) -> float | None:
        """Seconds until the first key wakes that may serve a ticket; None if one is awake or only an operator can help.

        Asked for a ticket that was given up: its caller may come back then.
        """
        seconds = self._opens_at(ticket) - now
        return seconds if 0.0 < seconds < FOREVER else None

    def cancel(self, ticket: Ticket, now: float) -> list[Decision]:
        """The caller has left before anything was delivered: queued or in flight."""
        if ticket.id not in self.tickets:
            return []
        if ticket.key is not None:
            return self._end(ticket, 0.0, now)
        self._drop(ticket)
        return self._pump(now)  # it may have been a head for which others waited

    def learn(self, key_id: str, event: Event, now: float, model: str = "") -> list[Decision]:
        """A probe or the operator says something about a key."""
        key = self.keys[key_id]
        key.apply(event, model, now)
        return [*self._after_rest(key, model, now), *self._pump(now)]

    def offer(self, upstream: str, models: frozenset[str], now: float) -> list[Decision]:
        """The models of an upstream became known."""
        for key in self.keys.values():
            if key.upstream == upstream:
                key.models = models
        self._serving = _by_model(self.keys.values())
        return [*self._refuse_stranded(now), *self._pump(now)]

    def tick(self, now: float) -> list[Decision]:
        """Time has passed: give up on what waited too long, wake what rested."""
        decisions: list[Decision] = []
        while self._alarms and self._alarms[0][0] <= now:
            ticket = self.tickets.get(heappop(self._alarms)[1])
            if ticket is not None and ticket.waiting and ticket.deadline <= now:
                self._drop(ticket)
                decisions.append(Refuse(ticket, Reason.TIMED_OUT))
        return decisions + self._pump(now)

    def next_wakeup(self) -> float | None:
        """The instant at which `tick` should be called; None when nobody waits."""
        while self._alarms:
            due, name = self._alarms[0]
            ticket = self.tickets.get(name)
            if name and (ticket is None or not ticket.waiting):
                heappop(self._alarms)
                continue
            return due if self._busy else None
        return None

    def snapshot(self) -> PoolSnapshot:
        """All that the outside may see."""
        return PoolSnapshot(
            models=tuple(self._model_snapshot(model) for model in sorted(self._serving)),
            keys=tuple(
                KeySnapshot(key.id, key.upstream, key.whole.state, key.whole.since, key.running, key.slots)
                for key in self.keys.values()
            ),
        )

    def __repr__(self) -> str:
        waiting = sum(queue.waiting for queue in self._busy.values())
        return f"<Pool keys={len(self.keys)} tickets={len(self.tickets)} waiting={waiting}>"

    # How it decides

    def _queue(self, model: str) -> FairQueue:
        queue = self._queues.get(model)
        if queue is None:
            limits = self.limits
            queue = self._queues[model] = FairQueue(limits.total, limits.per_person, limits.cap)
        return queue

    def _pump(self, now: float) -> list[Decision]:
        """Serve the queues in turn, one request each, until none of them has a request that fits."""
        decisions: list[Decision] = []

        def choose(ticket: Ticket, only: frozenset[str] | None) -> Key | None:
            return self._choose(ticket, only, now)

        def fence(ticket: Ticket) -> frozenset[str]:
            return self._never(ticket, now)

        stuck: set[str] = set()
        while len(stuck) < len(self._busy):
            model = next(name for name in self._busy if name not in stuck)
            queue = self._busy.pop(model)
            found = queue.dispatch(choose, fence)
            if found is not None:
                decisions.append(self._grant(*found, now))
            if queue.waiting:
                self._busy[model] = queue
                if found is None:
                    stuck.add(model)
        return decisions

    def _grant(self, ticket: Ticket, key: Key, now: float) -> Grant:
        key.running += 1
        key.granted += 1
        for standing in (key.whole, key.standing(ticket.model)):
            if standing.state in RESTING:
                standing.trial = ticket.id
        ticket.attempts += 1
        ticket.granted = now
        self.retries.dispatched.add(now)
        return Grant(ticket, key)

    def _choose(self, ticket: Ticket, only: frozenset[str] | None, now: float) -> Key | None:
        """The free key with the largest free share of its slots; among equals the one used least."""
        best, best_rank = None, (0.0, 0)
        for key in self._usable(ticket):
            if (only is None or key.id in only) and key.admits(ticket.model, now):
                rank = (1.0 - key.running / key.slots, -key.granted)
                if best is None or rank > best_rank:
                    best, best_rank = key, rank
        return best

    def _never(self, ticket: Ticket, now: float) -> frozenset[str]:
        """The free keys of its model that a waiting ticket may never use."""
        usable = {key.id for key in self._usable(ticket)}
        serving = self._serving.get(ticket.model, ())
        return frozenset(key.id for key in serving if key.id not in usable and key.admits(ticket.model, now))

    def _usable(self, ticket: Ticket) -> list[Key]:
        """The keys that a ticket may use, now or later; of these the ones that have not failed it, if there are any."""
        keys = [key for key in self._serving.get(ticket.model, ()) if _may(key, ticket.dialect, ticket.groups)]
        if not ticket.tried:
            return keys
        fresh = [key for key in keys if key.id not in ticket.tried and key.opens_at(ticket.model) <= ticket.deadline]
        return fresh or keys

    def _opens_at(self, ticket: Ticket) -> float:
        return min((key.opens_at(ticket.model) for key in self._usable(ticket)), default=FOREVER)

    def _hopeless(self, ticket: Ticket, now: float) -> Refuse | None:
        """The refusal of a ticket that no key can serve before its deadline."""
        opens = self._opens_at(ticket)
        if opens <= max(ticket.deadline, now):
            return None
        return Refuse(ticket, Reason.NO_KEY, None if opens == FOREVER else opens - now)

    def _after_rest(self, key: Key, model: str, now: float) -> list[Decision]:
        """A key may rest now: be awake when it opens, and refuse those who cannot wait for so long."""
        opens = key.opens_at(model)
        if now < opens < FOREVER:
            heappush(self._alarms, (opens, ""))
        if opens <= now + LONGEST_REST:
            return []  # everybody can wait for that: their own deadlines will tell
        return self._refuse_stranded(now)

    def _refuse_stranded(self, now: float) -> list[Decision]:
        """Refuse all who wait for what no key will give them in time."""
        refused: list[Decision] = []
        for ticket in [ticket for queue in self._busy.values() for ticket in queue.tickets()]:
            if (hopeless := self._hopeless(ticket, now)) is not None:
                self._drop(ticket)
                refused.append(hopeless)
        return refused

    def _may_retry(self, ticket: Ticket, now: float) -> bool:
        if ticket.retries >= MOST_RETRIES or ticket.deadline <= now or not self.retries.take(now):
            return False
        ticket.retries += 1
        return True

    def _enqueue(self, ticket: Ticket, now: float) -> list[Decision]:
        self._busy.setdefault(ticket.model, self._queue(ticket.model))
        decisions = self._pump(now)
        if ticket.waiting:
            heappush(self._alarms, (ticket.deadline, ticket.id))
        return decisions

    def _drop(self, ticket: Ticket) -> None:
        del self.tickets[ticket.id]
        self._queue(ticket.model).cancel(ticket)

    def _release(self, ticket: Ticket) -> None:
        key = ticket.key
        assert key is not None, "only a granted ticket holds a slot"
        key.running -= 1
        for standing in (key.whole, key.standing(ticket.model)):
            if standing.trial == ticket.id:
                standing.trial = None

    def _end(self, ticket: Ticket, cost: float, now: float) -> list[Decision]:
        self._release(ticket)
        del self.tickets[ticket.id]
        self._queue(ticket.model).finish(ticket, cost)
        return self._pump(now)

    def _model_snapshot(self, model: str) -> ModelSnapshot:
        queue, serving = self._queue(model), self._serving[model]
        states = [key.state(model) for key in serving]
        return ModelSnapshot(
            name=model,
            waiting=queue.waiting,
            running=queue.running,
            slots=sum(key.slots for key in serving),
            keys={state: states.count(state) for state in State if state in states},
        )


def _may(key: Key, dialect: str, groups: frozenset[str]) -> bool:
    return dialect in key.dialects and (not key.groups or not key.groups.isdisjoint(groups))


def _by_model(keys: Iterable[Key]) -> dict[str, list[Key]]:
    serving: dict[str, list[Key]] = {}
    for key in keys:
        for model in key.models:
            serving.setdefault(model, []).append(key)
    return serving
