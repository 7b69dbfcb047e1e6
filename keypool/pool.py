"""The pool: which request gets which key, and when.

Pure. Each verb takes `now` (seconds, monotonic) and returns decisions; the dispatcher carries them out and calls
`tick` at `next_wakeup`. One fair queue per model; the keys, their slots, standings and domains are shared by all
models. Where several models wait for one key, they take turns.

The life of a ticket:

    submit -> Grant -> finish, break_off           its cost is settled
           |        -> failed -> Grant             nothing was delivered, another attempt is allowed
           |                  -> GiveUp            no attempt is left; the caller is told the upstream's failure
           -> Refuse                               queue full, waited too long, or no key can serve it in time
    cancel at any point                            the caller left

Headroom. When only the last slots of a model are free, a person who already runs a fair share of them (counting one
newcomer who is not here yet) must leave them to others. That costs two percent of the slots under a flood, and spares
everybody else the wait for somebody's answer to end. Who passes a head that is kept waiting so must have been served no
more than the head's person, but for one request: else the headroom would undo the order of the queue.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush

from keypool.blame import MOST_DOUBTS
from keypool.decisions import Ask, Decision, GiveUp, Grant, Limits, Reason, Refuse
from keypool.domains import Need
from keypool.estimates import CostModel, OutputLengths, Tokens
from keypool.fairqueue import FairQueue
from keypool.keyring import Keyring
from keypool.keys import Key
from keypool.limits import Measure, Window
from keypool.queues import Forecast, ModelQueue
from keypool.retries import RetryBudget
from keypool.snapshot import PoolSnapshot, snapshot_of
from keypool.standing import FOREVER, Event
from keypool.ticket import BATCH_WEIGHT, Ticket
from keypool.verdict import BROKEN_OFF, Verdict

__all__ = ["Ask", "Decision", "GiveUp", "Grant", "Limits", "Pool", "Reason", "Refuse", "Tally"]

MOST_RETRIES = 2  # of one request, where the failures were not free
NO_WINDOWS: Mapping[Measure, Window] = {}


@dataclass(slots=True)
class Tally:
    """What has been counted since the start."""

    refusals: Counter[Reason] = field(default_factory=Counter)
    retries: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0


class Pool:
    """All keys and all queues of one process."""

    def __init__(self, keys: Iterable[Key], limits: Limits | None = None, costs: CostModel | None = None) -> None:
        self.limits = limits or Limits()
        self.costs = costs or CostModel()
        self.keyring = Keyring(keys)
        self.lengths = OutputLengths()
        self.retries = RetryBudget()
        self.tickets: dict[str, Ticket] = {}
        self.tally = Tally()
        self._queues: dict[str, ModelQueue] = {}
        self._busy: dict[str, ModelQueue] = {}  # the queues where somebody waits, in the order of their turns
        self._deadlines: list[tuple[float, str]] = []
        self._fits_at = FOREVER  # the earliest instant at which time alone may let a head go

    @property
    def keys(self) -> dict[str, Key]:
        return self.keyring.keys

    # What may be asked for

    def models(self, dialect: str, groups: frozenset[str]) -> list[str]:
        """The models that somebody in these groups may ask for in this dialect."""
        return [model for model in self.keyring.models() if self.serves(model, dialect, groups)]

    def serves(self, model: str, dialect: str, groups: frozenset[str]) -> bool:
        return bool(self.keyring.reach(model, dialect, groups))

    @property
    def complete(self) -> bool:
        """The models of all keys are known."""
        return all(key.models for key in self.keys.values())

    def forecast(self, ask: Ask, now: float) -> Forecast:
        """What somebody who asked this now would meet. Changes nothing."""
        ticket = self._ticket(ask, now)
        queue = self._queue(ask.model)
        free = not queue.fair.waiting and self.keyring.choose(ticket, None, now) is not None
        if free and not self._held_back(ticket, now):
            return Forecast(0, 0.0)
        return queue.forecast(ticket, self.keyring.slots(ticket), now)

    def opens_in(self, ticket: Ticket, now: float) -> float | None:
        """Seconds until the first key wakes that may serve a ticket; None if one is awake or only an operator can help.

        Asked for a ticket that was given up: its caller may come back then.
        """
        seconds = self.keyring.opens_at(ticket) - now
        return seconds if 0.0 < seconds < FOREVER else None

    def outlook(self, ticket: Ticket, now: float) -> Forecast:
        """What a ticket that waits has still to expect."""
        return self._queue(ticket.model).forecast(ticket, self.keyring.slots(ticket), now)

    # The verbs

    def submit(self, ask: Ask, now: float) -> tuple[Ticket, list[Decision]]:
        """Put a request into its model's queue."""
        ticket = self._ticket(ask, now)
        if (hopeless := self._hopeless(ticket, now)) is not None:
            return ticket, [hopeless]
        queue = self._queue(ask.model)
        shed = queue.fair.submit(ticket)
        if shed is ticket:
            return ticket, [self._refuse(ticket, Reason.QUEUE_FULL, self._patience_needed(ticket, now))]
        self.tickets[ticket.id] = ticket
        decisions: list[Decision] = []
        if shed is not None:
            del self.tickets[shed.id]
            decisions.append(self._refuse(shed, Reason.QUEUE_FULL, self._patience_needed(shed, now)))
        decisions += self._enqueue(ticket, now)
        if ticket.waiting:
            decisions += self._at_the_door(ticket, ask.max_wait, now)
        return ticket, decisions

    def answered(self, ticket: Ticket, now: float, windows: Mapping[Measure, Window] = NO_WINDOWS) -> list[Decision]:
        """The first bytes of a good answer have come, with what its headers say of the limits."""
        self.keyring.answered(ticket, windows, now)
        return self._pump(now) if self._busy else []

    def progress(self, ticket: Ticket, output: int) -> None:
        """The answer has grown to `output` tokens and is still coming."""
        self._queue(ticket.model).fair.progress(ticket, self.costs.cost(Tokens(ticket.need.input, 0, output)))

    def finish(self, ticket: Ticket, used: Tokens, now: float) -> list[Decision]:
        """A complete answer has come, and cost this much."""
        self.keyring.served(ticket, now)
        self.lengths.learn(ticket.person, ticket.model, used.output)
        self.tally.input_tokens += used.input
        self.tally.cached_tokens += used.cached
        return self.break_off(ticket, used, now)

    def break_off(self, ticket: Ticket, used: Tokens, now: float) -> list[Decision]:
        """A request in flight ended without a complete answer. It pays for what was used all the same."""
        return self._end(ticket, self.costs.cost(used), Need(used.input - used.cached, used.output), now)

    def failed(
        self, ticket: Ticket, verdict: Verdict, now: float, windows: Mapping[Measure, Window] = NO_WINDOWS
    ) -> list[Decision]:
        """An attempt has ended before its first byte: learn, give the cost back, and try again where that helps.

        What ends so pays for its attempts, unless others say that it was the key's doing: failing must not be a way to
        stay first. What may have been billed always pays.
        """
        key = ticket.key
        assert key is not None, "only a granted ticket can fail"
        if verdict.event is None:  # the caller's fault, or nobody's: the upstream has had the work all the same
            return [GiveUp(ticket), *self._end(ticket, self._input_cost(ticket), None, now)]
        innocent = self.keyring.failed(ticket, verdict, windows, now)
        ticket.tried |= {key.id}
        ticket.doubts += not innocent and verdict.event is not Event.OUT_OF_QUOTA  # money is no fault of a request
        stranded = self._refuse_stranded(now) if innocent else []
        paid = max(0 if innocent else ticket.doubts, verdict.final)  # attempts
        price = self._input_cost(ticket) * paid
        if not verdict.final and (hopeless := self._hopeless(ticket, now)) is not None:
            return [hopeless, *stranded, *self._end(ticket, price, None, now)]
        if not self._goes_on(ticket, verdict, now, innocent=innocent):
            return [GiveUp(ticket), *stranded, *self._end(ticket, price, None, now)]
        self.keyring.give(ticket, None, now)
        self._queue(ticket.model).fair.refund(ticket)
        return [*stranded, *self._enqueue(ticket, now)]

    def rejected(
        self, ticket: Ticket, verdict: Verdict, now: float, windows: Mapping[Measure, Window] = NO_WINDOWS
    ) -> None:
        """The upstream has rejected a request by its own fault, and the caller hears it. `break_off` is to follow."""
        self.keyring.rejected(ticket, windows, now, elsewhere=verdict.elsewhere)

    def broke(self, ticket: Ticket, now: float) -> list[Decision]:
        """The upstream broke an answer off after its first byte. `break_off` is to follow."""
        return self._refuse_stranded(now) if self.keyring.failed(ticket, BROKEN_OFF, NO_WINDOWS, now) else []

    def cancel(self, ticket: Ticket, now: float) -> list[Decision]:
        """The caller has left before anything was delivered: queued or in flight."""
        if ticket.id not in self.tickets:
            return []
        if ticket.key is not None:
            return self._end(ticket, 0.0, None, now)
        self._drop(ticket, now)
        if not self.keyring.has_free_slot(ticket.model):
            return []  # nobody can go in its place: ten thousand who leave at once must not take long
        return self._pump(now)  # it may have been a head for which others waited

    def learn(self, key_id: str, event: Event, now: float, model: str = "") -> list[Decision]:
        """A probe or the operator says something about a key."""
        key = self.keys[key_id]
        key.apply(event, model, now)
        if event is Event.RESUME:
            self.keyring.anew(key)
        return [*self._refuse_stranded(now), *self._pump(now)]

    def offer(self, upstream: str, models: frozenset[str], now: float) -> list[Decision]:
        """The models of an upstream became known."""
        self.keyring.offer(upstream, models)
        return [*self._refuse_stranded(now), *self._pump(now)]

    def add(self, key: Key, now: float) -> list[Decision]:
        """A key has come."""
        self.keyring.add(key)
        return self._pump(now)

    def remove(self, key_id: str, now: float) -> list[Decision]:
        """A key goes: it gets nothing more, and what it is serving ends undisturbed."""
        self.keyring.remove(key_id)
        return [*self._refuse_stranded(now), *self._pump(now)]

    def tick(self, now: float) -> list[Decision]:
        """Time has passed: give up on what waited too long, wake what rested."""
        decisions: list[Decision] = []
        while self._deadlines and self._deadlines[0][0] <= now:
            ticket = self.tickets.get(heappop(self._deadlines)[1])
            if ticket is not None and ticket.waiting and ticket.deadline <= now:
                self._drop(ticket, now)
                decisions.append(self._timed_out(ticket, now))
        return decisions + self._pump(now)

    def next_wakeup(self) -> float | None:
        """The instant at which `tick` should be called; None when nobody waits."""
        if not self._busy:
            return None
        while self._deadlines:
            ticket = self.tickets.get(self._deadlines[0][1])
            if ticket is not None and ticket.waiting:
                return min(self._deadlines[0][0], self._fits_at)
            heappop(self._deadlines)
        return self._fits_at

    def snapshot(self, now: float) -> PoolSnapshot:
        """All that the outside may see."""
        return snapshot_of(self.keyring, {model: self._queue(model) for model in self.keyring.models()}, now)

    def __repr__(self) -> str:
        waiting = sum(queue.fair.waiting for queue in self._busy.values())
        return f"<Pool keys={len(self.keys)} tickets={len(self.tickets)} waiting={waiting}>"

    # How it decides

    def _ticket(self, ask: Ask, now: float) -> Ticket:
        output = self.lengths.expect(ask.person, ask.model, ask.most_output)
        return Ticket(
            id=ask.id,
            person=ask.person,
            model=ask.model,
            dialect=ask.dialect,
            cost=self.costs.cost(Tokens(ask.input_tokens, 0, output)),
            submitted=now,
            deadline=ask.deadline if ask.max_wait is None else min(ask.deadline, now + ask.max_wait),
            impatient=ask.max_wait is not None and now + ask.max_wait < ask.deadline,
            weight=ask.weight * (BATCH_WEIGHT if ask.batch else 1.0),
            batch=ask.batch,
            running_cap=ask.running_cap,
            groups=ask.groups,
            need=Need(ask.input_tokens, output),
            conversation=ask.conversation,
            bound_to=ask.bound_to,
            reach=self.keyring.reach(ask.model, ask.dialect, ask.groups),
        )

    def _queue(self, model: str) -> ModelQueue:
        queue = self._queues.get(model)
        if queue is None:
            limits = self.limits
            queue = self._queues[model] = ModelQueue(FairQueue(limits.total, limits.per_person, limits.cap))
        return queue

    def _enqueue(self, ticket: Ticket, now: float) -> list[Decision]:
        queue = self._busy.setdefault(ticket.model, self._queue(ticket.model))
        queue.arrived(ticket, now)
        decisions = self._pump(now)
        if ticket.waiting:
            heappush(self._deadlines, (ticket.deadline, ticket.id))
        return decisions

    def _pump(self, now: float) -> list[Decision]:
        """Serve the queues in turn, one request each, until none of them has a request that fits."""
        if not self._busy:
            return []
        decisions: list[Decision] = []

        held: list[Ticket] = []  # heads that only the headroom keeps waiting

        def choose(ticket: Ticket, only: frozenset[str] | None) -> Key | None:
            if self._held_back(ticket, now) or (held and self._overtakes(ticket, held[0], now)):
                return None
            return self.keyring.choose(ticket, only, now)

        def fence(ticket: Ticket) -> frozenset[str]:
            if self._held_back(ticket, now):
                held.append(ticket)
                return self.keyring.free(ticket, now)
            return self._open_to_others(ticket, now)

        stuck: set[str] = set()
        while len(stuck) < len(self._busy):
            model = next(name for name in self._busy if name not in stuck)
            queue = self._busy.pop(model)
            held.clear()
            found = queue.fair.dispatch(choose, fence) if self.keyring.has_free_slot(model) else None
            if found is not None:
                decisions.append(self._grant(queue, *found, now))
            if queue.fair.waiting:
                self._busy[model] = queue
                if found is None:
                    stuck.add(model)
        waits = [self._until_it_fits(model, queue, now) for model, queue in self._busy.items()]
        self._fits_at = now + min(waits, default=FOREVER)
        return decisions

    def _grant(self, queue: ModelQueue, ticket: Ticket, key: Key, now: float) -> Grant:
        self.keyring.take(ticket, key, now)
        ticket.attempts += 1
        ticket.granted = now
        self.retries.dispatched(ticket.person, now)
        queue.granted(ticket, now)
        return Grant(ticket, key)

    def _held_back(self, ticket: Ticket, now: float) -> bool:
        """Only the headroom is free, and its person has a fair share without it."""
        fair = self._queue(ticket.model).fair
        return self._only_headroom(ticket, now) and fair.has_its_share(ticket, self.keyring.slots(ticket))

    def _overtakes(self, ticket: Ticket, head: Ticket, now: float) -> bool:
        """It would take the headroom before a head that is held back, though its person was served more.

        Without this the slots that somebody runs would decide in the place of what everybody was served: measured with
        eight persons who always have work, a gap of 62 largest requests instead of 2.
        """
        return self._only_headroom(ticket, now) and not self._queue(ticket.model).fair.is_near(ticket, head)

    def _only_headroom(self, ticket: Ticket, now: float) -> bool:
        if self.keyring.has_more_free_slots(ticket, self.limits.largest_headroom, now):
            return False
        headroom = self.limits.headroom_of(self.keyring.slots(ticket))
        return bool(headroom) and not self.keyring.has_more_free_slots(ticket, headroom, now)

    def _open_to_others(self, ticket: Ticket, now: float) -> frozenset[str]:
        """The free keys on which others may pass a head that waits: those that it may never use."""
        free = self.keyring.free(ticket, now)
        return free - {key.id for key in self.keyring.usable(ticket)} if free else free

    def _until_it_fits(self, model: str, queue: ModelQueue, now: float) -> float:
        if not self.keyring.has_free_slot(model):
            return FOREVER  # only the end of an answer can help
        head = queue.fair.head()
        return self.keyring.wait(head, now) if head is not None else FOREVER

    def _hopeless(self, ticket: Ticket, now: float) -> Refuse | None:
        """The refusal of a ticket that no key can serve before its deadline."""
        opens = self.keyring.opens_at(ticket)
        if opens <= max(ticket.deadline, now):
            return None
        return self._refuse(ticket, Reason.NO_KEY, None if opens == FOREVER else opens - now)

    def _at_the_door(self, ticket: Ticket, max_wait: float | None, now: float) -> list[Decision]:
        """An honest refusal, at once, of a request that would wait in vain."""
        queue = self._queue(ticket.model)
        forecast = queue.foresee(ticket, self.keyring.slots(ticket), now)
        if max_wait is not None and (forecast.seconds > max_wait or ticket.deadline <= now):
            reason = Reason.TOO_LONG
        elif queue.experienced and forecast.seconds > ticket.deadline - now:
            reason = Reason.QUEUE_FULL
        else:
            return []
        self._drop(ticket, now)
        return [self._refuse(ticket, reason, max(1.0, forecast.seconds)), *self._pump(now)]

    def _timed_out(self, ticket: Ticket, now: float) -> Refuse:
        """The refusal of a ticket that has waited until its deadline, whoever set it."""
        if ticket.impatient:
            return self._refuse(ticket, Reason.TOO_LONG, self._patience_needed(ticket, now))
        return self._refuse(ticket, Reason.TIMED_OUT, None)

    def _patience_needed(self, ticket: Ticket, now: float) -> float:
        """Seconds after which somebody who found the queue full may find a place."""
        queue = self._queue(ticket.model)
        return max(1.0, queue.forecast(ticket, self.keyring.slots(ticket), now).seconds)

    def _refuse_stranded(self, now: float) -> list[Decision]:
        """Refuse all who wait for what no key will give them in time."""
        refused: list[Decision] = []
        for ticket in [ticket for queue in self._busy.values() for ticket in queue.fair.tickets()]:
            if (hopeless := self._hopeless(ticket, now)) is not None:
                self._drop(ticket, now)
                refused.append(hopeless)
        return refused

    def _refuse(self, ticket: Ticket, reason: Reason, retry_after: float | None) -> Refuse:
        self.tally.refusals[reason] += 1
        return Refuse(ticket, reason, retry_after)

    def _input_cost(self, ticket: Ticket) -> float:
        return self.costs.cost(Tokens(ticket.need.input))

    def _goes_on(self, ticket: Ticket, verdict: Verdict, now: float, *, innocent: bool) -> bool:
        """May what failed be sent again?"""
        if verdict.final or ticket.doubts >= MOST_DOUBTS:
            return False
        if not verdict.free:
            return self._may_retry(ticket, now)
        return innocent or self.keyring.has_untried(ticket)  # what a key refuses once, it would refuse again

    def _may_retry(self, ticket: Ticket, now: float) -> bool:
        if ticket.retries >= MOST_RETRIES or ticket.deadline <= now or not self.retries.take(ticket.person, now):
            return False
        ticket.retries += 1
        self.tally.retries += 1
        return True

    def _drop(self, ticket: Ticket, now: float) -> None:
        del self.tickets[ticket.id]
        queue = self._queue(ticket.model)
        queue.fair.cancel(ticket)
        queue.left(ticket, now)
        if not queue.fair.waiting:
            self._busy.pop(ticket.model, None)

    def _end(self, ticket: Ticket, cost: float, used: Need | None, now: float) -> list[Decision]:
        self.keyring.give(ticket, used, now)
        del self.tickets[ticket.id]
        queue = self._queue(ticket.model)
        queue.fair.finish(ticket, cost)
        queue.ended(cost, now)
        return self._pump(now)
