"""Threads that serve persons in turn: work that takes the processor for longer than the event loop may spare.

A queue that serves the first to come lets one person with a hundred long texts keep all others waiting. Here pieces of
work are started by *start-time fair queueing* (Goyal, Vin and Cheng, 1996): a piece is stamped with the time at which
its person's earlier pieces would be done if each got the same share, or with the time of now if that is later, and the
earliest stamp is served first; of equal stamps the shorter piece. So a person with little work is served next, however
much others have queued, and a person with a lot of work gets one share of the threads. It only works as far as pieces
are short: long work comes in pieces, one after the other.

Sizes are in whatever the work's duration goes with, such as characters or bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import Generic, TypeVar

T = TypeVar("T")
Job = TypeVar("Job")

MOST_STAMPS = 1024  # persons whose stamps are looked through for those that have passed


class Turns(Generic[Job]):
    """The order in which pieces of work are started. Pure."""

    def __init__(self) -> None:
        self._queue: list[tuple[float, int, int, Job]] = []  # by stamp, then size, then arrival
        self._numbers = count()
        self._now = 0.0  # the stamp of what was started last
        self._done: dict[str, float] = {}  # by person: when their pieces would be done

    def __len__(self) -> int:
        """How many pieces wait."""
        return len(self._queue)

    def add(self, person: str, size: int, job: Job) -> None:
        """A piece of work of this size has come."""
        stamp = max(self._now, self._done.get(person, 0.0))
        self._done[person] = stamp + max(1, size)
        heappush(self._queue, (stamp, size, next(self._numbers), job))
        if len(self._done) > MOST_STAMPS:
            self._done = {each: done for each, done in self._done.items() if done > self._now}

    def take(self) -> Job:
        """The piece whose turn it is. Raises IndexError if there is none."""
        self._now, _, _, job = heappop(self._queue)
        return job


class FairThreads:
    """A few threads, and the work that waits for them. Close it to end the threads."""

    def __init__(self, threads: int, name: str) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._free = threads
        self._turns: Turns[tuple[Callable[[], object], asyncio.Future[object]]] = Turns()

    @property
    def waiting(self) -> int:
        """How many pieces wait for a thread."""
        return len(self._turns)

    async def run(self, person: str, size: int, work: Callable[[], T]) -> T:
        """Do a piece of work beside the event loop when it is this person's turn; raises what it raises."""
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._turns.add(person, size, (work, result))  # type: ignore[arg-type]  # a future of any T
        self._start()
        return await result

    def close(self) -> None:
        """End the threads; what is under way is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _start(self) -> None:
        while self._free and len(self._turns):
            work, result = self._turns.take()
            if not result.done():  # else its caller has gone
                self._free -= 1
                running = asyncio.get_running_loop().run_in_executor(self._threads, work)
                running.add_done_callback(partial(self._ended, result))

    def _ended(self, result: asyncio.Future[object], done: asyncio.Future[object]) -> None:
        self._free += 1
        if done.cancelled():
            result.cancel()
        elif (error := done.exception()) is not None:
            if not result.done():
                result.set_exception(error)
        elif not result.done():
            result.set_result(done.result())
        self._start()
