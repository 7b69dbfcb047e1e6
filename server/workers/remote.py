"""The dispatcher of a worker: the pool is in another process, and all of it that has to be known is said (`hub.py`).

What a worker knows of its own requests is enough to begin anew with a pool process that knows nothing. So when the
connection ends

* a request that runs goes on, and is announced on the next connection: its slot stays taken;
* a request that waits is submitted again, with the instant at which it came;
* what a request says meanwhile is lost. No money hangs on it: what is used is settled here, by this worker;
* a request that comes meanwhile waits like the others. When the pool has been away for `AWAY_SECONDS`, all that wait
  and all that come are refused until it is back: `PoolAway`, with Retry-After, in the caller's dialect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import count
from typing import Protocol

from keypool.estimates import OutputLengths
from keypool.keyring import Keyring
from keypool.live import MOST, LiveRequest
from keypool.messages import Ask, Reason
from keypool.queues import Forecast
from keypool.snapshot import PoolSnapshot
from server.dispatcher import REFUSALS
from server.wire.errors import PoolAway
from server.workers.codec import JSON, ask_out, key_in, live_in, snapshot_in, standing_in
from server.workers.frames import VERSION, FrameError, Message
from server.workers.lease import RemoteLease, RemotePlace

AWAY_SECONDS = 15.0  # without a pool process: it begins anew in some, and from then on it is no use to wait
REPLY_SECONDS = 2.5  # to a question: longer than the pool process waits for other workers
REPORT_SECONDS = 0.05  # between two reports of how far answers have come


class Linked(Protocol):
    """A connection that is made again when it ends (`link.Link`)."""

    def start(self) -> None: ...

    async def close(self) -> None: ...

    def say(self, *message: object) -> None: ...


Connection = Callable[[Callable[[Message], None], Callable[[], Iterable[Message]], Callable[[], None]], Linked]


class WrongVersion(Exception):
    """The pool process is of another version: this worker cannot be of its kind."""


class RemoteDispatcher:
    """`clock` is seconds, monotonic, the same for all processes of the machine.

    `connection` makes the link to the pool process (`link.py`). `who`: the number of this worker and of its life.
    `has_secret` says whether a key can be used here, `catch_up` asks the store for those that cannot.
    """

    def __init__(
        self,
        connection: Connection,
        clock: Callable[[], float],
        who: tuple[int, int],
        has_secret: Callable[[str], bool],
        catch_up: Callable[[], Awaitable[None]],
    ) -> None:
        self.keyring, self.now, self.has_secret, self.catch_up = Keyring(()), clock, has_secret, catch_up
        self.progress = (0, 0)
        self.elsewhere: dict[str, list[int]] = {}  # by model: what other gateways run, let wait, and their slots
        self._who, self._link = who, connection(self._hear, self._greeting, self._lost)
        self._snapshot, self._persons = PoolSnapshot((), ()), frozenset[str]()
        self._lengths = OutputLengths()
        self._leases: dict[str, RemoteLease] = {}  # what waits or runs
        self._reporting: dict[str, RemoteLease] = {}  # whose answers have begun or grown since the last report
        self._questions: dict[int, asyncio.Future[JSON]] = {}
        self._numbers = count(1)
        self._answers: dict[str, Callable[[JSON], Awaitable[JSON]]] = {}
        self._hears: dict[str, Callable[..., None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._welcome = asyncio.Event()
        self._refused = False
        self._away: asyncio.TimerHandle | None = None
        self._given_up = self._timed = False

    async def open(self, seconds: float) -> None:
        """Connect. Raises WrongVersion, TimeoutError."""
        self._link.start()
        async with asyncio.timeout(seconds):
            await self._welcome.wait()
        if self._refused:
            raise WrongVersion

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self._link.close()
        if self._away is not None:
            self._away.cancel()

    @property
    def connected(self) -> bool:
        """Whether the pool process is there."""
        return self._welcome.is_set() and not self._refused

    @property
    def idle(self) -> bool:
        """Whether no request of this worker waits and none runs."""
        return not self._leases

    # What the gateway needs (`dispatching.Dispatching`)

    def lease(self, ask: Ask) -> RemoteLease:
        return RemoteLease(self, ask)

    async def forecast(self, ask: Ask) -> Forecast:
        """Raises PoolAway."""
        return Forecast(*await self.question("forecast", ask_out(ask)))

    async def live(self, most: int = MOST) -> list[LiveRequest]:
        """Raises PoolAway."""
        return [live_in(each) for each in await self.question("live", most)]

    def snapshot(self) -> PoolSnapshot:
        return self._snapshot

    def place(self, request_id: str) -> RemotePlace | None:
        lease = self._leases.get(request_id)
        return None if lease is None else lease.ticket

    def usual_output(self, person: str, model: str) -> int:
        """As the answers that this worker gave have shown it."""
        return self._lengths.expect(person, model, None)

    def persons(self) -> frozenset[str]:
        return self._persons

    # What the workers ask each other (`dispatching.Peers`)

    def answers(self, what: str, function: Callable[[JSON], Awaitable[JSON]]) -> None:
        self._answers[what] = function

    async def ask(self, what: str, argument: JSON) -> list[JSON]:
        """Raises PoolAway."""
        answers: list[JSON] = await self.question("ask", what, argument)
        return answers

    def hears(self, what: str, function: Callable[..., None]) -> None:
        self._hears[what] = function

    def announce(self, what: str, *arguments: JSON) -> None:
        self.say("announce", what, *arguments)

    # What leases need

    @property
    def given_up(self) -> bool:
        """Whether the pool process has been away for so long that it is no use to wait."""
        return self._given_up

    def begin(self, lease: RemoteLease) -> None:
        """A request wants a key. Raises PoolAway."""
        if self._given_up:
            raise PoolAway
        self._leases[lease.ask.id] = lease
        self.say("submit", ask_out(lease.ask), lease.arrived)

    def end(self, lease: RemoteLease) -> bool:
        """A request is over; False if it was already."""
        self._reporting.pop(lease.ask.id, None)
        return self._leases.pop(lease.ask.id, None) is not None

    def say(self, *message: object) -> None:
        self._link.say(*message)

    def soon(self, lease: RemoteLease) -> None:
        """Let it `report` soon: it has something to say that can wait."""
        if not self._timed:
            self._timed = True
            asyncio.get_running_loop().call_later(REPORT_SECONDS, self._report)
        self._reporting[lease.ask.id] = lease

    def learn_length(self, ask: Ask, output: int) -> None:
        self._lengths.learn(ask.person, ask.model, output)

    async def question(self, word: str, *arguments: JSON) -> JSON:
        """Ask the pool process. Raises PoolAway."""
        if not self.connected:
            raise PoolAway
        number, future = next(self._numbers), asyncio.get_running_loop().create_future()
        self._questions[number] = future
        try:
            self.say(word, number, *arguments)
            return await asyncio.wait_for(future, REPLY_SECONDS)
        except TimeoutError:
            raise PoolAway from None
        finally:
            del self._questions[number]

    def _report(self) -> None:
        self._timed = False
        for lease in self._reporting.values():
            lease.report()
        self._reporting.clear()

    # The connection

    def _greeting(self) -> Iterator[Message]:
        """Who this is, and all that runs and waits here."""
        yield ["hello", VERSION, *self._who]
        for lease in self._leases.values():
            if lease.has_key:
                yield ["running", ask_out(lease.ask), lease.key.id, lease.granted, lease.output]
            else:
                yield ["submit", ask_out(lease.wanted(self.now())), lease.arrived]
        yield ["joined"]

    def _lost(self) -> None:
        self._welcome.clear()
        for future in self._questions.values():
            if not future.done():
                future.set_exception(PoolAway())
        if self._away is None:
            self._away = asyncio.get_running_loop().call_later(AWAY_SECONDS, self.give_up)

    def give_up(self) -> None:
        """The pool process does not come back: it is no use to wait."""
        self._given_up = True
        for lease in list(self._leases.values()):
            if not lease.has_key:
                lease.refused(PoolAway())
                self.say("cancel", lease.ask.id)  # the greeting may be on its way

    def _hear(self, message: Message) -> None:
        word, *rest = message
        heard = _HEARD.get(word)
        if heard is None:
            raise FrameError("an unknown word")
        heard(self, *rest)

    def _welcomed(self, version: int) -> None:
        if self._away is not None:
            self._away.cancel()
        self._away, self._given_up = None, False
        self._welcome.set()

    def _unwelcome(self, version: int) -> None:
        self._refused = True
        self._welcome.set()

    def _keys(self, keys: list[list[JSON]]) -> None:
        self.keyring = Keyring(map(key_in, keys))

    def _standings(self, standings: dict[str, list[JSON]]) -> None:
        for key_id, standing in standings.items():
            if (key := self.keyring.keys.get(key_id)) is not None:
                key.whole = standing_in(*standing)

    def _pictured(
        self, snapshot: dict[str, JSON], persons: list[str], progress: list[int], elsewhere: dict[str, list[int]]
    ) -> None:
        self.elsewhere = elsewhere
        self._snapshot, self._persons = snapshot_in(snapshot), frozenset(persons)
        self.progress = progress[0], progress[1]

    def _waits(self, request_id: str, *place: JSON) -> None:
        if (lease := self._leases.get(request_id)) is not None:
            lease.waits(*place)

    def _granted(self, request_id: str, key_id: str, *place: JSON) -> None:
        lease, key = self._leases.get(request_id), self.keyring.keys.get(key_id)
        if key is None:
            raise FrameError("a key that is not known here")
        if lease is not None:
            lease.grant(key, *place)

    def _refusal(self, request_id: str, reason: str, retry_after: float | None, *place: JSON) -> None:
        if (lease := self._leases.get(request_id)) is not None:
            lease.ticket.said(*place, waiting=False)
            lease.refused(REFUSALS[Reason(reason)](retry_after=retry_after))

    def _gave_up(self, request_id: str, opens_in: float | None) -> None:
        if (lease := self._leases.get(request_id)) is not None:
            lease.given_up(opens_in)

    def _reply(self, number: int, value: JSON) -> None:
        future = self._questions.get(number)
        if future is not None and not future.done():
            future.set_result(value)

    def _asked(self, number: int, what: str, argument: JSON) -> None:
        task = asyncio.create_task(self._answer(number, what, argument))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _announced(self, what: str, *arguments: JSON) -> None:
        if (function := self._hears.get(what)) is not None:
            function(*arguments)

    async def _answer(self, number: int, what: str, argument: JSON) -> None:
        function = self._answers.get(what)
        self.say("answer", number, None if function is None else await function(argument))


_HEARD: dict[str, Callable[..., None]] = {
    "welcome": RemoteDispatcher._welcomed,
    "refused": RemoteDispatcher._unwelcome,
    "keys": RemoteDispatcher._keys,
    "standings": RemoteDispatcher._standings,
    "snapshot": RemoteDispatcher._pictured,
    "waits": RemoteDispatcher._waits,
    "grant": RemoteDispatcher._granted,
    "refuse": RemoteDispatcher._refusal,
    "giveup": RemoteDispatcher._gave_up,
    "reply": RemoteDispatcher._reply,
    "asked": RemoteDispatcher._asked,
    "announced": RemoteDispatcher._announced,
}
