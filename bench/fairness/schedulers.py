"""The core, and four simpler schedulers to compare it with, behind one interface.

The simpler ones share the core's keys, limits and guesses of length, so that only the order differs. All of them are
strict: while their next request does not fit, all wait.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from bench.fairness.world import DIALECT, Job
from keypool.domains import Need
from keypool.estimates import CostModel, OutputLengths, Tokens
from keypool.health import FOREVER, KeyEvent
from keypool.keyring import LEAST_WAIT, Keyring
from keypool.keys import Key
from keypool.limits import LimitMeasure, RateWindow
from keypool.pool import Ask, Decision, Grant, Pool, QueueLimits
from keypool.ticket import Ticket
from keypool.verdict import Verdict

BOUNDLESS = QueueLimits(total=10**9, per_person=10**9, headroom=0)
QUANTUM = 2000.0  # of deficit round robin, in cost: about one ordinary request


Hook = Callable[[Job], None]
Windows = Mapping[LimitMeasure, RateWindow]
LIMITED = Verdict(KeyEvent.RATE_LIMITED)


class Scheduler(Protocol):
    """What the simulation drives. `start` and `refuse` are set by it."""

    start: Hook
    refuse: Hook

    def submit(self, job: Job, now: float) -> None: ...

    def progress(self, job: Job, now: float) -> None: ...

    def finish(self, job: Job, now: float) -> None: ...

    def leave(self, job: Job, now: float) -> None:
        """The caller gives it up while its answer comes."""
        ...

    def answered(self, job: Job, windows: Windows, now: float) -> None: ...

    def fail(self, job: Job, windows: Windows, now: float) -> None:
        """The provider has refused it for its limits."""
        ...

    def tick(self, now: float) -> None: ...

    def next_wakeup(self) -> float: ...


def _unset(job: Job, /) -> None:
    raise AssertionError("the simulation has not set this hook")


class Fairgate:
    """The real core."""

    def __init__(
        self,
        keys: Iterable[Key],
        limits: QueueLimits = BOUNDLESS,
        costs: CostModel | None = None,
        patience: float = 1e9,
    ) -> None:
        self.pool, self.patience = Pool(keys, limits, costs), patience
        self.start: Hook = _unset
        self.refuse: Hook = _unset
        self._jobs: dict[str, Job] = {}
        self._count = 0

    def submit(self, job: Job, now: float) -> None:
        self._count += 1
        name = str(self._count)
        self._jobs[name] = job
        ask = Ask(
            id=name,
            person=job.person,
            model=job.model,
            dialect=DIALECT,
            input_tokens=job.input,
            most_output=job.most_output,
            deadline=now + self.patience,
            weight=job.weight,
            groups=job.groups,
            conversation=job.conversation,
            party=job.party,
        )
        job.ticket, decisions = self.pool.submit(ask, now)
        if job.ticket.waiting:
            job.predicted = self.pool.admission.outlook(job.ticket, now).seconds
        self._carry_out(decisions)

    def progress(self, job: Job, now: float) -> None:
        assert job.ticket is not None
        self.pool.progress(job.ticket, job.produced(now))

    def finish(self, job: Job, now: float) -> None:
        assert job.ticket is not None
        self._carry_out(self.pool.finish(job.ticket, Tokens(job.input, job.cached, job.output), now))

    def leave(self, job: Job, now: float) -> None:
        assert job.ticket is not None
        counted = job.produced(now) if job.streamed else 0
        used = Tokens(job.input, job.cached, counted)
        self._carry_out(self.pool.break_off(job.ticket, used, now, left=True))

    def answered(self, job: Job, windows: Windows, now: float) -> None:
        assert job.ticket is not None
        self._carry_out(self.pool.answered(job.ticket, now, windows))

    def fail(self, job: Job, windows: Windows, now: float) -> None:
        assert job.ticket is not None
        self._carry_out(self.pool.failed(job.ticket, LIMITED, now, windows))

    def change(self, verb: Callable[[float], list[Decision]], now: float) -> None:
        """Something happens to the keys."""
        self._carry_out(verb(now))

    def tick(self, now: float) -> None:
        self._carry_out(self.pool.tick(now))

    def next_wakeup(self) -> float:
        due = self.pool.next_wakeup()
        return FOREVER if due is None else due

    def _carry_out(self, decisions: list[Decision]) -> None:
        for decision in decisions:
            job = self._jobs[decision.ticket.id]
            if isinstance(decision, Grant):
                self.start(job)
            else:
                self.refuse(job)


class Line(Protocol):
    """An order of service."""

    def put(self, ticket: Ticket) -> bool:
        """Take a ticket in, or say that it is refused."""
        ...

    def head(self) -> Ticket | None: ...

    def pop(self) -> None:
        """Remove the head, which is served."""
        ...

    def settle(self, ticket: Ticket, cost: float) -> None:
        """Learn what it has really cost."""
        ...

    def progress(self, ticket: Ticket, cost: float) -> None:
        """Learn what it has cost so far."""
        ...


class Simple:
    """Serves a line, on the core's keys."""

    def __init__(self, keys: Iterable[Key], line: Line) -> None:
        self.start: Hook = _unset
        self.refuse: Hook = _unset
        self._line, self._keyring = line, Keyring(keys)
        self._lengths, self._costs = OutputLengths(), CostModel()
        self._jobs: dict[Ticket, Job] = {}
        self._wakes = FOREVER

    def submit(self, job: Job, now: float) -> None:
        output = self._lengths.expect(job.person, job.model, job.most_output)
        cost = self._costs.cost(Tokens(job.input, 0, output))
        need = Need(job.input, output)
        reach = self._keyring.reach(job.model, DIALECT, job.groups)
        job.ticket = Ticket("", job.person, job.model, DIALECT, cost, now, FOREVER, need=need, reach=reach)
        if not self._line.put(job.ticket):
            self.refuse(job)
            return
        self._jobs[job.ticket] = job
        self.tick(now)

    def progress(self, job: Job, now: float) -> None:
        assert job.ticket is not None
        self._line.progress(job.ticket, self._costs.cost(Tokens(job.input, 0, job.produced(now))))

    def finish(self, job: Job, now: float) -> None:
        self._lengths.learn(job.person, job.model, job.output)
        self._end(job, job.output, now)

    def leave(self, job: Job, now: float) -> None:
        self._end(job, job.produced(now) if job.streamed else 0, now)

    def _end(self, job: Job, output: int, now: float) -> None:
        assert job.ticket is not None
        self._keyring.give(job.ticket, Need(job.input, output), now)
        self._line.settle(job.ticket, self._costs.cost(Tokens(job.input, job.cached, output)))
        self.tick(now)

    def answered(self, job: Job, windows: Windows, now: float) -> None:
        assert job.ticket is not None
        self._keyring.answered(job.ticket, windows, now)

    def fail(self, job: Job, windows: Windows, now: float) -> None:
        """The request is asked again as if it were new: a client does so after a 429."""
        assert job.ticket is not None
        self._keyring.failed(job.ticket, LIMITED, windows, now)
        self._keyring.give(job.ticket, None, now)
        self._line.settle(job.ticket, 0.0)
        self.submit(job, now)

    def tick(self, now: float) -> None:
        self._wakes = FOREVER
        while (head := self._line.head()) is not None:
            key = self._keyring.choose(head, (), now)
            if key is None:
                self._wakes = now + self._wait(head, now)
                return
            self._line.pop()
            head.key = key
            self._keyring.take(head, key, now)
            self.start(self._jobs.pop(head))

    def next_wakeup(self) -> float:
        return self._wakes

    def _wait(self, head: Ticket, now: float) -> float:
        """Seconds until the head may fit; infinite when only an end can free a key."""
        waits = [FOREVER]
        for key, domain in self._keyring.usable(head):
            if key.running < key.slots:
                waits.append(max(domain.wait(domain.asks(head.need), now), key.opens_at(head.model) - now))
        return max(LEAST_WAIT, min(waits))


