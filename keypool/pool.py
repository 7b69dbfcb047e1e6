"""The pool: which request gets which key, and when.

Pure. Each verb takes `now` (seconds, monotonic) and returns decisions; the dispatcher carries them out and calls
`tick` at `next_wakeup`. The keys, their slots, standings and domains are shared by all models. The models whose keys
have anything in common form an area with one fair queue (`areas.py`, `fairqueue.py`); `turn.py` says which key a head
may have.

The life of a ticket:

    submit -> Grant -> finish, break_off           its cost is settled
           |        -> failed -> Grant             nothing was delivered, another attempt is allowed
           |                  -> GiveUp            no attempt is left; the caller gets the upstream's failure
           -> Refuse                               queue full, waited too long, or no key can serve it in time
    cancel at any point                            the caller left

Where to look: which models belong together in `arrangement.py`, what a request pays in `pricing.py`, how long it will
wait and whether it is refused in `queue_admission.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from keypool.activity import Activity
from keypool.areas import Area
from keypool.arrangement import Arrangement
from keypool.blame import MOST_DOUBTS, TOGETHER
from keypool.deadlines import Deadlines
from keypool.domains import Need
from keypool.estimates import CostModel, Tokens
from keypool.health import FOREVER, KeyEvent
from keypool.keyring import Keyring
from keypool.keys import Key
from keypool.limits import LimitMeasure, RateWindow
from keypool.messages import Ask, Decision, GiveUp, Grant, QueueLimits, Reason, Refuse
from keypool.news import News
from keypool.pricing import Pricing
from keypool.queue_admission import QueueAdmission
from keypool.retries import RetryBudget
from keypool.shares import Part
from keypool.snapshot import PoolSnapshot, TallySnapshot, snapshot_of
from keypool.tally import PoolTally
from keypool.ticket import Spread, Ticket
from keypool.trouble import LEADS_TO, Trouble
from keypool.turn import Turn
from keypool.verdict import BROKEN_OFF, Verdict

__all__ = ["Ask", "Decision", "GiveUp", "Grant", "Pool", "PoolTally", "QueueLimits", "Reason", "Refuse"]

MOST_RETRIES = 2  # of one request, where the failures were not free
NO_WINDOWS: Mapping[LimitMeasure, RateWindow] = {}


class Pool:
    """All keys and all queues of one process."""

    def __init__(self, keys: Iterable[Key], limits: QueueLimits | None = None, costs: CostModel | None = None) -> None:
        self.limits = limits or QueueLimits()
        self.keyring = Keyring(keys)
        self.pricing = Pricing(costs or CostModel())
        self.areas = Arrangement(self.keyring, self.limits)
        self.admission = QueueAdmission(self.keyring, self.areas, self.pricing, self.limits)
        self.retries = RetryBudget()
        self.tickets: dict[str, Ticket] = {}
        self.tally = PoolTally(self.admission.refusals)
        self._deadlines = Deadlines()
        self.news = News(self.keyring)
        self.activity = Activity(self.keyring, self.areas, self.tickets)

    @property
    def keys(self) -> dict[str, Key]:
        return self.keyring.keys

    # The verbs

    def submit(self, ask: Ask, now: float) -> tuple[Ticket, list[Decision]]:
        """Put a request into its model's queue."""
        ticket = self.pricing.ticket(ask, self.keyring.reach(ask.model, ask.dialect, ask.groups), now)
        if self.activity.spreads:
            self.activity.divide(ticket)
        if (hopeless := self.admission.hopeless(ticket, now)) is not None:
            return ticket, [hopeless]
        if self.keyring.is_too_large(ticket):
            return ticket, [self.admission.refuse(ticket, Reason.TOO_LARGE, None)]
        queue = self.areas.queue(ask.model)
        shed = queue.fair.submit(ticket)
        if shed is ticket:
            return ticket, [self.admission.shed(ticket, now)]
        self.tickets[ticket.id] = ticket
        decisions: list[Decision] = []
        if shed is not None:
            del self.tickets[shed.id]
            self.areas.queue(shed.model).left(shed, now)
            decisions.append(self.admission.shed(shed, now))
        decisions += self._enqueue(ticket, now)
        if ticket.waiting:
            decisions += self._unless_in_vain(ticket, ask.max_wait, now)
        return ticket, decisions

    def resume(self, ask: Ask, key_id: str, granted: float, now: float) -> Ticket | None:
        """A request runs already: a pool before this one granted it at that instant. None if there is no such key."""
        key = self.keys.get(key_id)
        if key is None:
            return None
        ticket = self.pricing.ticket(ask, self.keyring.reach(ask.model, ask.dialect, ask.groups), now)
        queue = self.areas.queue(ask.model)
        queue.fair.resume(ticket, key)
        queue.resumed(ticket, key, granted)
        self.tickets[ticket.id] = ticket
        self.keyring.take(ticket, key, now)
        ticket.attempts, ticket.granted = 1, granted
        self.pricing.watch(ticket, granted)
        return ticket

    def answered(
        self, ticket: Ticket, now: float, windows: Mapping[LimitMeasure, RateWindow] = NO_WINDOWS
    ) -> list[Decision]:
        """The first bytes of a good answer have come, with what its headers say of the limits."""
        self.keyring.answered(ticket, windows, now)
        if not self.areas.busy and not self.areas.area(ticket.model).fair.lost:
            return []
        self.areas.watch_keys(now)
        return self._pump(now)

    def progress(self, ticket: Ticket, output: int) -> None:
        """The answer has grown to `output` tokens and is still coming."""
        ticket.metered = True
        self.areas.queue(ticket.model).fair.progress(ticket, self.pricing.of_answer(ticket, output))

    def finish(self, ticket: Ticket, used: Tokens, now: float) -> list[Decision]:
        """A complete answer has come, and cost this much."""
        self.keyring.served(ticket, now)
        self.pricing.learn(ticket, used, now)
        self.tally.input_tokens += used.input
        self.tally.cached_tokens += used.cached
        return self.break_off(ticket, used, now)

    def break_off(self, ticket: Ticket, used: Tokens, now: float, *, left: bool = False) -> list[Decision]:
        """A request in flight ended without a complete answer. It pays for what was used all the same.

        `left`: its caller gave it up, and what was used is what is known of it. It pays for what was probably written.
        """
        if left and not ticket.metered:
            used = used._replace(output=max(used.output, self.pricing.written(ticket, now)))
        cost = self.pricing.costs.cost(used) + self.pricing.kept_back(ticket, used)
        return self._end(ticket, cost, Need(used.input - used.cached, used.output), now)

    def failed(
        self, ticket: Ticket, verdict: Verdict, now: float, windows: Mapping[LimitMeasure, RateWindow] = NO_WINDOWS
    ) -> list[Decision]:
        """An attempt has ended before its first byte: learn, give the cost back, and try again where that helps.

        What ends so pays for its attempts, unless others say that it was the key's doing: failing must not be a way to
        stay first. What may have been billed always pays.
        """
        key = ticket.key
        assert key is not None, "only a granted ticket can fail"
        if verdict.event is None:  # the key is not at fault, and the upstream has had the work all the same
            return [GiveUp(ticket), *self._end(ticket, self.pricing.of_prompt(ticket), None, now)]
        innocent = self.keyring.failed(ticket, verdict, windows, now)
        ticket.tried |= {key.id}
        ticket.doubts += not innocent and verdict.event is not KeyEvent.OUT_OF_QUOTA  # money is no fault of a request
        stranded = self._refuse_stranded(now) if innocent else []
        paid = max(0 if innocent else ticket.doubts, verdict.final)  # attempts
        price = self.pricing.of_prompt(ticket) * paid
        if not verdict.final and (hopeless := self.admission.hopeless(ticket, now)) is not None:
            return [hopeless, *stranded, *self._end(ticket, price, None, now)]
        if not self._goes_on(ticket, verdict, now, innocent=innocent):
            return [GiveUp(ticket), *stranded, *self._end(ticket, price, None, now)]
        self.keyring.give(ticket, None, now)
        self.areas.queue(ticket.model).failed(ticket, now)
        self.areas.queue(ticket.model).fair.refund(ticket)
        return [*stranded, *self._enqueue(ticket, now)]

    def rejected(
        self, ticket: Ticket, verdict: Verdict, now: float, windows: Mapping[LimitMeasure, RateWindow] = NO_WINDOWS
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
        if not self.areas.area(ticket.model).has_free_slot:
            return []  # no other ticket can take its place: ten thousand that leave at once must not take long
        return self._pump(now)  # it may have been a head for which others waited

    def learn(self, key_id: str, event: KeyEvent, now: float, model: str = "") -> list[Decision]:
        """A probe or the operator says something about a key.

        A probe without an answer proves nothing while the key serves: at some providers the list of models fails
        alone, and any request that fails brings a probe.
        """
        key = self.keys[key_id]
        if event is KeyEvent.UNREACHED and key.served_since(now - TOGETHER):
            return []
        key.apply(event, model, now)
        if event in LEADS_TO:
            key.note(Trouble(event, now, model, checked=True))
        if event is KeyEvent.RESUME:
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

    def retune(self, terms: Key, now: float) -> list[Decision]:
        """A key has other terms from now on; what it is serving ends undisturbed."""
        self.keyring.retune(terms, now)
        self._rearrange()
        return [*self._refuse_stranded(now), *self._pump(now)]

    def remove(self, key_id: str, now: float) -> list[Decision]:
        """A key goes: it gets nothing more, and what it is serving ends undisturbed."""
        for area in self.areas.all():
            area.fair.lose(key_id)
        self.keyring.remove(key_id)
        self._rearrange()
        return [*self._refuse_stranded(now), *self._pump(now)]

    def share(self, parts: Mapping[str, Part], now: float) -> list[Decision]:
        """These parts of some capacities are this gateway's from now on (`sharing.py`)."""
        if not self.keyring.share(parts, now):
            return []
        self.areas.watch_keys(now)
        return self._pump(now)

    def split(self, spreads: Mapping[str, Spread], now: float) -> list[Decision]:
        """So the flows and parties that are active here are spread over the gateways; the others are only here."""
        return self._pump(now) if self.activity.split(spreads) else []

    def hear(self, news: Iterable[list[Any]], now: float, wall: int) -> list[Decision]:
        """Learn what other gateways have found out (`news.py`). `wall`: UTC milliseconds."""
        if not self.news.hear(news, now, wall):
            return []
        return [*self._refuse_stranded(now), *self._pump(now)]

    def tick(self, now: float) -> list[Decision]:
        """Time has passed: give up on what waited too long, wake what rested."""
        decisions: list[Decision] = []
        self.areas.watch_keys(now)
        for ticket in self._deadlines.due(now):
            self._drop(ticket, now)
            decisions.append(self.admission.timed_out(ticket, now))
        return decisions + self._pump(now)

    def next_wakeup(self) -> float | None:
        """The instant at which `tick` should be called; None when no ticket waits."""
        if not self.areas.busy:
            return None
        return min(self._deadlines.first(), min(area.fits_at for area in self.areas.busy))

    def snapshot(self, now: float) -> PoolSnapshot:
        """All that the outside may see."""
        queues = {model: self.areas.queue(model) for model in self.keyring.models()}
        tally = TallySnapshot(
            refusals=dict(self.tally.refusals),
            retries=self.tally.retries,
            spent=self.retries.spent(now),
            allowed=self.retries.allowed(now),
            input_tokens=self.tally.input_tokens,
            cached_tokens=self.tally.cached_tokens,
        )
        return snapshot_of(self.keyring, queues, self.tickets.values(), tally, now)

    def __repr__(self) -> str:
        waiting = sum(area.fair.waiting for area in self.areas.busy)
        return f"<Pool keys={len(self.keys)} tickets={len(self.tickets)} waiting={waiting}>"

    # How it decides

    def _rearrange(self) -> None:
        """Keys or models have come or gone. Waiting tickets may be in another lane now."""
        if self.areas.rearrange(self.tickets.values()):
            self._deadlines = Deadlines()
            for ticket in self.tickets.values():
                if ticket.waiting:
                    self._deadlines.add(ticket)

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

    def _unless_in_vain(self, ticket: Ticket, max_wait: float | None, now: float) -> list[Decision]:
        refusal = self.admission.in_vain(ticket, max_wait, now)
        if refusal is None:
            return []
        self._drop(ticket, now)
        return [refusal, *self._pump(now)]

    def _enqueue(self, ticket: Ticket, now: float) -> list[Decision]:
        queue = self.areas.queue(ticket.model)
        queue.arrived(ticket, now)
        if queue.area not in self.areas.busy:
            self.areas.busy[queue.area] = None
            queue.area.look(now)
        decisions = self._pump(now)
        if ticket.waiting:
            self._deadlines.add(ticket)
        return decisions

    def _pump(self, now: float) -> list[Decision]:
        """Serve the areas until none of them has a request that fits."""
        if not self.areas.busy:
            return []
        for ticket, cost in self.pricing.overdue(now):
            self.areas.queue(ticket.model).fair.charge(ticket, cost)
        decisions: list[Decision] = []
        for area in list(self.areas.busy):
            area.fits_at = FOREVER  # without a free slot only the end of an answer can help
            if area.has_free_slot:
                self._serve(area, decisions, now)
            if not area.fair.waiting:
                del self.areas.busy[area]
        return decisions

    def _serve(self, area: Area, decisions: list[Decision], now: float) -> None:
        """Grant what may go now in an area that has a free slot."""
        fair, turn = area.fair, Turn(self.keyring, area.fair, self.limits, now)
        while fair.waiting and (found := fair.dispatch(turn.choose, turn.is_open, now)) is not None:
            decisions.append(self._grant(*found, now))
            if not area.has_free_slot:
                break
            turn.granted()
        area.fits_at = turn.fits_at

    def _grant(self, ticket: Ticket, key: Key, now: float) -> Grant:
        self.keyring.take(ticket, key, now)
        ticket.attempts += 1
        ticket.granted, ticket.metered = now, False
        self.retries.dispatched(ticket.person, now)
        queue = self.areas.queue(ticket.model)
        queue.granted(ticket, key, now)
        kept = ticket.taken.reserved - ticket.need.output
        if kept > 0:
            queue.fair.charge(ticket, ticket.cost + self.pricing.of_reserved(kept))
        self.pricing.watch(ticket, now)
        return Grant(ticket, key)

    def _refuse_stranded(self, now: float) -> list[Decision]:
        """Refuse all who wait for what no key will give them in time.

        Only a lane whose keys all rest can have such tickets, and of these only those whose time ends before one opens.
        """
        self.areas.watch_keys(now)
        refused: list[Decision] = []
        for lane in self._deadlines.lanes():
            opens = self.keyring.lane_opens_at(lane)
            if opens <= now:
                continue
            for ticket in dict.fromkeys(self._deadlines.before(lane, opens)):  # a retry stands there twice
                if (hopeless := self.admission.hopeless(ticket, now)) is not None:
                    self._drop(ticket, now)
                    refused.append(hopeless)
                else:
                    self._deadlines.add(ticket)
        return refused

    def _drop(self, ticket: Ticket, now: float) -> None:
        del self.tickets[ticket.id]
        queue = self.areas.queue(ticket.model)
        queue.fair.cancel(ticket)
        queue.left(ticket, now)
        if not queue.fair.waiting:
            self.areas.busy.pop(queue.area, None)

    def _end(self, ticket: Ticket, cost: float, used: Need | None, now: float) -> list[Decision]:
        self.keyring.give(ticket, used, now)
        del self.tickets[ticket.id]
        queue = self.areas.queue(ticket.model)
        queue.fair.finish(ticket, cost)
        queue.ended(ticket, cost, now)
        return self._pump(now)
