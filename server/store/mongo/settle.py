"""Settling in MongoDB: exactly once, though it takes several documents and any step may be the last.

A settlement goes through four steps; the second decides.

1. *Announce*: its amounts are entered in the counters and in the sum of its day, under a nonce of its own. Entries
   count for nothing yet.
2. *Write*: the row, which names the nonce. The first row of a request wins. A booker that finds one there has its
   entries withdrawn.
3. *Turn*: each entry becomes its amount, and what the request held is given back, in the same update.
4. *Finish*: the row forgets the nonce. A row that has one is not finished; a booker that meets it goes through steps 3
   and 4 for it, be it another call, another process or the next start: turning an entry twice does nothing.

A process that dies before step 2 leaves entries that no row names: they count for nothing and go with their counters.

Many settle at once, so that all that are waiting go through the steps together: some ten commands for as many
settlements as there are.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from bson import ObjectId
from pymongo.errors import BulkWriteError

from server.ledger.batch import firsts
from server.ledger.quota import Settlement
from server.store.base import StoreError
from server.store.mongo import counters as mongo_counters
from server.store.mongo import sums as mongo_sums
from server.store.mongo.connect import Database, Document, border, together
from server.store.mongo.counters import only_duplicates, path
from server.store.mongo.usage import document_of

GROUP = 200  # settlements that go together: bounds the size of a command
MOST_WAITING = 10_000  # a request settles once, so that only an outage fills it


class Settler:
    """Takes settlements, and carries out all that are waiting together, one group after the other."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._waiting: deque[_Waiting] = deque()
        self._work: asyncio.Task[None] | None = None
        self._latest: _Batch | None = None

    def settle(self, settlements: Sequence[Settlement]) -> asyncio.Future[list[bool | Exception]]:
        """They are on their way when this returns, and go on when the answer is not waited for any more."""
        batch = _Batch(asyncio.get_running_loop().create_future(), len(settlements))
        if not settlements or len(self._waiting) + len(settlements) > MOST_WAITING:
            full = StoreError("too much is waiting for the store")
            batch.future.set_result([full] * len(settlements))
            return batch.future
        self._waiting.extend(_Waiting(each, batch, place) for place, each in enumerate(settlements))
        self._latest = batch
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._work_off())
        return asyncio.shield(batch.future)

    async def caught_up(self) -> None:
        """Wait until all that was accepted before is done."""
        if self._latest is not None:
            await asyncio.wait([self._latest.future])

    async def _work_off(self) -> None:
        while self._waiting:
            await self._carry_out([self._waiting.popleft() for _ in range(min(GROUP, len(self._waiting)))])

    async def _carry_out(self, group: Sequence[_Waiting]) -> None:
        try:
            with border():
                written = await settle_all(self._db, [each.settlement for each in group])
        except Exception as error:
            # An outage fails the whole group. A settlement that cannot be written at all fails alone.
            if not isinstance(error, StoreError) and len(group) > 1:
                for each in group:
                    await self._carry_out([each])
                return
            for each in group:
                each.batch.put(each.place, error)
        else:
            for each, first in zip(group, written, strict=True):
                each.batch.put(each.place, first)


class _Batch:
    """The answers for settlements that came together."""

    def __init__(self, future: asyncio.Future[list[bool | Exception]], number: int) -> None:
        self.future, self._missing = future, number
        self._answers: list[bool | Exception] = [False] * number

    def put(self, place: int, answer: bool | Exception) -> None:
        self._answers[place] = answer
        self._missing -= 1
        if not self._missing:
            self.future.set_result(self._answers)


@dataclass(frozen=True, slots=True)
class _Waiting:
    settlement: Settlement
    batch: _Batch
    place: int


async def settle_all(db: Database, settlements: Sequence[Settlement]) -> list[bool]:
    """Settle together; of each, whether it was the first of its request."""
    places = firsts(settlements)
    there = await _settle(db, [document_of(settlements[place], str(ObjectId())) for place in places.values()])
    written = {place for request_id, place in places.items() if request_id not in there}
    return [place in written for place in range(len(settlements))]


async def finish(db: Database, docs: Sequence[Document]) -> None:
    """Turn the entries of written rows, give back what their requests held, and have the rows forget the nonce."""
    ids = [doc["_id"] for doc in docs]
    if not ids:
        return
    await together(_take(db, docs), mongo_sums.turn(db.sums, docs))
    await db.reservations.delete_many({"_id": {"$in": ids}})
    await db.usage.update_many({"_id": {"$in": ids}}, {"$unset": {"due": ""}})


async def finish_all(db: Database) -> None:
    """Finish the settlements that were begun, since their process may have died. One that lives is not disturbed."""
    unfinished = {"due": {"$exists": True}}
    docs = await db.usage.find(unfinished).to_list(None)
    for first in range(0, len(docs), GROUP):
        await finish(db, docs[first : first + GROUP])


async def _settle(db: Database, docs: Sequence[Document]) -> set[str]:
    """Take the four steps; which rows were there already."""
    await together(mongo_counters.announce(db.counters, docs), mongo_sums.announce(db.sums, docs))
    there = await _write(db, docs)
    unfinished = await _unfinished(db, there)
    # A driver that got no answer may have written twice: a row that names our nonce is ours.
    nonces = {row["due"] for row in unfinished}
    late = [doc for doc in docs if doc["_id"] in there and doc["due"] not in nonces]
    if late:
        await together(mongo_counters.withdraw(db.counters, late), mongo_sums.withdraw(db.sums, late))
    await finish(db, [*(doc for doc in docs if doc["_id"] not in there), *unfinished])
    return {doc["_id"] for doc in late}


async def _unfinished(db: Database, ids: set[str]) -> list[Document]:
    """The rows of these requests that are begun and not finished: by another process, or here in an attempt before."""
    if not ids:
        return []
    return await db.usage.find({"_id": {"$in": list(ids)}, "due": {"$exists": True}}).to_list(None)


async def _write(db: Database, docs: Sequence[Document]) -> set[str]:
    try:
        await db.usage.insert_many(docs, ordered=False)
    except BulkWriteError as error:
        if not only_duplicates(error):
            raise
        return {docs[each["index"]]["_id"] for each in error.details["writeErrors"]}
    return set()


async def _take(db: Database, docs: Sequence[Document]) -> None:
    ids = [doc["_id"] for doc in docs]
    reservations = await db.reservations.find({"_id": {"$in": ids}}, {"counters": True}).to_list(None)
    names = {charge[0] for doc in docs for charge in doc["charges"]}
    names.update(*(each["counters"] for each in reservations))
    held = [path(each["_id"]) for each in reservations]
    # A charge that was drawn from an escrow names it, and how much.
    drawn = {(name, doc["due"]): (path(more[0]), more[1]) for doc in docs for name, _, *more in doc["charges"] if more}
    await mongo_counters.turn(db.counters, names, held, [doc["due"] for doc in docs], drawn)
