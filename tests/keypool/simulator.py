"""A pool in virtual time.

The simulator is the dispatcher and the upstreams at once: it carries the decisions out, lets each attempt end as its
request's fates say, and calls `tick` at `next_wakeup` and never otherwise. So a scenario also proves that the pool
asks to be woken exactly when something is due. Seconds throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count

from keypool.estimates import Tokens
from keypool.health import FOREVER
from keypool.pool import Ask, Decision, Grant, Pool, Refuse
from keypool.ticket import Ticket
from keypool.verdict import Verdict

# How an attempt ends: a verdict, or None for a good answer.
Fate = Callable[[Grant], Verdict | None]


def answers(grant: Grant) -> Verdict | None:
    return None


@dataclass
class SimulatedRequest:
    """One request and its course through the pool."""

    ticket: Ticket
    service: float
    fate: Fate
    asked: float
    grants: list[tuple[float, str]] = field(default_factory=list)  # (instant, key)
    ended: list[tuple[float, str]] = field(default_factory=list)  # (instant, how)
    refusal: Refuse | None = None

    @property
    def wait(self) -> float:
        """Seconds until the first grant; infinite without one."""
        return self.grants[0][0] - self.asked if self.grants else FOREVER

    @property
    def end(self) -> str:
        return self.ended[-1][1] if self.ended else "open"


class Simulator:
    """Runs a pool to the end of all that was planned with `at` and `ask`."""

    def __init__(self, pool: Pool) -> None:
        self.pool, self.now, self.ticks = pool, 0.0, 0
        self.requests: dict[str, SimulatedRequest] = {}
        self.order: list[SimulatedRequest] = []  # by grant
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def at(self, when: float, action: Callable[[], None]) -> None:
        heappush(self._events, (when, next(self._order), action))

    def decide(self, when: float, verb: Callable[[float], Iterable[Decision]]) -> None:
        """Plan a verb of the pool that takes the instant and returns decisions."""
        self.at(when, lambda: self.carry_out(verb(self.now)))

    def ask(self, when: float, ask: Ask, service: float = 10.0, fate: Fate = answers) -> None:
        def submit() -> None:
            ticket, decisions = self.pool.submit(ask, self.now)
            self.requests[ask.id] = SimulatedRequest(ticket, service, fate, self.now)
            self.carry_out(decisions)

        self.at(when, submit)

    def leave(self, when: float, name: str) -> None:
        """The caller of a request leaves, wherever the request is."""

        def cancel() -> None:
            ticket = self.requests[name].ticket
            if ticket.id in self.pool.tickets:
                self._end(self.requests[name], "left")
            self.carry_out(self.pool.cancel(ticket, self.now))

        self.at(when, cancel)

    def run(self, until: float = FOREVER) -> None:
        """Let everything happen in the order of time; what is planned for one instant happens before the tick."""
        while True:
            due = self.pool.next_wakeup()
            planned = self._events[0][0] if self._events else FOREVER
            step = min(planned, FOREVER if due is None else max(due, self.now))
            if step == FOREVER or step > until:
                return
            self.now = step
            if planned <= step:
                heappop(self._events)[2]()
            else:
                self._tick()

    def assert_empty(self) -> None:
        """Nothing is left: no ticket, no slot, no wake-up, no request without exactly one end."""
        assert self.pool.tickets == {}
        assert all(key.running == 0 for key in self.pool.keys.values())
        assert self.pool.next_wakeup() is None
        assert all(model.waiting == model.running == 0 for model in self.pool.snapshot(self.now).models)
        standings = [each for key in self.pool.keys.values() for each in (key.whole, *key.by_model.values())]
        assert all(standing.trial is None for standing in standings)
        assert [context.ticket.id for context in self.requests.values() if len(context.ended) != 1] == []

    def ends(self) -> dict[str, str]:
        return {name: context.end for name, context in self.requests.items()}

    def carry_out(self, decisions: Iterable[Decision]) -> None:
        for decision in decisions:
            context = self.requests[decision.ticket.id]
            if isinstance(decision, Grant):
                self._send(context, decision)
            else:
                self._end(context, decision.reason.value if isinstance(decision, Refuse) else "given up")
                context.refusal = decision if isinstance(decision, Refuse) else None

    def _tick(self) -> None:
        self.ticks += 1
        self.carry_out(self.pool.tick(self.now))
        due = self.pool.next_wakeup()
        assert due is None or due > self.now, "a tick left something due: the timer would be busy"

    def _send(self, context: SimulatedRequest, grant: Grant) -> None:
        assert not context.ended, "granted after its end"
        key = grant.key
        assert key.running <= key.slots
        context.grants.append((self.now, key.id))
        self.order.append(context)
        attempt = context.ticket.attempts
        self.at(self.now + context.service, lambda: self._attempt_ends(context, grant, attempt))

    def _attempt_ends(self, context: SimulatedRequest, grant: Grant, attempt: int) -> None:
        if context.ended or context.ticket.attempts != attempt:
            return  # the caller has left meanwhile
        verdict = context.fate(grant)
        if verdict is not None:
            self.carry_out(self.pool.failed(context.ticket, verdict, self.now))
            return
        self._end(context, "answered")
        self.carry_out(self.pool.answered(context.ticket, self.now))
        self.carry_out(self.pool.finish(context.ticket, Tokens(context.ticket.need.input, 0, 100), self.now))

    def _end(self, context: SimulatedRequest, how: str) -> None:
        context.ended.append((self.now, how))
