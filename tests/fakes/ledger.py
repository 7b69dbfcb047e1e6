"""The fake upstream's own books: what it received, what it generated, and when its clients left.

A test compares them with the gateway's ledger. Usage grows with what was really written: the input counts with the
head, an event's output tokens with the event, a plain answer's output with its body.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from server.wire.usage import Usage
from tests.fakes.http1 import Request


class Outcome(Enum):
    """How an exchange stands."""

    RUNNING = "running"
    ANSWERED = "answered"
    REFUSED = "refused"  # with a status of 400 or above
    BROKEN = "broken"  # the fate was to misbehave, and it was carried out to its end
    CLIENT_LEFT = "client_left"
    STOPPED = "stopped"  # the fake was stopped first


@dataclass(slots=True, eq=False)
class Record:
    """One request. Times are the loop's (seconds, monotonic); None means that it has not happened."""

    number: int  # in the order of arrival, from 0
    request: Request
    dialect: str
    key: str | None  # the secret that was presented
    model: str | None
    started_at: float
    fate: str = ""
    status: int | None = None
    outcome: Outcome = Outcome.RUNNING
    usage: Usage = field(default_factory=Usage)
    events_written: int = 0
    bytes_written: int = 0
    first_byte_at: float | None = None
    finished_at: float | None = None
    client_left_at: float | None = None

    @property
    def path(self) -> str:
        """The path of the request, without its query."""
        return self.request.path

    @property
    def body(self) -> bytes:
        """The body as it was received."""
        return self.request.body

    @property
    def request_id(self) -> str | None:
        """The id by which the client called its request."""
        return self.request.header("x-request-id") or self.request.header("x-client-request-id")


class Ledger:
    """All records, in the order of their arrival, and those who wait for something in them."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._waiting: list[tuple[Callable[[], object], asyncio.Future[None]]] = []

    def add(self, record: Record) -> Record:
        """Take in a new record."""
        self.records.append(record)
        self.changed()
        return record

    def changed(self) -> None:
        """Something that a predicate may look at is different now."""
        for predicate, future in self._waiting:
            if not future.done() and predicate():
                future.set_result(None)
        self._waiting = [waiting for waiting in self._waiting if not waiting[1].done()]

    async def wait_for(self, predicate: Callable[[], object], seconds: float = 5.0) -> None:
        """Return as soon as the predicate holds; TimeoutError if it does not within so many seconds."""
        if predicate():
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((predicate, future))
        async with asyncio.timeout(seconds):
            await future
