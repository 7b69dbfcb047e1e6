"""One request of a worker: its claim to a key of the pool process, from the queue to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from keypool.domains import NO_NEED, Need
from keypool.estimates import Tokens
from keypool.keys import Key
from keypool.limits import LimitMeasure, RateWindow
from keypool.messages import Ask
from keypool.queues import Forecast
from keypool.verdict import Verdict
from server.wire.errors import NoKey, PoolAway, Refusal
from server.workers.codec import JSON, limits_out


class LeaseKeeper(Protocol):
    """What a lease needs of the dispatcher whose it is."""

    @property
    def now(self) -> Callable[[], float]: ...

    @property
    def has_secret(self) -> Callable[[str], bool]: ...

    @property
    def catch_up(self) -> Callable[[], Awaitable[None]]: ...

    @property
    def given_up(self) -> bool:
        """Whether the pool process has been away for so long that it is no use to wait."""

    def begin(self, lease: RemoteLease) -> None:
        """A request wants a key. Raises PoolAway."""

    def end(self, lease: RemoteLease) -> bool:
        """A request is over; False if it was already."""

    def say(self, *message: object) -> None: ...

    def soon(self, lease: RemoteLease) -> None:
        """Let it `report` soon: it has something to say that can wait."""

    def learn_length(self, ask: Ask, output: int) -> None:
        """A whole answer has so many tokens."""

    async def question(self, word: str, *arguments: JSON) -> JSON:
        """Ask the pool process. Raises PoolAway."""


@dataclass(slots=True)
class RemotePlace:
    """Where a request stands (`dispatching.Place`), as it was said last."""

    waiting: bool = False
    position: int = 0
    predicted: float = 0.0
    need: Need = NO_NEED

    def said(self, position: int, predicted: float, need: list[int], *, waiting: bool) -> None:
        self.waiting, self.position, self.predicted, self.need = waiting, position, predicted, Need(*need)


class RemoteLease:
    """One request's claim to a key (`dispatching.Leasing`). Instants are seconds, monotonic."""

    key: Key

    def __init__(self, dispatcher: LeaseKeeper, ask: Ask) -> None:
        self._dispatcher, self.ask = dispatcher, ask
        self.ticket = RemotePlace()
        self.arrived = self.granted = 0.0
        self.has_key = False
        self.output = self._said = 0  # tokens of its answer so far, and as the pool process knows them
        self._begun: JSON = None  # the limits that its answer began with, until they are said
        self._decision: asyncio.Future[Refusal | None] | None = None
        self._refusal: Refusal | None = None  # what is raised if no other key is tried
        self._placed = asyncio.Event()

    @property
    def queue_seconds(self) -> float:
        return self.granted - self.arrived

    @property
    def position(self) -> int:
        return self.ticket.position

    def wanted(self, now: float) -> Ask:
        """What is asked for when it is asked for again: the caller's patience has become shorter."""
        most = self.ask.max_wait
        return self.ask if most is None else self.ask._replace(max_wait=max(0.0, self.arrived + most - now))

    async def __aenter__(self) -> Self:
        self.arrived = self._dispatcher.now()
        self._dispatcher.begin(self)
        await self._decided()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._abandon()

    async def placed(self) -> None:
        await self._placed.wait()

    async def outlook(self) -> Forecast | None:
        if not self.ticket.waiting:
            return None
        try:
            found = await self._dispatcher.question("outlook", self.ask.id)
        except PoolAway:
            return None
        return None if found is None else Forecast(*found)

    def answered(self, limits: Mapping[LimitMeasure, RateWindow]) -> None:
        self._begun = limits_out(limits)
        self._dispatcher.soon(self)

    def progress(self, output: int) -> None:
        self.output = output
        self._dispatcher.soon(self)

    def report(self) -> None:
        """Say how far the answer has come. A short one has finished before, and all of it is one message."""
        self._say_begun()
        if self.output != self._said:
            self._said = self.output
            self._dispatcher.say("progress", self.ask.id, self.output)

    def _say_begun(self) -> None:
        if self._begun is not None:
            self._dispatcher.say("answered", self.ask.id, self._begun)
            self._begun = None

    def finish(self, used: Tokens, *, complete: bool, left: bool = False) -> None:
        if not self._dispatcher.end(self):
            return
        if complete:
            self._dispatcher.learn_length(self.ask, used.output)
        self._dispatcher.say("finish", self.ask.id, used, complete, left, self._begun)

    async def again(self, verdict: Verdict, refusal: Refusal, limits: Mapping[LimitMeasure, RateWindow]) -> None:
        self._say_begun()
        self.has_key, self.output, self._said, self._refusal = False, 0, 0, refusal
        self._dispatcher.say("again", self.ask.id, verdict, limits_out(limits))
        if self._dispatcher.given_up:
            self._abandon()
            raise refusal
        await self._decided()

    def rejected(self, verdict: Verdict, limits: Mapping[LimitMeasure, RateWindow]) -> None:
        self._dispatcher.say("rejected", self.ask.id, verdict, limits_out(limits))

    def broke(self) -> None:
        self._say_begun()
        self._dispatcher.say("broke", self.ask.id)

    # What the dispatcher hears of it

    def waits(self, *place: JSON) -> None:
        self.ticket.said(*place, waiting=True)
        self._placed.set()

    def grant(self, key: Key, *place: JSON) -> None:
        self.ticket.said(*place, waiting=False)
        self.key, self.has_key, self.granted = key, True, self._dispatcher.now()
        self._decide(None)

    def refused(self, refusal: Refusal) -> None:
        self._dispatcher.end(self)
        self._decide(refusal)

    def given_up(self, opens_in: float | None) -> None:
        refusal = self._refusal
        assert refusal is not None, "only a failed attempt is given up"
        if isinstance(refusal, NoKey) and opens_in:
            refusal.retry_after = opens_in
        self.refused(refusal)

    def _decide(self, refusal: Refusal | None) -> None:
        self.ticket.waiting = False
        self._placed.set()
        if self._decision is not None and not self._decision.done():
            self._decision.set_result(refusal)

    async def _decided(self) -> None:
        """Wait for a decision. Raises the refusal that it is."""
        self._decision = asyncio.get_running_loop().create_future()
        try:
            if (refusal := await self._decision) is not None:
                raise refusal
            if not self._dispatcher.has_secret(self.key.id):
                await self._dispatcher.catch_up()
        except BaseException:
            self._abandon()
            raise

    def _abandon(self) -> None:
        """Give back whatever is still held; nothing when the request has ended properly."""
        if self._dispatcher.end(self):
            self._say_begun()
            self._dispatcher.say("cancel", self.ask.id)