class Fifo:
    """First come, first served."""

    def __init__(self) -> None:
        self._tickets: deque[Ticket] = deque()

    def put(self, ticket: Ticket) -> bool:
        self._tickets.append(ticket)
        return True

    def head(self) -> Ticket | None:
        return self._tickets[0] if self._tickets else None

    def pop(self) -> None:
        self._tickets.popleft()

    def settle(self, ticket: Ticket, cost: float) -> None:
        """Costs do not matter to it."""

    def progress(self, ticket: Ticket, cost: float) -> None:
        """Costs do not matter to it."""


class OneEach(Fifo):
    """First come, first served, and each person may have one request waiting; another one is refused (429)."""

    def put(self, ticket: Ticket) -> bool:
        if any(each.person == ticket.person for each in self._tickets):
            return False
        return super().put(ticket)


class RoundRobin:
    """One request of each person in turn."""

    def __init__(self) -> None:
        self._turns: deque[deque[Ticket]] = deque()
        self._of: dict[str, deque[Ticket]] = {}

    def put(self, ticket: Ticket) -> bool:
        mine = self._of.setdefault(ticket.person, deque())
        mine.append(ticket)
        if len(mine) == 1:
            self._turns.append(mine)
        return True

    def head(self) -> Ticket | None:
        return self._turns[0][0] if self._turns else None

    def pop(self) -> None:
        mine = self._turns.popleft()
        mine.popleft()
        if mine:
            self._turns.append(mine)

    def settle(self, ticket: Ticket, cost: float) -> None:
        """Costs do not matter to it."""

    def progress(self, ticket: Ticket, cost: float) -> None:
        """It learns only at the end."""


