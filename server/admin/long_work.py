"""Long work: what goes over very many rows beside a running gateway, may be interrupted, and goes on where it stopped.

* It uses a connection of its own, takes a few rows at a time and rests in between: a writer meanwhile waits for
  one small batch at most.
* A step that has begun is finished, also if Ctrl-C comes meanwhile; the interruption counts in the next rest.
* Where the work stands is kept after each step, as a record of kind "work" that is named after what was asked for. The
  same command goes on from there; finished work leaves no record. A process that is killed in the middle of a step
  repeats that step, which changes nothing twice; but its figures may tell the rows of that step as unchanged.
* The audit log has an entry from before the first step and one with the figures of all, however often it was begun.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from server.admin.changes import Changes
from server.ledger.calendar import Calendar
from server.ledger.reports import By, Cursor, Days, Which
from server.ledger.usage import UsageRow
from server.policy.commands import CommandError
from server.store.base import Record, Store
from web.wording import Wording

T = TypeVar("T")

# Called after each step with how much is done, and of how much; 0 if that is unknown.
Progress = Callable[[int, int], None]

WORK = "work"
_A_DAY = round(timedelta(days=1) / timedelta(milliseconds=1))


class WorkError(CommandError):
    """The work cannot be done; the text says why."""


@dataclass(frozen=True, slots=True)
class WorkPace:
    """So many rows in a step, and seconds of rest before the next one."""

    rows: int = 500
    rest: float = 0.02


@dataclass(frozen=True, slots=True)
class Job:
    """The parts that every long work needs; `actor` has asked for it."""

    store: Store
    changes: Changes
    actor: str
    progress: Progress
    pace: WorkPace = WorkPace()

    async def step(self, work: Coroutine[Any, Any, T]) -> T:
        """Do one step whole, even if the task is cancelled meanwhile."""
        task = asyncio.ensure_future(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await task
            raise

    async def rest(self) -> None:
        await asyncio.sleep(self.pace.rest)

    async def pages(self, which: Which, cursor: Cursor | None) -> AsyncGenerator[list[UsageRow], None]:
        """The rows behind a cursor, a step's worth at a time, with a rest before each further one."""
        while page := await self.store.usage_after(which, cursor, self.pace.rows):
            yield page
            cursor = position(page[-1])
            await self.rest()

    async def count(self, which: Which) -> int:
        (found,) = await self.store.usage_sums(which, ())
        return found.requests


class Bookmark:
    """Where a work stands. Its name is a digest of all that was asked for: other arguments are another work."""

    def __init__(self, store: Store, *asked_for: str) -> None:
        self._store = store
        self._id = hashlib.sha256("\n".join(asked_for).encode()).hexdigest()[:16]

    async def read(self) -> Mapping[str, Any] | None:
        """The bookmark that was put last; None if the work has not begun, or was finished."""
        return next((each.body for each in await self._store.records(WORK) if each.id == self._id), None)

    async def put(self, body: Mapping[str, Any]) -> None:
        await self._store.put_record(Record(WORK, self._id, body))

    async def remove(self) -> None:
        await self._store.remove_record(WORK, self._id)


@dataclass(frozen=True, slots=True)
class Span:
    """Whole days where the operator lives, both inclusive; and the same as UTC milliseconds, `before` exclusive."""

    first: str
    last: str
    after: int
    before: int

    @classmethod
    def of(cls, calendar: Calendar, first: str, last: str) -> Span:
        """Raises WorkError if these are no days, or in the wrong order."""
        try:
            after, before = calendar.starts(first), calendar.ends(last)
        except ValueError as error:
            raise WorkError(str(error)) from None
        if before <= after:
            raise WorkError(Wording("the last day is before the first"))
        return cls(first, last, after, before)

    def __str__(self) -> str:
        return f"{self.first}..{self.last}"


async def days_with_all_rows(store: Store, span: Span) -> list[str]:
    """The days on which something was used. Raises WorkError if rows of one were purged: its sums are all that is left.

    The sums are read first: what is settled meanwhile can make them fewer than the rows, and never more.
    """
    sums = {each.key[0]: each.requests for each in await store.sums(Days(first=span.first, last=span.last), (By.DAY,))}
    # Rows know their day themselves; it may be another one here, if the operator has moved to another time zone.
    near = Which(after=span.after - 2 * _A_DAY, before=span.before + 2 * _A_DAY)
    rows = {each.key[0]: each.requests for each in await store.usage_sums(near, (By.DAY,))}
    for day, requests in sums.items():
        if rows.get(day, 0) < requests:
            raise WorkError(
                Wording(
                    "rows of %(day)s have been purged, so that its sums cannot be computed anew: begin later", day=day
                )
            )
    return sorted(day for day in rows if day is not None and span.first <= day <= span.last)


def position(row: UsageRow) -> Cursor:
    """The cursor behind a row."""
    return row.started_at, row.request_id
