"""Whatever becomes of what gateways read and write: together they use no more than there is, and nothing is stranded.

Gateways beat on a store that loses, delays, doubles and answers late; they stop, stand still, are cut off, and come
back. A provider counts all that they send.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from keypool.domains import Bucket, Quota
from keypool.estimates import Tokens
from keypool.health import FOREVER
from keypool.holding import DEAD, LEASE, Proposal
from keypool.keys import Key
from keypool.limits import LimitMeasure
from keypool.messages import Decision, Grant
from keypool.pool import Ask, Pool
from keypool.shares import WHOLE, Capacity, Entry, Shares, WholeLimit, refilled
from keypool.sharing import Report, Sharing
from tests.keypool.cluster import Documents

RPM, RPD, SLOTS = 600, 1_500, 10
RATES, KEY = "rates of o/m", "slots of k"
CAPACITY = Capacity(
    {LimitMeasure.REQUESTS.value: WholeLimit(RPM, 60.0), LimitMeasure.DAILY.value: WholeLimit(RPD, 86_400.0)}
)
LONGEST_CUT = 30.0  # seconds for which a gateway goes on without the store
FATES = ("written", "answer lost", "lost", "late")


@dataclass
class Life:
    """One life of one gateway. Times: of its last record that is known to be written, and of the last one that is."""

    pool: Pool
    sharing: Sharing
    report: Report
    since: float = -FOREVER
    recorded: float = -FOREVER
    running: list[Grant] = field(default_factory=list)
    asked: int = 0


class Cluster(RuleBasedStateMachine):
    """Up to four gateways, their store, and the provider."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.documents, self.late, self.before = Documents(), [], [{}]  # type: ignore[var-annotated]
        self.lives: dict[str, Life] = {}
        self.records: dict[str, tuple[Report, float]] = {}
        limits = CAPACITY.limits.items()
        self.provider = {name: Bucket(each.amount, each.amount / each.period, each.amount) for name, each in limits}
        self.started = 0
        self.start()

    # What may happen

    @precondition(lambda self: len(self.lives) < 4)
    @rule()
    def start(self) -> None:
        quota = Quota(requests=RPM, daily=RPD)
        key = Key("k", "u", frozenset({"openai"}), frozenset({"m"}), SLOTS, organisation="o", quota=quota)
        pool = Pool([key])
        name = f"g{self.started}"
        self.started += 1
        sharing = Sharing(name, pool)
        self.lives[name] = Life(pool, sharing, sharing.report(self.now))

    @precondition(lambda self: len(self.lives) > 1)
    @rule(which=st.integers(0, 3))
    def kill(self, which: int) -> None:
        name = self._name(which)
        del self.lives[name]

    @rule(seconds=st.sampled_from((0.2, 3.0, 6.0)))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        for name, life in list(self.lives.items()):
            alone = life.pool.keyring.domains["o/m"].part.until == FOREVER if life.pool.keyring.domains else False
            if self.now - life.since > (DEAD if alone else LONGEST_CUT) and life.since >= 0.0:
                del self.lives[name]  # who is alone goes on without the store for longer, and does not hear of others
            else:
                self._carry_out(life, life.pool.tick(self.now))
        if not self.lives:
            self.start()

    @rule(dice=st.randoms(use_true_random=False), often=st.sampled_from((0.0, 0.2, 0.6)), seconds=st.integers(1, 8))
    def seconds_pass(self, dice: Random, often: float, seconds: int) -> None:
        """Each gateway beats each second; so often something becomes of what it reads and writes."""
        for _ in range(seconds):
            self.wait(1.0)
            if dice.random() < 0.3:
                self.ask(dice.randrange(4), 60)
            for name in list(self.lives):
                record, fate = (
                    dice.choice(some) if dice.random() < often else "written" for some in (FATES[:3], FATES)
                )
                if dice.random() >= often / 2:
                    self._beat(name, record, dice.randrange(3) if dice.random() < often else 0, fate)
            if self.late and dice.random() < often:
                self._store(dice.choice(self.late))

    @rule(
        which=st.integers(0, 3), record=st.sampled_from(FATES[:3]), read=st.integers(0, 2), fate=st.sampled_from(FATES)
    )
    def beat(self, which: int, record: str, read: int, fate: str) -> None:
        self._beat(self._name(which), record, read, fate)

    @precondition(lambda self: bool(self.late))
    @rule(which=st.integers(0, 9), again=st.booleans())
    def comes_late(self, which: int, again: bool) -> None:
        proposal = self.late[which % len(self.late)]
        if not again:
            self.late.remove(proposal)
        self._store(proposal)

    @rule(which=st.integers(0, 3), number=st.sampled_from((5, 400)))
    def ask(self, which: int, number: int) -> None:
        """Five requests that take their time, or so many short ones that only the rates hold them back."""
        life = self.lives[self._name(which)]
        for _ in range(number):
            life.asked += 1
            name = f"{'short' if number > 5 else 'long'} {life.asked}"
            ask = Ask(name, f"p{life.asked % 5}", "m", "openai", 1, 1, self.now + 60.0)
            self._carry_out(life, life.pool.submit(ask, self.now)[1])

    @rule(which=st.integers(0, 3), number=st.integers(1, 10))
    def end(self, which: int, number: int) -> None:
        self._end(self.lives[self._name(which)], number)

    # What holds

    @invariant()
    def no_document_gives_more_than_there_is(self) -> None:
        for _, shares in self.documents.stored.values():
            assert shares.free >= 0
            assert sum(each.slots for each in shares.entries.values()) <= SLOTS
            assert all(each.part >= 0 <= each.slots for each in shares.entries.values())

    @invariant()
    def what_is_used_is_at_most_what_is_written(self) -> None:
        for name, life in self._certain():
            rates, slots = (self._document(each).entries.get(name, Entry()) for each in (RATES, KEY))
            assert life.pool.keyring.domain(life.pool.keys["k"], "m").part.part <= rates.part
            assert life.pool.keys["k"].slots <= slots.slots

    @invariant()
    def what_the_gateways_take_to_be_left_is_left(self) -> None:
        pot = refilled(self._document(RATES), CAPACITY, int(self.now * 1000)).pot
        loads = [life.pool.activity.loads(self.now)[RATES].levels for _, life in self._certain()]
        for measure, bucket in self.provider.items():
            bucket.refill(self.now)
            left = sum(levels[measure] for levels in loads) + pot[measure]
            assert left * bucket.capacity <= bucket.level + 1e-6 * bucket.capacity

    @invariant()
    def the_provider_refuses_nothing(self) -> None:
        assert all(bucket.level >= -1e-6 * bucket.capacity for bucket in self.provider.values())

    def teardown(self) -> None:
        """When the store works again, all is shared out soon, and nothing is left of the dead."""
        self.late.clear()
        for name, life in list(self.lives.items()):
            self._end(life, len(life.running) + life.asked)
            self._beat(name, "written", 0, "written")
        whole = set()
        for _ in range(14):
            self.now += 1.0
            for name, life in self.lives.items():
                self._end(life, 1_000)
                self._beat(name, "written", 0, "written")
                self.what_is_used_is_at_most_what_is_written()
            whole |= {name for name, (_, shares) in self.documents.stored.items() if self._is_shared_out(name, shares)}
        for _, shares in self.documents.stored.values():
            assert set(shares.entries) == set(self.lives)
        assert whole == {RATES, KEY}, "a part that no gateway has is stranded"

    # How it is done

    def _certain(self) -> list[tuple[str, Life]]:
        """Those that have a lease. A gateway that comes back has none until its entry is written once more."""
        parts = {name: life.pool.keyring.domain(life.pool.keys["k"], "m").part for name, life in self.lives.items()}
        return [
            (name, life) for name, life in self.lives.items() if self.now <= min(life.since + LEASE, parts[name].until)
        ]

    def _document(self, name: str) -> Shares:
        return self.documents.stored.get(name, (0, Shares()))[1]

    def _is_shared_out(self, name: str, shares: Shares) -> bool:
        """Has every part an owner? A slot that changes hands has none for one heartbeat."""
        return shares.free < 0.02 * WHOLE if name == RATES else sum(e.slots for e in shares.entries.values()) == SLOTS

    def _name(self, which: int) -> str:
        return list(self.lives)[which % len(self.lives)]

    def _beat(self, name: str, record: str, read: int, fate: str) -> None:
        life, wall = self.lives[name], int(self.now * 1000)
        life.report = life.sharing.report(self.now)
        if record != "lost":
            self.records[name] = (life.report, self.now)
        if record == "written":
            life.since = self.now
        documents = self.before[-1 - min(read, len(self.before) - 1)] if read else self.documents.stored
        living = {each: report for each, (report, at) in self.records.items() if self.now - at < DEAD} | {
            name: life.report
        }
        named = {each for _, shares in documents.values() for each in shares.entries}
        flows = {flow: [each for each, report in living.items() if flow in report.flows] for flow in life.report.flows}
        self._carry_out(life, life.sharing.split(flows, self.now, wall))
        claims = {each: report.claims for each, report in living.items()}
        beat = life.sharing.beat(dict(documents), claims, named - living.keys(), life.since, self.now, wall)
        self._carry_out(life, beat.decisions)
        for proposal in beat.proposals:
            if fate == "late":
                self.late.append(proposal)
            elif fate != "lost" and self._store(proposal) and fate == "written":
                self._carry_out(life, life.sharing.written(proposal, life.since, self.now))
        self.what_is_used_is_at_most_what_is_written()
        self.what_the_gateways_take_to_be_left_is_left()

    def _store(self, proposal: Proposal) -> bool:
        before = dict(self.documents.stored)
        if self.documents.swap(proposal):
            self.before.append(before)
            return True
        return False

    def _carry_out(self, life: Life, decisions: list[Decision]) -> None:
        for decision in decisions:
            if isinstance(decision, Grant):
                life.running.append(decision)
                for bucket in self.provider.values():
                    bucket.take(1.0, self.now)
        short = [each for each in life.running if each.ticket.id.startswith("short")]
        life.running = [each for each in life.running if each not in short]
        for grant in short:
            self._carry_out(life, life.pool.finish(grant.ticket, Tokens(1, 0, 1), self.now))

    def _end(self, life: Life, number: int) -> None:
        for _ in range(min(number, len(life.running))):
            grant = life.running.pop(0)
            self._carry_out(life, life.pool.finish(grant.ticket, Tokens(1, 0, 1), self.now))


@pytest.mark.slow
class TestCluster(Cluster.TestCase):  # type: ignore[misc]
    settings = settings(max_examples=5, stateful_step_count=15, deadline=None)


@pytest.mark.soak
@pytest.mark.timeout(3600)
class TestClusterAtLength(Cluster.TestCase):  # type: ignore[misc]
    settings = settings(max_examples=2000, stateful_step_count=40, deadline=None)
