"""Virtual time: people ask, the scheduler starts, answers grow and end.

Every half second the scheduler gets the progress of the running answers, and a sample is kept of what each person
has been served: the cost of the prompts that were started and of the answers as far as they have come.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random

from bench.fairness.schedulers import Scheduler
from bench.fairness.world import FIRST, Job, Provider, Size
from keypool.estimates import CostModel, Tokens
from keypool.health import FOREVER

STEP = 0.5  # seconds between two looks at the running answers


@dataclass(slots=True)
class Sample:
    """What had been served at an instant: cost for each person, and tokens in all."""

    at: float
    served: dict[str, float]
    tokens: int


@dataclass(slots=True)
class Record:
    """All that happened."""

    jobs: list[Job] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)


class Simulation:
    """Drives one scheduler. `at` plans an action; `run` lets everything happen in the order of time."""

    def __init__(self, scheduler: Scheduler, seed: int, costs: CostModel | None = None) -> None:
        self.scheduler, self.dice, self.costs = scheduler, Random(seed), costs or CostModel()
        self.now = 0.0
        self.record = Record()
        self.on_start: list[Callable[[Job], None]] = []
        self.on_end: list[Callable[[Job], None]] = []
        self._running: dict[Job, None] = {}
        self._settled: defaultdict[str, float] = defaultdict(float)
        self._tokens = 0
        self._plan: list[tuple[float, int, Callable[[], None]]] = []
        self._planned = 0
        self.provider: Provider | None = None
        self.refusals: Counter[str] = Counter()  # by the provider, of each person
        scheduler.start, scheduler.refuse = self._start, self._refuse

    def at(self, when: float, action: Callable[[], None]) -> None:
        self._planned += 1
        heappush(self._plan, (when, self._planned, action))

    def ask(self, job: Job) -> None:
        """A request arrives now."""
        job.arrived = self.now
        self.record.jobs.append(job)
        self.scheduler.submit(job, self.now)

    def run(self, until: float) -> Record:
        self.at(STEP, self._look)
        while True:
            wakes = max(self.now, self.scheduler.next_wakeup())
            planned = self._plan[0][0] if self._plan else FOREVER
            self.now = min(wakes, planned)
            if self.now > until:
                return self.record
            if planned <= wakes:
                heappop(self._plan)[2]()
            else:
                self.scheduler.tick(self.now)

    # Who asks

    def poisson(self, person: str, size: Size, per_second: float, until: float) -> None:
        """A person who asks at random, and does not wait for answers before asking again."""

        def arrive() -> None:
            self.ask(size.job(person, self.dice))
            plan()

        def plan() -> None:
            when = self.now + self.dice.expovariate(per_second)
            if when < until:
                self.at(when, arrive)

        plan()

    def backlogged(
        self,
        person: str,
        size: Size,
        waiting: int,
        start: float = 0.0,
        weight: float = 1.0,
        dress: Callable[[Job], object] = lambda job: None,
    ) -> None:
        """A person who always has so many requests waiting, from `start` on. `dress` completes each of them."""

        def more() -> None:
            job = size.job(person, self.dice, weight)
            dress(job)
            self.ask(job)

        def replace(job: Job) -> None:
            if job.person == person:
                self.at(self.now, more)

        def begin(left: int) -> None:
            more()
            if left > 1:  # those who come at the same instant take turns in asking
                self.at(self.now, lambda: begin(left - 1))

        self.at(start, lambda: begin(waiting))
        self.on_start.append(replace)

    # What happens

    def _start(self, job: Job) -> None:
        if self.provider is not None and not self._is_taken(job, self.provider):
            return
        job.started = self.now
        self._running[job] = None
        for hook in self.on_start:
            hook(job)
        self.at(self.now + job.service, lambda: self._end(job))

    def _is_taken(self, job: Job, provider: Provider) -> bool:
        """Whether the provider takes it. Its headers come with the first token, its refusal at once."""
        taken, windows = provider.takes(job, self.now)
        if taken:
            self.at(self.now + FIRST, lambda: self.scheduler.answered(job, windows, self.now))
        else:
            self.refusals[job.person] += 1
            self.at(self.now, lambda: self.scheduler.fail(job, windows, self.now))
        return taken

    def _refuse(self, job: Job) -> None:
        job.refused = True

    def _end(self, job: Job) -> None:
        job.ended = self.now
        del self._running[job]
        written = job.output if job.stays >= 1.0 else job.produced(self.now)
        self._settled[job.person] += self.costs.cost(Tokens(job.input, job.cached, written))
        self._tokens += job.input + written
        if job.stays < 1.0:
            self.scheduler.leave(job, self.now)
        else:
            self.scheduler.finish(job, self.now)
        for hook in self.on_end:
            hook(job)

    def cost(self, job: Job) -> float:
        """What a complete answer costs."""
        return self.costs.cost(Tokens(job.input, job.cached, job.output))

    def _look(self) -> None:
        served, tokens = self._settled.copy(), self._tokens
        for job in self._running:
            produced = job.produced(self.now)
            if job.streamed:
                self.scheduler.progress(job, self.now)
            served[job.person] += self.costs.cost(Tokens(job.input, job.cached, produced))
            tokens += job.input + produced
        self.record.samples.append(Sample(self.now, served, tokens))
        self.at(self.now + STEP, self._look)
