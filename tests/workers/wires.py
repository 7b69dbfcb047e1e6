"""A pool process and its workers in one thread, without sockets: each side's bytes wait until a test lets them go."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from keypool.keys import Key
from keypool.messages import Decision
from keypool.pool import Pool
from server.workers.frames import Frames, Message, frame, packed
from server.workers.hub import Hub, Member
from server.workers.remote import RemoteDispatcher


class Machine:
    """One pool process at a time. `now` is seconds, and moves when a test moves it."""

    def __init__(self, *keys: Key) -> None:
        self.now = 0.0
        self.suspected: list[str] = []
        self.keys = keys
        self.wires: list[Wire] = []
        self.start()

    def start(self, expected: int = 0) -> None:
        """A new pool process, which knows nothing."""
        keys = [Key(each.id, each.upstream, each.dialects, each.models, each.slots, each.groups) for each in self.keys]
        self.pool = Pool(keys)
        self.hub = Hub(self.pool, self._carry_out, self.suspected.append)
        self.hub.expect(expected)

    def _carry_out(self, decisions: Iterable[Decision]) -> None:
        self.hub.decided(decisions, self.now)

    def worker(self, number: int = 0) -> tuple[RemoteDispatcher, Wire]:
        wires: list[Wire] = []

        def connect(*ends: Any) -> Wire:
            wires.append(Wire(self, *ends))
            return wires[0]

        dispatcher = RemoteDispatcher(connect, lambda: self.now, (number, 1), lambda key: True, nothing)
        self.wires.append(wires[0])
        return dispatcher, wires[0]

    def tick(self) -> None:
        self._carry_out(self.pool.tick(self.now))

    def die(self) -> None:
        """The pool process dies: every connection ends, and what was on its way is lost."""
        for wire in self.wires:
            wire.cut()

    def assert_consistent(self) -> None:
        """What runs on each key is what the workers have there, and no more than its slots."""
        self.assert_counted()
        assert all(key.running <= key.slots for key in self.pool.keys.values())

    def assert_counted(self) -> None:
        for key in self.pool.keys.values():
            assert key.running == sum(each.key is key for each in self.pool.tickets.values())


class Wire:
    """The connection of one worker (`link.Link`), by hand."""

    def __init__(
        self,
        machine: Machine,
        hear: Callable[[Message], None],
        greet: Callable[[], Iterable[Message]],
        lost: Callable[[], None],
    ) -> None:
        self._machine, self._hear, self._greet, self._lost = machine, hear, greet, lost
        self.member: Member | None = None
        self.said: list[str] = []  # the first word of each message, of both sides
        self._out: list[bytes] = []
        self._in: list[bytes] = []

    def start(self) -> None:
        self._hub = self._machine.hub
        self.member = self._hub.came()
        self._frames, self._heard = Frames(), Frames()
        self._out = [packed(each) for each in self._greet()]

    async def close(self) -> None:
        self.cut()

    def say(self, *message: object) -> None:
        if self.member is not None:
            self._out.append(packed(list(message)))

    def send(self) -> None:
        """What the worker has said reaches the pool process."""
        if self.member is None:
            return
        data, self._out = frame(self._out), []
        for message in self._frames.feed(data):
            self.said.append(message[0])
            self._hub.hear(self.member, message, self._machine.now)

    def receive(self) -> None:
        """What the pool process has said reaches the worker."""
        if self.member is None:
            return
        data = frame(self.member.outbox)
        self.member.outbox.clear()
        for message in self._heard.feed(data):
            self.said.append(message[0])
            self._hear(message)

    def turn(self) -> None:
        self.send()
        self.receive()

    def cut(self) -> None:
        """The connection ends, from whichever side."""
        if self.member is not None:
            self._hub.left(self.member, self._machine.now)
            self.member = None
            self._out.clear()
            self._lost()


async def nothing() -> None: ...
