"""Three gateways on a store that is simulated, in virtual time: a death is noticed once, a partition harms no one."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from server.cluster.heartbeat import MISSING_MS, Heartbeat
from server.cluster.membership import Membership
from server.store.base import GatewayRecord, StoreError
from tests.cluster.simulated import EPOCH, FakeStore, Through


class Place:
    """Gateways "a", "b" and "c". `machines`: those whose journals lie in one folder; `dead`: those that were killed."""

    def __init__(self, machines: Sequence[str] = ("a", "b", "c")) -> None:
        self.store, self.now, self.machines = FakeStore(), 0.0, machines
        self.dead: set[str] = set()
        self.adopted: list[tuple[str, str]] = []
        self.heard: dict[str, list[str]] = {}
        self.left: list[str] = []
        self.hearts = {name: self._heart(name) for name in "abc"}

    def _heart(self, name: str) -> Heartbeat:
        membership = Membership(name, lambda other: self.beside(name, other) and other not in self.dead, 90.0)

        async def adopt() -> None:
            for other in [each for each in self.dead if self.beside(name, each) and each in self.store.records]:
                self.adopted.append((name, other))
                del self.store.records[other]

        way: Any = Through(self.store, name)
        return Heartbeat(
            way, name, membership, (Part(self, name),), adopt, lambda: self.now, lambda: EPOCH + round(self.now * 1000)
        )

    def beside(self, name: str, other: str) -> bool:
        return any(name in machine and other in machine for machine in self.machines)

    async def run(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now += 1.0
            for name, heart in self.hearts.items():
                if name not in self.dead:
                    try:
                        await heart.beat()
                    except StoreError:
                        assert name in self.store.cut


@dataclass
class Part:
    place: Place
    name: str

    def said(self) -> Mapping[str, Any]:
        return {"load": {}}

    async def look(self) -> None:
        pass

    async def heard(self, alive: Sequence[GatewayRecord], since: float) -> None:
        self.place.heard[self.name] = [each.id for each in alive]

    async def leave(self) -> None:
        self.place.left.append(self.name)


@pytest.mark.gen_test
async def test_all_hear_of_all_from_the_second_heartbeat_on() -> None:
    place = Place()
    await place.run(2)
    assert place.heard == {name: ["a", "b", "c"] for name in "abc"}


@pytest.mark.gen_test
async def test_one_that_dies_beside_others_is_adopted_once_and_before_it_counts_as_dead() -> None:
    place = Place(machines=("abc",))
    await place.run(5)
    place.dead.add("b")
    await place.run(6)
    assert [dead for _, dead in place.adopted] == ["b"]
    assert place.heard["a"] == place.heard["c"] == ["a", "c"]
    assert "b" not in place.store.records


@pytest.mark.gen_test
async def test_one_that_dies_far_away_is_marked_once_and_its_journal_is_missing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    place = Place()
    await place.run(5)
    place.dead.add("b")
    with caplog.at_level(logging.WARNING, "fairgate"):
        await place.run(4)
        assert place.heard["a"] == ["a", "b", "c"]
        await place.run(30)
    assert place.heard["a"] == place.heard["c"] == ["a", "c"]
    assert place.adopted == []
    assert [each.id for each in place.hearts["a"].membership.gone] == ["b"]
    texts = [record.getMessage() for record in caplog.records]
    assert sum("has died" in text for text in texts) == 1
    assert sum("is missing" in text for text in texts) == 2, "each gateway says so once"


@pytest.mark.gen_test
async def test_a_journal_that_stays_missing_is_not_spoken_of_for_ever() -> None:
    place = Place()
    await place.run(5)
    place.dead.add("b")
    await place.run(10)
    place.now += MISSING_MS / 1000
    await place.run(2)
    assert sorted(place.store.records) == ["a", "c"]


@pytest.mark.gen_test
async def test_one_that_is_cut_off_keeps_its_place_where_it_is_known_to_live() -> None:
    place = Place(machines=("abc",))
    await place.run(5)
    place.store.cut.add("b")
    await place.run(30)
    assert place.heard["a"] == ["a", "b", "c"]
    assert place.adopted == []
    place.store.cut.clear()
    await place.run(2)
    assert place.heard == {name: ["a", "b", "c"] for name in "abc"}


@pytest.mark.gen_test
async def test_one_that_is_cut_off_elsewhere_loses_its_place_and_comes_back() -> None:
    place = Place()
    await place.run(5)
    place.store.cut.add("b")
    await place.run(10)
    assert place.heard["a"] == ["a", "c"]
    place.store.cut.clear()
    await place.run(2)
    assert place.heard == {name: ["a", "b", "c"] for name in "abc"}
    assert [place.hearts[name].membership.gone for name in "abc"] == [(), (), ()]


@pytest.mark.gen_test
async def test_an_outage_of_the_store_for_all_buries_no_one() -> None:
    place = Place()
    await place.run(5)
    place.store.cut |= set("abc")
    await place.run(60)
    place.store.cut.clear()
    await place.run(10)
    assert place.heard == {name: ["a", "b", "c"] for name in "abc"}
    assert all(record.gone_at is None for record in place.store.records.values())


@pytest.mark.gen_test
async def test_one_that_stops_gives_back_what_is_common() -> None:
    place = Place()
    await place.hearts["a"].leave()
    assert place.left == ["a"]
