"""The pool: which request gets which key, and when.

Pure. Each verb takes `now` (seconds, monotonic) and returns decisions; the dispatcher carries them out and calls
`tick` at `next_wakeup`. The keys, their slots, standings and domains are shared by all models. The models whose keys
have anything in common form an area with one fair queue (`areas.py`, `fairqueue.py`); `turn.py` says which key a head
may have.

The life of a ticket:

    submit -> Grant -> finish, break_off           its cost is settled
           |        -> failed -> Grant             nothing was delivered, another attempt is allowed
           |                  -> GiveUp            no attempt is left; the caller is told the upstream's failure
           -> Refuse                               queue full, waited too long, or no key can serve it in time
    cancel at any point                            the caller left

What a request pays. A guess when it starts; more as soon as its answer outgrows the guess: by what a stream has
brought, else by the time that has passed and the speed at which the model usually writes, for a plain answer that is
given up shortly before its end has cost as much as one that is taken. Where the provider takes the caller's own bound
on the output from the tokens per minute and gives nothing back, the flow pays for that, too: the dominant share
(Ghodsi et al., NSDI 2011), at what a token costs in a usual request.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush

from keypool.areas import Area, partition, take_over
from keypool.blame import MOST_DOUBTS, TOGETHER
from keypool.deadlines import Deadlines
from keypool.decisions import Ask, Decision, GiveUp, Grant, Limits, Reason, Refuse
from keypool.domains import Need
from keypool.estimates import CostModel, OutputLengths, Speeds, Tokens, Worth
from keypool.fairqueue import FairQueue
from keypool.keyring import Keyring
from keypool.keys import Key
from keypool.limits import Measure, Window
from keypool.queues import Forecast, ModelQueue
from keypool.retries import RetryBudget
from keypool.snapshot import PoolSnapshot, snapshot_of
from keypool.standing import FOREVER, Event
from keypool.ticket import BATCH_WEIGHT, Ticket
from keypool.turn import Turn
from keypool.verdict import BROKEN_OFF, Verdict

__all__ = ["Ask", "Decision", "GiveUp", "Grant", "Limits", "Pool", "Reason", "Refuse", "Tally"]

MOST_RETRIES = 2  # of one request, where the failures were not free
LONG = 60.0  # seconds of rest from which on a key is as good as lost to those who wait
BETWEEN_CHARGES = 1.0  # seconds between two charges of an answer that is longer than was guessed
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
        self.speeds = Speeds()
        self.worth = Worth()
        self.retries = RetryBudget()
        self.tickets: dict[str, Ticket] = {}
        self.tally = Tally()
        self._queues: dict[str, ModelQueue] = {}
        self._areas: dict[str, Area] = {}  # by model
        self._busy: dict[Area, None] = {}  # the areas where somebody waits
        self._deadlines = Deadlines()
        self._overdue: list[tuple[float, int, Ticket]] = []  # when each ticket in flight will have used its guess up
        self._rearrange()

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
        free = not queue.fair.waiting and self.keyring.choose(ticket, (), now) is not None
        if free and not Turn(self.keyring, queue.fair, self.limits, now).held_back(ticket):
            return Forecast(0, 0.0)
        return self._forecast(ticket, now)

    def opens_in(self, ticket: Ticket, now: float) -> float | None:
        """Seconds until the first key wakes that may serve a ticket; None if one is awake or only an operator can help.

        Asked for a ticket that was given up: its caller may come back then.
        """
        seconds = self.keyring.opens_at(ticket) - now
        return seconds if 0.0 < seconds < FOREVER else None

    def outlook(self, ticket: Ticket, now: float) -> Forecast:
        """What a ticket that waits has still to expect."""
        return self._forecast(ticket, now)

    # The verbs

    def submit(self, ask: Ask, now: float) -> tuple[Ticket, list[Decision]]:
        """Put a request into its model's queue."""
        ticket = self._ticket(ask, now)
        if (hopeless := self._hopeless(ticket, now)) is not None:
            return ticket, [hopeless]
        if self.keyring.is_too_large(ticket):
            return ticket, [self._refuse(ticket, Reason.TOO_LARGE, None)]
        queue = self._queue(ask.model)
        shed = queue.fair.submit(ticket)
        if shed is ticket:
            return ticket, [self._refuse(ticket, Reason.QUEUE_FULL, self._patience_needed(ticket, now))]
        self.tickets[ticket.id] = ticket
        decisions: list[Decision] = []
        if shed is not None:
            del self.tickets[shed.id]
            self._queue(shed.model).left(shed, now)
            decisions.append(self._refuse(shed, Reason.QUEUE_FULL, self._patience_needed(shed, now)))
        decisions += self._enqueue(ticket, now)
        if ticket.waiting:
            decisions += self._at_the_door(ticket, ask.max_wait, now)
        return ticket, decisions

    def answered(self, ticket: Ticket, now: float, windows: Mapping[Measure, Window] = NO_WINDOWS) -> list[Decision]:
        """The first bytes of a good answer have come, with what its headers say of the limits."""
        self.keyring.answered(ticket, windows, now)
        if not self._busy and not self._areas[ticket.model].fair.lost:
            return []
        self._watch_keys(now)
        return self._pump(now)

    def progress(self, ticket: Ticket, output: int) -> None:
        """The answer has grown to `output` tokens and is still coming."""
        ticket.told = True
        self._queue(ticket.model).fair.progress(ticket, self.costs.cost(Tokens(ticket.need.input, 0, output)))

    def finish(self, ticket: Ticket, used: Tokens, now: float) -> list[Decision]:
        """A complete answer has come, and cost this much."""
        self.keyring.served(ticket, now)
        self.lengths.learn(ticket.person, ticket.model, used.output)
        self.speeds.learn(ticket.person, ticket.model, used.output, now - ticket.granted)
        self.worth.learn(self.costs.cost(used), used.input + used.output)
        self.tally.input_tokens += used.input
        self.tally.cached_tokens += used.cached
        return self.break_off(ticket, used, now)

    def break_off(self, ticket: Ticket, used: Tokens, now: float, *, left: bool = False) -> list[Decision]:
        """A request in flight ended without a complete answer. It pays for what was used all the same.

        `left`: its caller gave it up, and what was used is what is known of it. It pays for what was probably written.
        """
        if left and not ticket.told:
            used = replace(used, output=max(used.output, self._written(ticket, now)))
        cost = self.costs.cost(used) + self._kept_back(ticket, used)
        return self._end(ticket, cost, Need(used.input - used.cached, used.output), now)

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
        self._queue(ticket.model).failed(ticket, now)
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
        """The caller has left before anything was delivered: queued or in flight, where the upstream has begun."""
        if ticket.id not in self.tickets:
            return []
        if ticket.key is not None:
            return self.break_off(ticket, Tokens(ticket.need.input), now, left=True)
        self._drop(ticket, now)
        if not self._areas[ticket.model].has_free_slot:
            return []  # nobody can go in its place: ten thousand who leave at once must not take long
        return self._pump(now)  # it may have been a head for which others waited

    def learn(self, key_id: str, event: Event, now: float, model: str = "") -> list[Decision]:
        """A probe or the operator says something about a key.

        A probe that reaches nobody proves nothing while the key serves: at some providers the list of models fails
        alone, and any request that fails brings a probe.
        """
        key = self.keys[key_id]
        if event is Event.UNREACHED and key.served_since(now - TOGETHER):
            return []
        key.apply(event, model, now)
        if event is Event.RESUME:
            self.keyring.anew(key, now)
        return [*self._refuse_stranded(now), *self._pump(now)]

    def offer(self, upstream: str, models: frozenset[str], now: float) -> list[Decision]:
        """The models of an upstream became known."""
        self.keyring.offer(upstream, models)
        self._rearrange()
        return [*self._refuse_stranded(now), *self._pump(now)]

    def add(self, key: Key, now: float) -> list[Decision]:
        """A key has come."""
        self.keyring.add(key)
        self._rearrange()
        return self._pump(now)

    def remove(self, key_id: str, now: float) -> list[Decision]:
        """A key goes: it gets nothing more, and what it is serving ends undisturbed."""
        for area in self._all_areas():
            area.fair.lose(key_id)
        self.keyring.remove(key_id)
        self._rearrange()
        return [*self._refuse_stranded(now), *self._pump(now)]

    def tick(self, now: float) -> list[Decision]:
        """Time has passed: give up on what waited too long, wake what rested."""
        decisions: list[Decision] = []
        self._watch_keys(now)
        for ticket in self._deadlines.due(now):
            self._drop(ticket, now)
            decisions.append(self._timed_out(ticket, now))
        return decisions + self._pump(now)

    def next_wakeup(self) -> float | None:
        """The instant at which `tick` should be called; None when nobody waits."""
        if not self._busy:
            return None
        return min(self._deadlines.first(), min(area.fits_at for area in self._busy))

    def snapshot(self, now: float) -> PoolSnapshot:
        """All that the outside may see."""
        return snapshot_of(self.keyring, {model: self._queue(model) for model in self.keyring.models()}, now)

    def __repr__(self) -> str:
        waiting = sum(area.fair.waiting for area in self._busy)
        return f"<Pool keys={len(self.keys)} tickets={len(self.tickets)} waiting={waiting}>"

    # How it decides

    def _ticket(self, ask: Ask, now: float) -> Ticket:
        output = self.lengths.expect(ask.person, ask.model, ask.most_output)
        reach = self.keyring.reach(ask.model, ask.dialect, ask.groups)
        whole, cached = (
            self.costs.cost(Tokens(ask.input_tokens)),
            self.costs.cost(Tokens(ask.input_tokens, ask.input_tokens)),
        )
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
            party=ask.party,
            party_weight=ask.party_weight * (BATCH_WEIGHT if ask.batch else 1.0),
            least=cached,
            doubt=whole - cached,
            most_output=ask.most_output,
            need=Need(ask.input_tokens, output, ask.most_output or 0),
            conversation=ask.conversation,
            bound_to=ask.bound_to,
            reach=reach if ask.bound_to is None else reach & ask.bound_to,
        )

    def _queue(self, model: str) -> ModelQueue:
        queue = self._queues.get(model)
        if queue is None:
            queue = self._queues[model] = ModelQueue(model, self._area(model))
        return queue

    def _area(self, model: str) -> Area:
        area = self._areas.get(model)
        if area is None:
            area = self._areas[model] = self._new_area(frozenset((model,)))
        return area

    def _all_areas(self) -> set[Area]:
        return set(self._areas.values())

    def _new_area(self, models: frozenset[str]) -> Area:
        limits = self.limits
        keys = [key for key in self.keys.values() if not key.models.isdisjoint(models)]
        return Area(FairQueue(limits.total, limits.per_person, limits.cap), models, keys)

    def _rearrange(self) -> None:
        """Keys or models have come or gone: see which belong together now, and who may use what."""
        changed = self._reaches_changed()
        old, parts = self._all_areas(), partition(self.keys.values(), {*self.keyring.models(), *self._areas})
        if not changed and {area.models for area in old} == set(parts):
            for area in old:
                area.keys = self._new_area(area.models).keys
            return
        tickets: dict[FairQueue, list[Ticket]] = {}
        for ticket in self.tickets.values():
            tickets.setdefault(self._areas[ticket.model].fair, []).append(ticket)
        self._areas = {model: area for models in parts for area in [self._new_area(models)] for model in models}
        for area in self._all_areas():
            mine = {fair: [each for each in some if each.model in area.models] for fair, some in tickets.items()}
            take_over(area, old, mine)
        for model, queue in self._queues.items():
            queue.area = self._areas[model]
        self._busy = {area: None for area in self._all_areas() if area.fair.waiting}
        self._deadlines = Deadlines()
        for ticket in self.tickets.values():
            if ticket.waiting:
                self._deadlines.add(ticket)

    def _reaches_changed(self) -> bool:
        """Tell those who wait which keys may serve them now; False if nothing is new for anybody."""
        changed = False
        for ticket in self.tickets.values():
            reach = self.keyring.reach(ticket.model, ticket.dialect, ticket.groups)
            if ticket.bound_to is not None:
                reach &= ticket.bound_to
            if ticket.reach != reach:
                ticket.reach, changed = reach, True
        return changed

    def _watch_keys(self, now: float) -> None:
        """The standing of keys may have changed: see who is of no use for long, and how many slots are open."""
        for area in self._busy:
            area.look(now)
        for area in self._all_areas():
            for key in area.keys:
                if key.whole.dead or key.whole.opens_at() > now + LONG:
                    area.fair.lose(key.id)
                elif key.id in area.fair.lost:
                    area.fair.regain(key.id)

    def _enqueue(self, ticket: Ticket, now: float) -> list[Decision]:
        queue = self._queue(ticket.model)
        queue.arrived(ticket, now)
        if queue.area not in self._busy:
            self._busy[queue.area] = None
            queue.area.look(now)
        decisions = self._pump(now)
        if ticket.waiting:
            self._deadlines.add(ticket)
        return decisions

    def _pump(self, now: float) -> list[Decision]:
        """Serve the areas until none of them has a request that fits."""
        if not self._busy:
            return []
        self._charge_overdue(now)
        decisions: list[Decision] = []
        for area in list(self._busy):
            area.fits_at = FOREVER  # without a free slot only the end of an answer can help
            if area.has_free_slot:
                turn = Turn(self.keyring, area.fair, self.limits, now)
                while (found := area.fair.dispatch(turn.choose, turn.is_open, now)) is not None:
                    decisions.append(self._grant(*found, now))
                    if not area.has_free_slot:
                        break
                    turn.granted()
                area.fits_at = turn.fits_at
            if not area.fair.waiting:
                del self._busy[area]
        return decisions

    def _grant(self, ticket: Ticket, key: Key, now: float) -> Grant:
        self.keyring.take(ticket, key, now)
        ticket.attempts += 1
        ticket.granted, ticket.told = now, False
        self.retries.dispatched(ticket.person, now)
        queue = self._queue(ticket.model)
        queue.granted(ticket, now)
        kept = self.keyring.domain(key, ticket.model).asks(ticket.need).reserved - ticket.need.output
        if kept > 0:
            queue.fair.charge(ticket, ticket.cost + kept * self.worth.of_token)
        self._watch_time(ticket, now + self.speeds.seconds(ticket.model, ticket.need.output))
        return Grant(ticket, key)

    def _watch_time(self, ticket: Ticket, when: float) -> None:
        heappush(self._overdue, (when, id(ticket), ticket))

    def _charge_overdue(self, now: float) -> None:
        """Charge what has been in flight for longer than its guess is worth, unless its stream says what it brings."""
        while self._overdue and self._overdue[0][0] <= now:
            ticket = heappop(self._overdue)[2]
            if ticket.key is not None and not ticket.told and ticket.id in self.tickets:
                written = self._written(ticket, now)
                cost = self.costs.cost(Tokens(ticket.need.input, 0, written))
                self._queue(ticket.model).fair.charge(ticket, cost)
                if ticket.most_output is None or written < ticket.most_output:
                    self._watch_time(ticket, now + BETWEEN_CHARGES)

    def _written(self, ticket: Ticket, now: float) -> int:
        """Tokens that the upstream has probably written for a ticket in flight."""
        written = self.speeds.written(ticket.model, now - ticket.granted)
        return written if ticket.most_output is None else min(written, ticket.most_output)

    def _kept_back(self, ticket: Ticket, used: Tokens) -> float:
        """The worth of what the provider took beforehand from its limits, was not used, and is not given back."""
        if ticket.domain is None or not ticket.domain.told:
            return 0.0
        return max(0, ticket.domain.asks(ticket.need).reserved - used.output) * self.worth.of_token

    def _hopeless(self, ticket: Ticket, now: float) -> Refuse | None:
        """The refusal of a ticket that no key can serve before its deadline."""
        opens = self.keyring.opens_at(ticket)
        if opens <= max(ticket.deadline, now):
            return None
        return self._refuse(ticket, Reason.NO_KEY, None if opens == FOREVER else opens - now)

    def _forecast(self, ticket: Ticket, now: float) -> Forecast:
        keyring = self.keyring
        full = not keyring.has_room(ticket)
        return self._queue(ticket.model).forecast(ticket, keyring.openings(ticket, now), now, full=full)

    def _at_the_door(self, ticket: Ticket, max_wait: float | None, now: float) -> list[Decision]:
        """An honest refusal, at once, of a request that would wait in vain."""
        queue, keyring = self._queue(ticket.model), self.keyring
        full = not keyring.has_room(ticket)
        forecast = queue.foresee(ticket, keyring.openings(ticket, now), now, full=full)
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
        return max(1.0, self._forecast(ticket, now).seconds)

    def _refuse_stranded(self, now: float) -> list[Decision]:
        """Refuse all who wait for what no key will give them in time.

        Only a lane whose keys all rest can have such tickets, and of these only those whose time ends before one opens.
        """
        self._watch_keys(now)
        refused: list[Decision] = []
        for lane in self._deadlines.lanes():
            opens = self.keyring.lane_opens_at(lane)
            if opens <= now:
                continue
            for ticket in dict.fromkeys(self._deadlines.before(lane, opens)):  # a retry stands there twice
                if (hopeless := self._hopeless(ticket, now)) is not None:
                    self._drop(ticket, now)
                    refused.append(hopeless)
                else:
                    self._deadlines.add(ticket)
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
            self._busy.pop(queue.area, None)

    def _end(self, ticket: Ticket, cost: float, used: Need | None, now: float) -> list[Decision]:
        self.keyring.give(ticket, used, now)
        del self.tickets[ticket.id]
        queue = self._queue(ticket.model)
        queue.fair.finish(ticket, cost)
        queue.ended(cost, now)
        return self._pump(now)
