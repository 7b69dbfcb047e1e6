"""Many gateways that share one provider's limits: the real pool, many times, in virtual time.

Each gateway has a pool of its own and beats once a second on a store that loses some of what is written and read. Each
person always has requests waiting, at one gateway, and when that dies, at another one. A provider counts requests and
tokens per minute for all of them together and refuses what is too much, at once and with `retry-after`; with headers it
says with each answer what is left. `bench/scale.py` runs the scenarios and writes their figures into `docs/scale.md`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from random import Random
from statistics import median

from bench.fairness.world import FIRST, SPEED, USUAL, Job, Size
from keypool.domains import Bucket, Quota
from keypool.estimates import CostModel, Tokens
from keypool.fairness_index import jain
from keypool.health import FOREVER, KeyEvent
from keypool.holding import DEAD
from keypool.keys import Key
from keypool.limits import LimitMeasure, RateWindow
from keypool.messages import Ask, Decision, Grant
from keypool.pool import NO_WINDOWS, Pool
from keypool.shares import WHOLE, Shares
from keypool.sharing import Report, Sharing
from keypool.verdict import Verdict
from tests.keypool.cluster import Documents

BEAT = 1.0  # seconds
WARM_UP = 180.0  # seconds in which the provider's buckets, full at first, are used up
WAITING = 2  # requests of each person
RATES = "rates of o/m"


@dataclass(frozen=True, slots=True)
class Scenario:
    """`persons`: at each gateway. `loss`: the share of records, documents and answers that is lost. `dies`: a gateway,
    and when. `alike`: all requests are of one size. `shared`: the gateways know of each other."""

    name: str
    persons: tuple[int, ...]
    rpm: int = 60
    tpm: int = 40_000
    slots: int = 64
    headers: bool = False
    loss: float = 0.0
    seconds: float = 780.0
    dies: tuple[int, float] | None = None
    size: Size = USUAL
    alike: bool = False
    shared: bool = True


@dataclass(slots=True)
class Figures:
    """What has come of it. `overshoot`: the largest part of a limit that the gateways together took to be left and was
    not; `reused`: seconds from a death until its part was used again; `ages`: of the records that were read;
    `writes`: of documents, by a gateway in a heartbeat; `seconds`: of real time that the simulation took."""

    refused: float
    jain: float
    utilisation: float
    overshoot: float
    ages: list[float]
    reused: float | None
    writes: float
    requests: int
    seconds: float

    @property
    def age(self) -> tuple[float, float]:
        """Median and largest."""
        return (median(self.ages), max(self.ages)) if self.ages else (0.0, 0.0)


class Limiter:
    """The provider's limits, of one organisation."""

    def __init__(self, scenario: Scenario) -> None:
        self.requests = Bucket(scenario.rpm, scenario.rpm / 60, scenario.rpm)
        self.tokens = Bucket(scenario.tpm, scenario.tpm / 60, scenario.tpm)

    def takes(self, tokens: int, now: float) -> float:
        """Take a request. Returns 0.0, or the seconds to wait when it is refused."""
        needs = ((self.requests, 1.0), (self.tokens, float(tokens)))
        for bucket, _ in needs:
            bucket.refill(now)
        if all(bucket.level >= need for bucket, need in needs):
            for bucket, need in needs:
                bucket.take(need, now)
            return 0.0
        return max((need - bucket.level) / bucket.rate for bucket, need in needs)

    def windows(self) -> dict[LimitMeasure, RateWindow]:
        pairs = ((LimitMeasure.REQUESTS, self.requests), (LimitMeasure.TOKENS, self.tokens))
        return {each: RateWindow(bucket.capacity, max(0.0, bucket.level), None, 60.0) for each, bucket in pairs}


@dataclass(eq=False, slots=True)
class Member:
    """A gateway."""

    name: str
    pool: Pool
    sharing: Sharing | None  # None: it knows of no other gateway
    since: float = -FOREVER
    wakes: float = FOREVER