class Deficit(RoundRobin):
    """Deficit round robin (Shreedhar and Varghese, 1995): each turn is worth a quantum; what was guessed is settled.

    Who has nothing waiting takes no deficit along, but debts stay.
    """

    def __init__(self) -> None:
        super().__init__()
        self._deficit: defaultdict[str, float] = defaultdict(float)

    def put(self, ticket: Ticket) -> bool:
        if not self._turns:
            self._deficit[ticket.person] += QUANTUM  # its turn begins
        return super().put(ticket)

    def head(self) -> Ticket | None:
        while self._turns:
            ticket = self._turns[0][0]
            if self._deficit[ticket.person] >= ticket.cost:
                return ticket
            self._turns.rotate(-1)
            self._turn_begins()
        return None

    def pop(self) -> None:
        ticket = self._turns[0].popleft()
        self._deficit[ticket.person] -= ticket.cost
        if not self._turns[0]:
            self._turns.popleft()
            self._deficit[ticket.person] = min(0.0, self._deficit[ticket.person])
            self._turn_begins()

    def settle(self, ticket: Ticket, cost: float) -> None:
        self._deficit[ticket.person] += ticket.cost - cost

    def _turn_begins(self) -> None:
        if self._turns:
            self._deficit[self._turns[0][0].person] += QUANTUM


class VirtualTokens(Fifo):
    """The virtual token counter as published (Sheng et al., OSDI 2024): prompts are charged when a request starts,
    answers while they come; who comes back starts at the lowest counter of those who wait."""

    def __init__(self) -> None:
        super().__init__()
        self._counters: defaultdict[str, float] = defaultdict(float)
        self._queues: dict[str, deque[Ticket]] = {}

    def put(self, ticket: Ticket) -> bool:
        mine = self._queues.get(ticket.person)
        if mine is None:
            lowest = min((self._counters[each] for each in self._queues), default=0.0)
            self._counters[ticket.person] = max(self._counters[ticket.person], lowest)
            mine = self._queues[ticket.person] = deque()
        mine.append(ticket)
        return True

    def head(self) -> Ticket | None:
        if not self._queues:
            return None
        return self._queues[min(self._queues, key=lambda each: self._counters[each])][0]

    def pop(self) -> None:
        ticket = self.head()
        assert ticket is not None, "only a head is served"
        mine = self._queues[ticket.person]
        mine.popleft()
        if not mine:
            del self._queues[ticket.person]
        ticket.charged = CostModel().cost(Tokens(ticket.need.input))
        self._counters[ticket.person] += ticket.charged

    def settle(self, ticket: Ticket, cost: float) -> None:
        self._counters[ticket.person] += cost - ticket.charged
        ticket.charged = cost

    def progress(self, ticket: Ticket, cost: float) -> None:
        if cost > ticket.charged:
            self.settle(ticket, cost)


SIMPLE: dict[str, Callable[[], Line]] = {
    "FIFO": Fifo,
    "FIFO, one waiting each": OneEach,
    "Round robin": RoundRobin,
    "Deficit round robin": Deficit,
    "VTC as published": VirtualTokens,
}
