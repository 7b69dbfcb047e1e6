"""Whatever is cut, lost or crosses: slots are true, no request is stranded, and each gets one decision or none."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from keypool.estimates import Tokens
from keypool.verdict import DROPPED, UNREACHABLE
from server.wire.errors import BadAnswer, PoolAway, Refusal
from server.workers.lease import RemoteLease
from server.workers.remote import RemoteDispatcher
from tests.keypool.making import a_key, an_ask
from tests.workers.wires import Machine, Wire

WORKERS = st.integers(0, 1)
PICK = st.integers(0, 1000)
ARRIVES = st.sampled_from([True, True, True, False])  # what was said arrives at once, most of the time


class Timeless(asyncio.SelectorEventLoop):
    """A loop whose time stands still: however long a busy machine takes, no timer of a worker ends."""

    def time(self) -> float:
        return 0.0


class Client:
    """A request that does what it is asked to, step by step."""

    def __init__(self, worker: int, lease: RemoteLease) -> None:
        self.worker, self.lease = worker, lease
        self.steps: asyncio.Queue[str] = asyncio.Queue()
        self.task: asyncio.Task[str] | None = None
        self.holds = False

    async def run(self) -> str:
        try:
            async with self.lease:
                while True:
                    self.holds = True
                    step = await self.steps.get()
                    if step == "finish":
                        self.lease.finish(Tokens(100, 0, 7), complete=True)
                        return "finished"
                    self.holds = False
                    verdict = DROPPED if step == "drop" else UNREACHABLE
                    await self.lease.again(verdict, BadAnswer(), {})
        except Refusal as refusal:
            return type(refusal).__name__
        finally:
            self.holds = False


class Workers(RuleBasedStateMachine):
    """Two workers, three slots, and connections that end at any point."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = Timeless()
        self.machine = Machine(a_key("k1", slots=2), a_key("k2", slots=1))
        self.clients: list[Client] = []
        self.numbers = 0
        self.late = False  # a worker that lives may announce what runs after its slot was given away
        self.workers: list[RemoteDispatcher] = []
        self.wires: list[Wire] = []
        for number in range(2):
            dispatcher, wire = self._made(number)
            self.workers.append(dispatcher)
            self.wires.append(wire)

    def _made(self, number: int) -> tuple[RemoteDispatcher, Wire]:
        dispatcher, wire = self.machine.worker(number)
        wire.start()
        wire.turn()
        return dispatcher, wire

    def settle(self) -> None:
        async def some() -> None:
            for _ in range(6):
                await asyncio.sleep(0)

        self.loop.run_until_complete(some())

    def said(self, worker: int, arrives: bool) -> None:
        self.settle()
        if arrives:
            self.wires[worker].turn()
            self.settle()

    @rule(worker=WORKERS, person=st.sampled_from("abc"), arrives=ARRIVES)
    def come(self, worker: int, person: str, arrives: bool) -> None:
        self.numbers += 1
        ask = an_ask(f"r{self.numbers}", person, deadline=self.machine.now + 50.0)
        client = Client(worker, self.workers[worker].lease(ask))
        client.task = self.loop.create_task(client.run())
        self.clients.append(client)
        self.said(worker, arrives)

    @precondition(lambda self: self.clients)
    @rule(pick=PICK, step=st.sampled_from(["finish", "drop", "fail", "leave"]), arrives=ARRIVES)
    def go_on(self, pick: int, step: str, arrives: bool) -> None:
        client = self.clients[pick % len(self.clients)]
        assert client.task is not None
        if step == "leave":
            client.task.cancel()
        elif client.holds:
            client.steps.put_nowait(step)
        self.said(client.worker, arrives)

    @rule(worker=WORKERS, way=st.sampled_from(["send", "receive", "turn"]))
    def carry(self, worker: int, way: str) -> None:
        """What was said on one way arrives: what goes the other way may cross it."""
        getattr(self.wires[worker], way)()
        self.settle()

    @rule(seconds=st.sampled_from([0.5, 5.0, 60.0]))
    def wait(self, seconds: float) -> None:
        self.machine.now += seconds
        self.machine.tick()

    @rule(worker=WORKERS, again=ARRIVES)
    def cut(self, worker: int, again: bool) -> None:
        self.late = True
        self.loop.call_soon(self.wires[worker].cut)
        self.settle()
        if again:
            self.connect(worker)
            self.said(worker, True)

    @rule(again=ARRIVES)
    def pool_dies(self, again: bool) -> None:
        held = {client.lease.ask.id for client in self.clients if client.holds}
        self.loop.call_soon(self.machine.die)
        self.settle()
        self.machine.start(expected=2)
        if again:
            for worker in range(2):
                self.connect(worker)
                self.wires[worker].send()
            tickets = self.machine.pool.tickets
            assert held <= {each.id for each in tickets.values() if each.key is not None}, "slots that run are taken"
            self.said(0, True)
            self.said(1, True)

    @rule(worker=WORKERS)
    def connect(self, worker: int) -> None:
        if self.wires[worker].member is None:
            self.wires[worker].start()

    @rule()
    def the_others_are_not_waited_for(self) -> None:
        self.late |= self.machine.hub.opening
        self.machine.hub.open(self.machine.now)

    @invariant()
    def slots_are_true(self) -> None:
        self.machine.assert_counted()
        if not self.late:
            self.machine.assert_consistent()

    @invariant()
    def each_ticket_is_a_members(self) -> None:
        owned = [request_id for member in self.machine.hub.members for request_id in member.tickets]
        assert sorted(owned) == sorted(self.machine.pool.tickets)

    def teardown(self) -> None:
        """When all connections stand and all who hold a key finish, nothing is left."""
        for _ in range(200):
            for wire in self.wires:
                if wire.member is None:
                    wire.start()
                wire.turn()
            self.settle()
            for client in self.clients:
                if client.holds and client.steps.empty():
                    client.steps.put_nowait("finish")
            self.machine.now += 1.0
            self.machine.tick()
            self.settle()
            if all(client.task is not None and client.task.done() for client in self.clients):
                break
        for client in self.clients:
            assert client.task is not None
            assert client.task.done(), "a request is stranded"
            assert client.task.cancelled() or client.task.result() != PoolAway.__name__
        for wire in self.wires:
            wire.turn()
        assert (self.machine.pool.tickets, [each.idle for each in self.workers]) == ({}, [True, True])
        assert all(not member.tickets for member in self.machine.hub.members)
        for each in self.workers:
            self.loop.run_until_complete(each.close())
        self.loop.close()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
class TestWorkers(Workers.TestCase):
    settings = settings(max_examples=12, stateful_step_count=30, deadline=None)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
class TestWorkersLong(Workers.TestCase):
    settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
