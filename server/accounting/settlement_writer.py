"""The writes behind the answer: settlements, and holds that are given back.

No request waits for them. The letters of one turn of the loop go to the store as one piece of work, and so do those
that came while the store wrote the last piece: the more there are, the more are written at once. If the store is out of
reach, all letters are kept and tried again, a little later each time: all that is posted may be repeated. A letter that
waits here is in the journal, too, so that it survives the end of the process.
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

from server.ledger.quota import ESCROW, Letter, Release, Settlement
from server.store.base import StoreError

log = logging.getLogger("fairgate")

MOST = 50_000  # settlements, each about two kilobytes of memory
AT_ONCE = 1_000  # on their way to the store
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0  # seconds until another attempt


class LetterBox(Protocol):
    """The part of a store that is needed here."""

    def write(self, letters: Sequence[Letter]) -> Awaitable[list[bool | Exception]]: ...


@dataclass(slots=True)
class WriterCounts:
    """Since the start. A repeated settlement had been written before; a refused one cannot be written at all."""

    written: int = 0
    repeated: int = 0
    released: int = 0
    refused: int = 0
    outages: int = 0  # attempts of which nothing arrived


class SettlementWriter:
    """Brings settlements to the store. `written` gets the ids of the requests whose settlements are there.

    Every method belongs to the event loop.
    """

    def __init__(
        self,
        store: LetterBox,
        written: Callable[[list[str]], None],
        most: int = MOST,
        at_once: int = AT_ONCE,
    ) -> None:
        self._store, self._written, self._most, self._at_once = store, written, most, at_once
        self._waiting: deque[Letter] = deque()
        self._flight: asyncio.Future[list[bool | Exception]] | None = None
        self._flying = 0  # letters in it
        self._next: asyncio.Handle | None = None  # when letters are sent again
        self._pause = FIRST_PAUSE
        self._closed = False
        self._quiet = asyncio.Event()
        self._quiet.set()
        self.counts = WriterCounts()

    def post(self, letter: Letter) -> None:
        """Have a settlement written, or a hold given back of which it may be unknown whether there is one."""
        self._waiting.append(letter)
        self._quiet.clear()
        self._soon()

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
        """Wait likewise, then send nothing any more. Letters that are not written are in the journal."""
        written = await self.quiet(seconds)
        self._closed = True
        if self._next is not None:
            self._next.cancel()
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.gather(self._flight, return_exceptions=True)
        return written

    def _soon(self) -> None:
        """Send in the next turn of the loop, unless a time is set (soon, or after a pause) or something is flying."""
        if self._next is None and self._flight is None and not self._closed:
            self._next = asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        self._next = None
        letters = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._at_once))]
        self._flying = len(letters)
        self._flight = asyncio.ensure_future(self._store.write(letters))
        self._flight.add_done_callback(partial(self._landed, letters))

    def _landed(self, letters: list[Letter], flight: asyncio.Future[list[bool | Exception]]) -> None:
        self._flight, self._flying = None, 0
        if self._closed:
            return
        answers = list(zip(letters, _answers(flight, len(letters)), strict=True))
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
        else:
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
        self.counts.released += sum(
            isinstance(it, Release) and not it.request_id.startswith(ESCROW) for it, _ in letters
        )
        self.counts.written += sum(first for _, first in settled)
        self.counts.repeated += sum(not first for _, first in settled)
        if settled:
            self._written([request_id for request_id, _ in settled])

    def _refused(self, letter: Letter, error: Exception) -> None:
        """The store does not take this, however often it is tried. The journal keeps it until the next start."""
        self.counts.refused += 1
        log.error("the store refuses the settlement of request %s: %s", _subject(letter), type(error).__name__)


def _answers(flight: asyncio.Future[list[bool | Exception]], number: int) -> Sequence[bool | BaseException]:
    """The answer to each letter. An outage, or a call that was given up, is the answer to all of them."""
    if flight.cancelled():
        return [asyncio.CancelledError()] * number
    error = flight.exception()
    return flight.result() if error is None else [error] * number


def _subject(letter: Letter) -> str:
    if isinstance(letter, Settlement):
        return letter.row.request_id
    return letter.request_id if isinstance(letter, Release) else letter.escrow
