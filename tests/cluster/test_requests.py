"""The requests of this moment are one list over all gateways: shown, explained and ended through whichever is asked."""

from __future__ import annotations

import asyncio

import pytest
from tornado.ioloop import IOLoop

from keypool.live import LiveRequest
from server.cluster.requests import END_SECONDS, LOOK_SECONDS, SharedRequests
from server.store.base import Caller, GatewayRecord
from tests.cluster.conftest import Pair
from tests.fakes.fates import hang

ONE = LiveRequest("req_1", "ada", "gpt-5", False, 2, 1.5, 3.0, 0.0, None, 1)


class Two:
    """Gateways `a` and `b`, whose heartbeats come when a test says so."""

    def __init__(self) -> None:
        self.now, self.beats, self.ended = 0.0, 0, list[str]()
        self.a = SharedRequests("a", lambda: [], lambda: self.now)
        self.b = SharedRequests("b", lambda: [ONE], lambda: self.now)
        self.b.ends_by(self.ended.append)
        self.records: dict[str, GatewayRecord] = {}

    def beat(self, name: str) -> None:
        self.beats += 1
        self.records[name] = GatewayRecord(name, self.beats, {"a": self.a, "b": self.b}[name].said())
        {"a": self.a, "b": self.b}[name].heard(tuple(self.records.values()))

    def pass_on(self, times: int = 2) -> None:
        for _ in range(times):
            self.beat("a")
            self.beat("b")
        self.beat("a")


def test_nothing_is_written_while_no_one_looks_and_all_while_one_does() -> None:
    two = Two()
    two.pass_on()
    assert "live" not in two.records["b"].body
    assert two.a.known() == []
    two.pass_on()
    assert two.a.known() == [ONE]
    two.now += LOOK_SECONDS
    two.pass_on()
    assert "live" not in two.records["b"].body


def test_what_another_serves_is_ended_there_and_the_wish_is_not_kept() -> None:
    two = Two()
    two.a.known()
    two.pass_on()
    assert two.a.end(["req_1", "req_2"]) == 1
    two.pass_on(1)
    assert two.ended == ["req_1"]
    two.now += END_SECONDS
    two.pass_on()
    assert two.records["a"].body["ends"] == []


def test_what_a_newer_version_says_besides_is_no_error() -> None:
    two = Two()
    said = {"live": [{"id": "req_1", **{name: getattr(ONE, name) for name in ("person", "model")}, "mood": 1}]}
    rest = {"batch": False, "position": 0, "waited": 0, "expected": 0, "running": 0, "key": None, "attempts": 0}
    said["live"][0] |= rest
    two.a.heard([GatewayRecord("b", 1, said)])
    assert [each.id for each in two.a.known()] == ["req_1"]


@pytest.mark.gen_test
async def test_a_look_waits_for_those_who_have_said_nothing_yet() -> None:
    two = Two()
    two.beat("b")
    two.beat("a")
    looking = asyncio.create_task(two.a.all())
    await asyncio.sleep(0)
    two.pass_on()
    assert await looking == [ONE]


@pytest.mark.slow
def test_a_request_at_one_gateway_is_listed_explained_and_ended_through_the_other(io_loop: IOLoop, pair: Pair) -> None:
    async def scene() -> None:
        accounts = pair.one.services.accounts
        person = await accounts.create_person("waits")
        _, secret = await accounts.create_token("waits", "test")
        pair.fake.script("sk-upstream-one", hang().for_ever())
        pair.fake.script("sk-upstream-two", hang().for_ever())
        asked = asyncio.create_task(pair.ask(pair.one, secret))
        everywhere = pair.other.services.everywhere
        while not (found := [each for each in await everywhere.live() if each.person == person.id]):
            await asyncio.sleep(0.05)
        mine, stranger = Caller(person.id, person.name, None), Caller("usr_else", "else", None)
        assert (await everywhere.explain(mine, found[0].id))["state"] == "running"  # type: ignore[index, call-overload]
        assert await everywhere.explain(stranger, found[0].id) is None
        assert await everywhere.cancel([found[0].id]) == 1
        assert (await asked).status == 503

    io_loop.run_sync(scene, timeout=30)
