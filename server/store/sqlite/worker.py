"""A thread that owns one SQLite connection and does jobs for the event loop.

A job is a function of the connection and changes nothing else, so that it may be undone and begun again; the loop gets
a future. The thread takes all jobs that are waiting, at most `batch`, carries them out together and answers them with
one call into the loop. How jobs are carried out is the difference between a writer (`in_one_transaction`) and a reader
(`one_by_one`).
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any, TypeVar

from server.store.base import StoreError

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], Any]
Job = tuple[Work, "asyncio.Future[Any]"]
Answer = tuple[Any, BaseException | None]  # of each work: its result, or why there is none
CarryOut = Callable[[sqlite3.Connection, Sequence[Work]], list[Answer]]


@dataclass(frozen=True, slots=True)
class WorkGroup:
    """One work that is many: done at once, or each by itself if that fails. Its result: what each gave, or an error."""

    whole: Callable[[sqlite3.Connection], list[Any]]
    each: Sequence[Work]

    def __call__(self, connection: sqlite3.Connection) -> list[Any]:
        return self.whole(connection)


BUSY = 0.02  # seconds between two groups of jobs below which more are worth waiting for


class Worker:
    """One thread, one connection, one bounded queue. Everything but the thread itself belongs to the event loop.

    `linger`: seconds that it waits for more jobs while it is busy, unless a request waits for one of them.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        carry_out: CarryOut,
        batch: int,
        most: int,
        linger: float = 0.0,
    ) -> None:
        self._connect, self._carry_out, self._batch, self._most = connect, carry_out, batch, most
        self._linger = linger
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._hurry = Event()
        self._waiting = 0
        self._open = False

    async def start(self) -> None:
        """Start the thread and wait for its connection. Whatever `connect` raises comes out here."""
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        connected: asyncio.Future[None] = self._loop.create_future()
        # A daemon, so that a process that dies without closing does not hang: what was answered is on the disk.
        self._thread = Thread(target=self._run, args=(connected,), name="fairgate-store", daemon=True)
        self._thread.start()
        try:
            await connected
        except BaseException:
            await self._join()
            raise
        self._open = True

    def do(self, work: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Queue some work. Its future holds a `StoreError` if the worker is closed or too much is waiting."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if not self._open:
            future.set_exception(StoreError("the store is not open"))
        elif self._waiting >= self._most:
            future.set_exception(StoreError("too much is waiting for the store"))
        else:
            self._waiting += 1
            self._jobs.put((work, future))
        return future

    def do_at_once(self, work: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """The same for a job that a request waits for: the worker does not linger."""
        future = self.do(work)
        self._hurry.set()
        return future

    async def stop(self) -> None:
        """Take no more work, finish what is queued, close the connection and end the thread."""
        if self._open:
            self._open = False
            await self._join()

    async def _join(self) -> None:
        self._jobs.put(None)
        await self._ended
        self._thread.join()  # its last act was to say so: this does not wait

    def _run(self, connected: asyncio.Future[None]) -> None:
        try:
            connection = self._connect()
        except Exception as error:
            self._call(_answer, [connected], [(None, error)])
        else:
            self._call(_answer, [connected], [(None, None)])
            self._serve(connection)
            connection.close()
        self._call(_answer, [self._ended], [(None, None)])

    def _serve(self, connection: sqlite3.Connection) -> None:
        ended = 0.0
        while (job := self._jobs.get()) is not None:
            if self._linger and time.monotonic() - ended < BUSY:
                self._hurry.wait(self._linger)  # work follows on work: let more come, and wait for the disk once
            self._hurry.clear()
            works, futures = zip(*self._gather(job), strict=True)
            self._call(self._done, futures, self._carry_out(connection, works))
            ended = time.monotonic()

    def _gather(self, first: Job) -> list[Job]:
        jobs = [first]
        while len(jobs) < self._batch:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                break
            if job is None:
                self._jobs.put(None)  # the end comes after these; nothing else is queued behind it
                break
            jobs.append(job)
        return jobs

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        self._loop.call_soon_threadsafe(function, *arguments)

    def _done(self, futures: Sequence[asyncio.Future[Any]], answers: list[Answer]) -> None:
        self._waiting -= len(futures)
        _answer(futures, answers)


def one_by_one(connection: sqlite3.Connection, works: Sequence[Work]) -> list[Answer]:
    """Each work by itself: for reading."""
    return [_attempt(connection, work) for work in works]


def in_one_transaction(connection: sqlite3.Connection, works: Sequence[Work]) -> list[Answer]:
    """Group commit: one wait for the disk, however many works. Each is undone by itself if it raises.

    If the database gives the transaction up (disk full, locked for too long), nothing is kept and all works get the
    error.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        answers = _all_or_each(connection, works)
        connection.execute("COMMIT")
    except Exception as error:
        # Should even this fail, the next group's BEGIN does, and comes here again.
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        return [(None, _as_store_error(error)) for _ in works]
    return answers


def _all_or_each(connection: sqlite3.Connection, works: Sequence[Work]) -> list[Answer]:
    """Hardly ever does one raise, and a savepoint for each copies every page that it changes (a third of a
    settlement's time): only if one does raise, all is undone and done again with savepoints."""
    try:
        return [(work(connection), None) for work in works]
    except Exception:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        connection.execute("BEGIN IMMEDIATE")
        return [_apart(connection, work) for work in works]


def _apart(connection: sqlite3.Connection, work: Work) -> Answer:
    if not isinstance(work, WorkGroup):
        return _in_savepoint(connection, work)
    answers = [_in_savepoint(connection, part) for part in work.each]
    return [result if error is None else error for result, error in answers], None


def _in_savepoint(connection: sqlite3.Connection, work: Work) -> Answer:
    connection.execute("SAVEPOINT work")
    try:
        answer: Answer = (work(connection), None)
    except Exception as error:
        if not connection.in_transaction:
            raise  # after some errors SQLite has rolled back everything: the group has failed, not only this work
        connection.execute("ROLLBACK TO work")
        answer = (None, _as_store_error(error))
    connection.execute("RELEASE work")
    return answer


def _attempt(connection: sqlite3.Connection, work: Work) -> Answer:
    try:
        return work(connection), None
    except Exception as error:
        return None, _as_store_error(error)


def _as_store_error(error: Exception) -> Exception:
    """The database's own exceptions as StoreError, since they do not leave the store; others as they are."""
    if not isinstance(error, sqlite3.Error):
        return error
    outage = StoreError(f"the database failed: {error}")
    outage.__cause__ = error
    return outage


def _answer(futures: Sequence[asyncio.Future[Any]], answers: list[Answer]) -> None:
    for future, (result, error) in zip(futures, answers, strict=True):
        if future.done():
            continue  # its caller has left; the work is done all the same
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
