"""What is written behind the answer: settlements, and holds that are given back.

No request waits for it. What came in one turn of the loop goes to the store together, so that it can be written as a
group, and no task is made for that. If the store is out of reach, everything is kept and tried again, a little later
each time: all that is posted may be repeated. What waits here is in the journal, too, so that it may even die with us.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from server.ledger.quota import Settlement
from server.store.base import StoreError

log = logging.getLogger("fairgate")

MOST = 50_000  # settlements, each about two kilobytes of memory
AT_ONCE = 1_000  # on their way to the store
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0  # seconds until another attempt

# A settlement to be written, or the id of a request that holds nothing any more.
Letter = Settlement | str


class Ledger(Protocol):
    """What is needed of a store."""

    def settle(self, settlement: Settlement) -> Awaitable[bool]: ...

    def release(self, request_id: str) -> Awaitable[bool]: ...


@dataclass(slots=True)
class WriterCounts:
    """Since the start. A repeated settlement had been written before; a refused one is in nobody's power to write."""

    written: int = 0
    repeated: int = 0
    released: int = 0
    refused: int = 0
    outages: int = 0  # attempts of which nothing arrived


class SettlementWriter:
    """Brings settlements to the store. `written` is told the ids of the requests whose settlements are there.

    Every method belongs to the event loop.
    """

    def __init__(
        self,
        store: Ledger,
        written: Callable[[list[str]], None],
        most: int = MOST,
        at_once: int = AT_ONCE,
    ) -> None:
        self._store, self._written, self._most, self._at_once = store, written, most, at_once
        self._waiting: deque[Letter] = deque()
        self._flights: set[asyncio.Future[list[bool | BaseException]]] = set()
        self._flying = 0
        self._next: asyncio.Handle | None = None  # when letters are sent again
        self._pause = FIRST_PAUSE
        self._closed = False
        self._quiet = asyncio.Event()
        self._quiet.set()
        self.counts = WriterCounts()

    def post(self, settlement: Settlement) -> None:
        """Have a settlement written, behind the answer."""
        self._put(settlement)

    def release(self, request_id: str) -> None:
        """Have a request's holds given back, also if nobody knows whether it has any."""
        self._put(request_id)

    @property
    def backlog(self) -> int:
        """How much is not written yet."""
        return len(self._waiting) + self._flying

    @property
    def full(self) -> bool:
        """No more requests should be let in: the store has been away for too long."""
        return self.backlog >= self._most

    @property
    def idle(self) -> bool:
        return self._quiet.is_set()

    async def quiet(self, seconds: float) -> bool:
        """Wait until everything is written, at most for so long. Whether it is."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._quiet.wait(), seconds)
        return self.idle

    async def close(self, seconds: float = 5.0) -> bool:
        """Wait likewise, then send nothing any more. What is not written is in the journal."""
        written = await self.quiet(seconds)
        self._closed = True
        if self._next is not None:
            self._next.cancel()
        for flight in self._flights:
            flight.cancel()
        await asyncio.gather(*self._flights, return_exceptions=True)
        return written

    def _put(self, letter: Letter) -> None:
        self._waiting.append(letter)
        self._quiet.clear()
        self._soon()

    def _soon(self) -> None:
        """Send in the next turn of the loop, unless a time is set already: soon, or after a pause."""
        if self._next is None and not self._closed:
            self._next = asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        self._next = None
        room = min(len(self._waiting), self._at_once - self._flying)
        if room > 0:
            letters = [self._waiting.popleft() for _ in range(room)]
            flight = asyncio.gather(*map(self._sent, letters), return_exceptions=True)
            self._flying += room
            self._flights.add(flight)
            flight.add_done_callback(partial(self._landed, letters))

    def _sent(self, letter: Letter) -> Awaitable[bool]:
        return self._store.settle(letter) if isinstance(letter, Settlement) else self._store.release(letter)

    def _landed(self, letters: list[Letter], flight: asyncio.Future[list[bool | BaseException]]) -> None:
        self._flights.discard(flight)
        self._flying -= len(letters)
        if self._closed:
            return
        answers = list(zip(letters, flight.result(), strict=True))
        kept = [letter for letter, answer in answers if isinstance(answer, (StoreError, asyncio.CancelledError))]
        self._waiting.extendleft(reversed(kept))
        self._arrived([(letter, answer) for letter, answer in answers if isinstance(answer, bool)])
        for letter, answer in answers:
            if isinstance(answer, Exception) and not isinstance(answer, StoreError):
                self._refused(letter, answer)
        if len(kept) == len(letters):
            self._rest()
        else:
            self._go_on()

    def _go_on(self) -> None:
        self._pause = FIRST_PAUSE
        if self._waiting:
            self._soon()
        elif not self._flying:
            self._quiet.set()

    def _rest(self) -> None:
        """Nothing arrived: wait a little, and longer the next time."""
        self.counts.outages += 1
        if self._pause == FIRST_PAUSE:
            log.warning("the store is out of reach: %d settlements are kept until it is back", self.backlog)
        if self._next is not None:
            self._next.cancel()
        self._next = asyncio.get_running_loop().call_later(self._pause, self._send)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def _arrived(self, letters: Sequence[tuple[Letter, bool]]) -> None:
        settled = [(letter.row.request_id, first) for letter, first in letters if isinstance(letter, Settlement)]
        self.counts.released += len(letters) - len(settled)
        self.counts.written += sum(first for _, first in settled)
        self.counts.repeated += sum(not first for _, first in settled)
        if settled:
            self._written([request_id for request_id, _ in settled])

    def _refused(self, letter: Letter, error: Exception) -> None:
        """The store does not take this, however often it is tried. The journal keeps it until the next start."""
        self.counts.refused += 1
        request_id = letter.row.request_id if isinstance(letter, Settlement) else letter
        log.error("the store refuses the settlement of request %s: %s", request_id, type(error).__name__)
