"""What the gateway needs of its dispatcher, wherever the pool is: in this process, or in one that several share.

`Dispatcher` (`dispatcher.py`) has the pool beside it; one that asks a pool process keeps the same. What decides cheaply
and changes rarely is read at once: which keys there are, which models they serve, how they stand (`keyring`), and the
picture of the last second (`snapshot`). What only the pool knows is asked: a forecast, the requests of this moment. A
`Leasing` is one request's claim to a key from the queue to its end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Protocol, Self

from keypool.domains import Need
from keypool.estimates import Tokens
from keypool.keyring import Keyring
from keypool.keys import Key
from keypool.limits import LimitMeasure, RateWindow
from keypool.live import MOST, LiveRequest
from keypool.messages import Ask
from keypool.queues import Forecast
from keypool.snapshot import PoolSnapshot
from keypool.verdict import Verdict
from server.wire.errors import Refusal

JSON = Any
CANCEL = "cancel"  # what workers are asked, with the ids of requests that are to end
END = "end"  # what they hear of a request of theirs that another gateway wants to end
HERE_SECONDS = 300.0  # a person who was answered within that time is here


class Place(Protocol):
    """Where a request stands.

    `position`: its place when it came, from 1 (0: it did not wait); `predicted`: the seconds that it had to expect
    then; `need`: what is kept for it, in tokens.
    """

    @property
    def waiting(self) -> bool: ...

    @property
    def position(self) -> int: ...

    @property
    def predicted(self) -> float: ...

    @property
    def need(self) -> Need: ...


class Leasing(Protocol):
    """One request's claim to a key: a context manager, so that a caller who leaves gives back what was held."""

    @property
    def key(self) -> Key:
        """The key that was granted last."""

    @property
    def ticket(self) -> Place: ...

    @property
    def queue_seconds(self) -> float:
        """How long it waited for the key that it has."""

    @property
    def position(self) -> int:
        """Its place in the queue when it came, from 1; 0 if it did not wait."""

    async def __aenter__(self) -> Self:
        """Wait for a key. Raises GatewayBusy instead of waiting in vain."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def placed(self) -> None:
        """Return when it is known whether it waits. To be called when it has been entered."""

    async def outlook(self) -> Forecast | None:
        """Where it stands in the queue now; None when it does not wait."""

    def answered(self, limits: Mapping[LimitMeasure, RateWindow]) -> None:
        """The upstream has begun a good answer, and its headers tell these limits."""

    def progress(self, output: int) -> None:
        """The answer has grown to `output` tokens."""

    def finish(self, used: Tokens, *, complete: bool, left: bool = False) -> None:
        """The request has ended; its flow pays for what it used. `left`: its caller gave it up."""

    async def again(self, verdict: Verdict, refusal: Refusal, limits: Mapping[LimitMeasure, RateWindow]) -> None:
        """An attempt failed before its first byte: wait for another key, or raise `refusal` when there is none."""

    def rejected(self, verdict: Verdict, limits: Mapping[LimitMeasure, RateWindow]) -> None:
        """The upstream has rejected the request by the request's own fault."""

    def broke(self) -> None:
        """The upstream broke the answer off after its first byte. `finish` is to follow."""


class Peers(Protocol):
    """The workers of this machine, this one included. Without others they are this one."""

    def answers(self, what: str, function: Callable[[JSON], Awaitable[JSON]]) -> None:
        """Say what this worker answers when one of them asks for something; of and as what JSON can say."""

    async def ask(self, what: str, argument: JSON) -> list[JSON]:
        """The answers of all, None of one that has none to this.

        Those that do not answer within a second or two are left out. Raises PoolAway.
        """

    def hears(self, what: str, function: Callable[..., None]) -> None:
        """Say what this worker does when another one announces something."""

    def announce(self, what: str, *arguments: JSON) -> None:
        """Have all others hear something; while there is no pool process, none of them does."""


class LocalPeers:
    """The only process of a gateway."""

    def __init__(self) -> None:
        self._answers: dict[str, Callable[[JSON], Awaitable[JSON]]] = {}

    def answers(self, what: str, function: Callable[[JSON], Awaitable[JSON]]) -> None:
        self._answers[what] = function

    async def ask(self, what: str, argument: JSON) -> list[JSON]:
        function = self._answers.get(what)
        return [] if function is None else [await function(argument)]

    def hears(self, what: str, function: Callable[..., None]) -> None:
        """There is none to hear."""

    def announce(self, what: str, *arguments: JSON) -> None:
        """There is none to hear it."""


class Dispatching(Protocol):
    """Gives requests their keys."""

    @property
    def keyring(self) -> Keyring:
        """The keys, to be read: nothing but the pool moves them."""

    @property
    def connected(self) -> bool:
        """Whether the pool can be reached."""

    def lease(self, ask: Ask) -> Leasing:
        """Claim a key: `async with dispatcher.lease(ask) as lease`."""

    async def forecast(self, ask: Ask) -> Forecast:
        """The place and the wait of a request that came now. Changes nothing."""

    async def live(self, most: int = MOST) -> list[LiveRequest]:
        """The requests of this moment, for an administrator."""

    def snapshot(self) -> PoolSnapshot:
        """How everything stands; as of a second ago where the pool is in another process."""

    def place(self, request_id: str) -> Place | None:
        """Where a request of this process stands; None if it neither waits nor has a key."""

    def usual_output(self, person: str, model: str) -> int:
        """Tokens that an answer to a person usually has."""

    def persons(self) -> frozenset[str]:
        """Those whose requests wait or are being answered; where the pool is in another process, those who are here."""

    def now(self) -> float:
        """Seconds, monotonic: the clock of all instants here."""