class Cluster:
    """Runs one scenario."""

    def __init__(self, scenario: Scenario, seed: int = 1) -> None:
        self.scenario, self.dice, self.now = scenario, Random(seed), 0.0
        self.provider, self.costs = Limiter(scenario), CostModel()
        self.documents = Documents()
        self.records: dict[str, tuple[Report, float, list[list[object]]]] = {}
        self.members = [self._member(f"g{number:02}") for number in range(len(scenario.persons))]
        self.home: dict[str, Member] = {}
        self.outputs: dict[str, int] = {}
        self.served: Counter[str] = Counter()
        self.taken: Counter[str] = Counter()  # what the provider took and refused, from the end of the warm-up on
        self.overshoot, self.asked, self.reused = 0.0, 0, None  # type: float, int, float | None
        self.ages: list[float] = []
        self._plan: list[tuple[float, int, Callable[[], None]]] = []
        self._planned = 0

    def run(self) -> Figures:
        began = time.perf_counter()
        self._begin()
        while self._plan and self._plan[0][0] <= self.scenario.seconds:
            self.now, _, action = heappop(self._plan)
            action()
        measured, taken = self.scenario.seconds - WARM_UP, self.taken
        sent = taken["requests"] + taken["refused"]
        used = max(taken["requests"] / self.scenario.rpm, taken["tokens"] / self.scenario.tpm) * 60 / measured
        fair = jain(self.served[person] for person in self.home)
        refused = taken["refused"] / sent if sent else 0.0
        writes, took = taken["writes"] / max(1, taken["beats"]), time.perf_counter() - began
        return Figures(refused, fair, used, self.overshoot, self.ages, self.reused, writes, taken["requests"], took)

    def _member(self, name: str) -> Member:
        quota = Quota(requests=self.scenario.rpm, tokens=self.scenario.tpm)
        key = Key("k", "u", frozenset({"openai"}), frozenset({"m"}), self.scenario.slots, organisation="o", quota=quota)
        pool = Pool([key])
        return Member(name, pool, Sharing(name, pool) if self.scenario.shared else None)

    def _begin(self) -> None:
        for number, (member, persons) in enumerate(zip(self.members, self.scenario.persons, strict=True)):
            self._at(BEAT * number / len(self.members), partial(self._beats, member))
            for person in range(persons):
                name = f"{member.name} p{person}"
                self.home[name] = member
                self._at(2.0, partial(self._ask, name))
                self._at(2.0 + BEAT, partial(self._ask, name))
        if self.scenario.dies is not None:
            which, when = self.scenario.dies
            self._at(when, partial(self._dies, self.members[which]))

    def _at(self, when: float, action: Callable[[], None]) -> None:
        self._planned += 1
        heappush(self._plan, (when, self._planned, action))

    # Requests

    def _ask(self, person: str) -> None:
        member = self.home[person]
        self.asked += 1
        size = self.scenario.size
        job = Job(person, size.input, size.output) if self.scenario.alike else size.job(person, self.dice)
        name = f"r{self.asked}"
        self.outputs[name] = job.output
        ask = Ask(name, person, "m", "openai", job.input, None, FOREVER)
        self._carry_out(member, member.pool.submit(ask, self.now)[1])

    def _carry_out(self, member: Member, decisions: Iterable[Decision]) -> None:
        for decision in decisions:
            if isinstance(decision, Grant):
                self._send(member, decision)
            else:  # given up after refusals: the person asks anew
                self._at(self.now, partial(self._ask, decision.ticket.person))
        wakes = member.pool.next_wakeup()
        if wakes is not None and wakes < member.wakes:
            member.wakes = wakes
            self._at(max(self.now, wakes), partial(self._tick, member, wakes))

    def _tick(self, member: Member, wakes: float) -> None:
        if member.wakes == wakes and member in self.members:
            member.wakes = FOREVER
            self._carry_out(member, member.pool.tick(self.now))

    def _send(self, member: Member, grant: Grant) -> None:
        ticket = grant.ticket
        output = self.outputs[ticket.id]
        wait = self.provider.takes(ticket.need.input + output, self.now)
        windows = self.provider.windows() if self.scenario.headers else NO_WINDOWS
        if wait:
            self._count("refused", 1)
            verdict = Verdict(KeyEvent.RATE_LIMITED, rest=wait)
            self._at(
                self.now + 0.1,
                lambda: self._then(member, lambda: member.pool.failed(ticket, verdict, self.now, windows)),
            )
            return
        self._count("requests", 1)
        self._count("tokens", ticket.need.input + output)
        self.served[ticket.person] += self.costs.of(ticket.need.input, 0, output) if self.now >= WARM_UP else 0
        self._at(self.now + FIRST, lambda: self._then(member, lambda: member.pool.answered(ticket, self.now, windows)))
        used = Tokens(ticket.need.input, 0, output)
        end = self.now + FIRST + output / SPEED
        self._at(end, lambda: self._then(member, lambda: member.pool.finish(ticket, used, self.now)))
        self._at(self.now, partial(self._ask, ticket.person))

    def _then(self, member: Member, verb: Callable[[], list[Decision]]) -> None:
        if member in self.members:
            self._carry_out(member, verb())

    def _count(self, what: str, number: int) -> None:
        if self.now >= WARM_UP:
            self.taken[what] += number

    # Heartbeats

    def _beats(self, member: Member) -> None:
        if member not in self.members or member.sharing is None:
            return
        self._at(self.now + BEAT, partial(self._beats, member))
        wall = int(self.now * 1000)
        report = member.sharing.report(self.now)
        if self._arrives():
            self.records[member.name] = report, self.now, member.pool.news.since(0, self.now, wall)[1]
            member.since = self.now if self._arrives() else member.since
        if not self._arrives():
            return  # nothing can be read
        living = {name: each for name, each in self.records.items() if self.now - each[1] < DEAD}
        self.ages += [self.now - at for name, (_, at, _) in living.items() if name != member.name]
        for name, (_, _, news) in living.items():
            if name != member.name:
                self._carry_out(member, member.pool.hear(news, self.now, wall))
        reports = {name: each[0] for name, each in living.items()} | {member.name: report}
        self._share(member, member.sharing, reports, wall)
        self._look()

    def _share(self, member: Member, sharing: Sharing, living: Mapping[str, Report], wall: int) -> None:
        mine = living[member.name].flows
        flows = {flow: [name for name, each in living.items() if flow in each.flows] for flow in mine}
        self._carry_out(member, sharing.split(flows, self.now, wall))
        named = {name for _, shares in self.documents.stored.values() for name in shares.entries}
        claims = {name: each.claims for name, each in living.items()}
        documents = dict(self.documents.stored)
        beat = sharing.beat(documents, claims, named - living.keys(), member.since, self.now, wall)
        self._carry_out(member, beat.decisions)
        self._count("writes", len(beat.proposals))
        self._count("beats", 1)
        for proposal in beat.proposals:
            if self._arrives() and self.documents.swap(proposal) and self._arrives():
                self._carry_out(member, sharing.written(proposal, member.since, self.now))

    def _arrives(self) -> bool:
        return self.dice.random() >= self.scenario.loss

    def _look(self) -> None:
        """How much more is thought to be left than there is, and whether a dead gateway's part is used again."""
        _, shares = self.documents.stored.get(RATES, (0, Shares()))
        if self.scenario.dies is not None and self.reused is None and self.now > self.scenario.dies[1]:
            parts = [each.pool.keyring.domain(each.pool.keys["k"], "m").part.part for each in self.members]
            if sum(parts) >= 0.99 * WHOLE:
                self.reused = self.now - self.scenario.dies[1]
        if self.now < WARM_UP:
            return
        for measure, bucket in (
            (LimitMeasure.REQUESTS, self.provider.requests),
            (LimitMeasure.TOKENS, self.provider.tokens),
        ):
            bucket.refill(self.now)
            left = (
                sum(self._left(each, measure) for each in self.members)
                + shares.pot.get(measure.value, 0.0) * bucket.capacity
            )
            self.overshoot = max(self.overshoot, (left - bucket.level) / bucket.capacity)

    def _left(self, member: Member, measure: LimitMeasure) -> float:
        bucket = member.pool.keyring.domain(member.pool.keys["k"], "m").buckets[measure]
        bucket.refill(self.now)
        return bucket.level

    def _dies(self, member: Member) -> None:
        self.members.remove(member)
        for number, person in enumerate([name for name, home in self.home.items() if home is member]):
            self.home[person] = self.members[number % len(self.members)]
            for _ in range(WAITING):
                self._at(self.now + BEAT, partial(self._ask, person))


def skewed(gateways: int, persons: int) -> tuple[int, ...]:
    """One person at the first gateway; at the others twice as many at the last as at the second."""
    if gateways == 1:
        return (persons,)
    weights = [1.0 + number / max(1, gateways - 2) for number in range(gateways - 1)]
    some = [int((persons - 1) * weight / sum(weights)) for weight in weights]
    some[-1] += persons - 1 - sum(some)
    return (1, *some)


SMALL = Scenario("3 gateways, 60 persons", skewed(3, 60), size=Size(400, 200), alike=True)
