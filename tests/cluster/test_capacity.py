"""Three gateways divide a key by a simulated store, in virtual time: never more than there is, and nothing stranded."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from keypool.domains import Quota
from keypool.health import FOREVER
from keypool.keys import Key
from keypool.limits import LimitMeasure
from keypool.messages import Ask
from keypool.pool import Pool
from server.cluster.capacity import SharedCapacity
from server.cluster.heartbeat import Heartbeat
from server.cluster.membership import Membership
from server.dispatcher import Dispatcher
from server.store.base import SharedDocument, StoreError
from tests.cluster.simulated import EPOCH, FakeStore, Through

SLOTS, RATES = "slots of k", "rates of o/m"
TOGETHER = 12


class Cluster:
    """Gateways "a", "b" and "c" with one key. `still`: those that have stopped, dead or not."""

    def __init__(self, names: str = "abc") -> None:
        self.store, self.now, self.still = FakeStore(), 0.0, set[str]()
        self.gateways = {name: Gateway(self, name) for name in names}

    async def run(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now += 1.0
            for name, gateway in self.gateways.items():
                if name not in self.still:
                    await gateway.beat()
                self.assert_no_more_than_there_is()

    def assert_no_more_than_there_is(self) -> None:
        running = [gateway for name, gateway in self.gateways.items() if name not in self.still]
        assert sum(gateway.slots for gateway in running) <= TOGETHER

    def slots(self) -> dict[str, int]:
        return {name: gateway.slots for name, gateway in self.gateways.items()}


class Gateway:
    """One of them: a real pool, and its heartbeat."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        quota = Quota(requests=60, tokens=40_000)
        key = Key("k", "u", frozenset({"openai"}), frozenset({"m"}), TOGETHER, organisation="o", quota=quota)
        self.cluster, self.name, self.pool = cluster, name, Pool([key])
        way: Any = Through(cluster.store, name)
        self.capacity = SharedCapacity(
            way,
            name,
            Dispatcher(self.pool, self.clock),
            b"secret",
            self.clock,
            lambda: EPOCH + round(self.clock() * 1000),
        )
        membership = Membership(name, lambda other: False, 90.0)
        self.heart = Heartbeat(way, name, membership, (self.capacity,), self.nothing, self.clock, lambda: EPOCH)

    def clock(self) -> float:
        return self.cluster.now

    async def nothing(self) -> None:
        pass

    async def beat(self) -> None:
        try:
            await self.heart.beat()
        except StoreError:
            assert self.name in self.cluster.store.cut or self.cluster.store.loses_answers

    @property
    def slots(self) -> int:
        return self.pool.keys["k"].slots

    def submit(self, number: int, person: str) -> None:
        for each in range(number):
            ask = Ask(f"{self.name}{person}{each}", person, "m", "openai", 100, 100, FOREVER)
            self.pool.submit(ask, self.clock())


@pytest.mark.gen_test
async def test_one_alone_has_everything_at_its_first_heartbeat_and_nothing_before() -> None:
    cluster = Cluster("a")
    assert cluster.slots() == {"a": 0}
    await cluster.run(1)
    assert cluster.slots() == {"a": TOGETHER}


@pytest.mark.gen_test
async def test_the_parts_follow_those_who_are_active_and_one_person_counts_once() -> None:
    cluster = Cluster()
    cluster.gateways["a"].submit(20, "ada")
    for name in "bc":
        cluster.gateways[name].submit(20, "bob")
    await cluster.run(15)
    parts = {name: entry[0] for name, entry in cluster.store.documents[RATES].body["entries"].items()}
    assert parts == pytest.approx({"a": 500_000, "b": 250_000, "c": 250_000}, rel=0.05)


@pytest.mark.gen_test
async def test_what_a_dead_gateway_had_is_used_again_within_six_heartbeats() -> None:
    cluster = Cluster()
    for name in "abc":
        cluster.gateways[name].submit(20, name)
    await cluster.run(10)
    cluster.still.add("b")
    await cluster.run(6)
    assert cluster.slots()["a"] + cluster.slots()["c"] == TOGETHER
    shares = cluster.store.documents[SLOTS].body["entries"]
    assert set(shares) == {"a", "c"}


@pytest.mark.gen_test
async def test_one_that_leaves_gives_all_back_at_once() -> None:
    cluster = Cluster()
    await cluster.run(10)
    await cluster.gateways["b"].heart.leave()
    del cluster.store.records["b"]
    cluster.still.add("b")
    for name in "ac":
        cluster.gateways[name].submit(20, name)
    await cluster.run(3)
    assert cluster.slots()["a"] + cluster.slots()["c"] == TOGETHER


@pytest.mark.gen_test
async def test_while_the_store_is_away_the_parts_stay_as_they_are() -> None:
    cluster = Cluster()
    await cluster.run(10)
    before = cluster.slots()
    cluster.store.cut |= set("abc")
    await cluster.run(30)
    assert cluster.slots() == before
    cluster.store.cut.clear()
    await cluster.run(10)
    assert sum(cluster.slots().values()) == TOGETHER


@pytest.mark.gen_test
async def test_an_answer_that_is_lost_neither_strands_nor_doubles_a_part() -> None:
    cluster = Cluster()
    cluster.store.loses_answers = True
    await cluster.run(5)
    cluster.store.loses_answers = False
    for name in "abc":
        cluster.gateways[name].submit(20, name)
    await cluster.run(10)
    assert sum(cluster.slots().values()) == TOGETHER


@pytest.mark.gen_test
async def test_rates_are_divided_too_and_no_store_learns_who_waits() -> None:
    cluster = Cluster()
    for name in "abc":
        cluster.gateways[name].submit(20, "ada lovelace")
    await cluster.run(10)
    parts = [entry[0] for entry in cluster.store.documents[RATES].body["entries"].values()]
    assert sum(parts) <= 1_000_000
    pools = [gateway.pool for gateway in cluster.gateways.values()]
    sent = [pool.activity.loads(cluster.now)[RATES].sent[LimitMeasure.REQUESTS.value] for pool in pools]
    assert sum(sent) <= 1.0
    written = json.dumps([[it.body for it in cluster.store.records.values()], list(map(str, cluster.store.documents))])
    assert "ada" not in written
    flows = [set(record.body["flows"]) for record in cluster.store.records.values()]
    assert flows[0] == flows[1] == flows[2] != set()


@pytest.mark.gen_test
async def test_a_document_that_cannot_be_read_is_left_alone_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    cluster = Cluster("a")
    strange = SharedDocument(SLOTS, 3, {"entries": {"a": "of another version"}})
    cluster.store.documents[SLOTS] = strange
    with caplog.at_level(logging.ERROR, "fairgate"):
        await cluster.run(5)
    assert cluster.store.documents[SLOTS] == strange
    assert [record.levelname for record in caplog.records] == ["ERROR"]


@pytest.mark.gen_test
async def test_claims_that_cannot_be_read_take_nothing_from_the_gateway_that_made_them() -> None:
    cluster = Cluster("ab")
    await cluster.run(10)
    was = cluster.slots()["b"]
    cluster.still.add("b")
    for beats in range(1000, 1010):
        known = cluster.store.records["b"]
        await cluster.store.beat(type(known)("b", beats, {"claims": {SLOTS: "plenty"}}))
        await cluster.run(1)
    assert cluster.store.documents[SLOTS].body["entries"]["b"][1] == was
