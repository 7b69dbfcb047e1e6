"""Reserving in MongoDB.

A reservation names its counters in a document of its own *before* it is entered in any of them: one who dies in between
has left a trace, and what is held is given back when it expires. The document goes last.

    {_id: request, holder, expires_at, counters: [...], calls: 1}
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from datetime import date
from typing import Any

from pymongo import DeleteOne

from server.ledger.quota import (
    ESCROW,
    Escrowed,
    Exceeded,
    Hold,
    Letter,
    Release,
    Reservation,
    Reserved,
    Settlement,
    Trim,
)
from server.store.base import StoreError
from server.store.mongo import counters as mongo_counters
from server.store.mongo.connect import Connected, Database, Document, border, upsert, verb
from server.store.mongo.counters import path, standing
from server.store.mongo.ordering import PerRequest
from server.store.mongo.settle import GROUP, Settler, finish_all

_WINDOW = r"/(\d{4}-\d\d-\d\d|\d{4}-W\d\d|\d{4}-\d\d)$"  # the end of a counter's name

# Reservations that are under way in this process. When a thousand ask for the last ten of something, all but the first
# few see that they are gone, instead of fighting for them; and a driver has no more connections for it anyway.
AT_ONCE = 20


async def index_ledger(db: Database) -> None:
    await db.reservations.create_index("holder")
    await db.reservations.create_index("expires_at")


class MongoLedger(Connected):
    """The `LedgerVerbs`."""

    def __init__(self, url: str, driver: str) -> None:
        super().__init__(url, driver)
        self._settler: Settler | None = None
        self._queue = PerRequest()
        self._few = asyncio.Semaphore(AT_ONCE)

    def settle(self, settlement: Settlement) -> Awaitable[bool]:
        return asyncio.ensure_future(_only(self.write([settlement])))

    def write(self, letters: Sequence[Letter]) -> Awaitable[list[bool | Exception]]:
        """Settlements that wait for nothing go together; the others go alone, each in its turn."""
        if self._settler is None:
            return _refused()
        alone = [not isinstance(each, Settlement) or self._queue.busy(each.row.request_id) for each in letters]
        free = [each for each, waits in zip(letters, alone, strict=True) if isinstance(each, Settlement) and not waits]
        others = [self._alone(each) for each, waits in zip(letters, alone, strict=True) if waits]
        return asyncio.ensure_future(
            _in_order(alone, self._settler.settle(free), asyncio.gather(*others, return_exceptions=True))
        )

    @verb
    async def escrowed(self, counters: Sequence[str]) -> list[Escrowed]:
        found = await mongo_counters.look(self._db.counters, counters)
        return [mongo_counters.escrowed({"_id": name, **found[name]}) for name in counters]

    @verb
    async def call_back(self, counter: str) -> None:
        await self._db.counters.update_one({"_id": counter}, {"$inc": {"calls": 1}})

    @verb
    async def reserve(self, reservation: Reservation) -> Reserved | Exceeded:
        return await self._queue.do(reservation.request_id, self._reserve_among_few(reservation))

    @verb
    async def release(self, request_id: str) -> bool:
        return await self._queue.do(request_id, self._release([{"_id": request_id}])) == 1

    @verb
    async def release_holder(self, holder: str) -> int:
        return await self._release_where({"holder": holder})

    @verb
    async def release_expired(self, now: int) -> int:
        """Settlements that other processes began are finished first: those processes may be gone."""
        await finish_all(self._db)
        return await self._release_where({"expires_at": {"$lt": now}})

    @verb
    async def taken(self, counters: Sequence[str]) -> list[int]:
        return [each.taken - each.amount for each in await self.escrowed(counters)]

    @verb
    async def settled(self, counters: Sequence[str]) -> list[int]:
        found = self._db.counters.find({"_id": {"$in": list(counters)}}, dict.fromkeys(("taken", "held", "escrow"), 1))
        settled = {each["_id"]: mongo_counters.settled(each) for each in await found.to_list(None)}
        return [settled.get(name, 0) for name in counters]

    @verb
    async def reserved(self) -> int:
        return await self._db.reservations.count_documents({"_id": {"$not": {"$regex": f"^{ESCROW}"}}})

    @verb
    async def forget_counters(self, before: str) -> int:
        week = date.fromisoformat(before).isocalendar()
        present = {len(name): name for name in (before, f"{week.year:04}-W{week.week:02}", before[:7])}
        ended = [
            each["_id"]
            for each in await self._db.counters.find({"_id": {"$regex": _WINDOW}}, {"_id": True}).to_list(None)
            if (window := each["_id"].rpartition("/")[2]) < present[len(window)]
        ]
        # A counter with holds stays, or else giving them back would miss it.
        forgotten = {"_id": {"$in": ended}, "held": {"$in": [None, {}]}, "escrow": {"$in": [None, {}]}}
        return (await self._db.counters.delete_many(forgotten)).deleted_count if ended else 0

    async def _alone(self, letter: Letter) -> bool | Exception:
        if isinstance(letter, Settlement):
            return await self._queue.do(letter.row.request_id, self._settled(letter))
        if isinstance(letter, Release):
            return await self.release(letter.request_id)
        return await self._queue.do(letter.escrow, self._trimmed(letter))

    async def _settled(self, settlement: Settlement) -> bool | Exception:
        if self._settler is None:
            raise StoreError("the store is not open")
        (answer,) = await self._settler.settle([settlement])
        return answer

    async def _trimmed(self, trim: Trim) -> bool:
        with border():
            found = await self._db.reservations.find_one({"_id": trim.escrow}, {"counters": True})
            names = [] if found is None else found["counters"]
            return await mongo_counters.trim(self._db.counters, names, path(trim.escrow), trim.amount)

    async def _reserve_among_few(self, reservation: Reservation) -> Reserved | Exceeded:
        async with self._few:
            return await self._reserve(reservation)

    async def _reserve(self, reservation: Reservation) -> Reserved | Exceeded:
        """Look, decide, try, look again whether it came true. A refusal at the first look has written nothing."""
        held, noted = path(reservation.request_id), False
        names = [each.counter for each in reservation.holds]
        counters = await mongo_counters.look(self._db.counters, names, held)
        first = missing = _missing(reservation, counters, held)
        while True:
            if refusal := _refusal(missing, counters):
                if noted:
                    await self._give_up(reservation.request_id, [each.counter for each in first])
                return refusal
            if not noted and names:
                await self._note(reservation)
                noted = True
            if not missing:
                return Reserved(tuple(counters[name]["taken"] for name in names))
            await mongo_counters.hold(self._db.counters, missing, held)
            counters = await mongo_counters.look(self._db.counters, names, held)
            missing = _missing(reservation, counters, held)

    async def _note(self, reservation: Reservation) -> None:
        change = {
            "$set": {"holder": reservation.holder, "expires_at": reservation.expires_at},
            "$addToSet": {"counters": {"$each": [each.counter for each in reservation.holds]}},
            "$inc": {"calls": 1},
        }
        await upsert(self._db.reservations, {"_id": reservation.request_id}, change)

    async def _give_up(self, request_id: str, names: Sequence[str]) -> None:
        """Give back what this call held. The document stays if an earlier call made it."""
        await mongo_counters.turn(self._db.counters, names, [path(request_id)])
        await self._db.reservations.delete_one({"_id": request_id, "calls": 1})

    async def _release_where(self, which: Document) -> int:
        released = 0
        while found := await self._db.reservations.find(which, {"_id": True}).limit(GROUP).to_list(None):
            released += await self._release(found)
        return released

    async def _release(self, which: Sequence[Document]) -> int:
        """Give back what these requests hold; how many held something."""
        found = await self._db.reservations.find({"_id": {"$in": [each["_id"] for each in which]}}).to_list(None)
        if not found:
            return 0
        names = {name for each in found for name in each["counters"]}
        holders = await mongo_counters.turn(self._db.counters, names, [path(each["_id"]) for each in found])
        # A request that has reserved again meanwhile keeps its reservation.
        await self._db.reservations.bulk_write(
            [DeleteOne({"_id": each["_id"], "calls": each["calls"]}) for each in found]
        )
        return len(holders)


def _missing(reservation: Reservation, counters: Mapping[str, Document], held: str) -> list[Hold]:
    """The holds that the request does not have yet."""
    return [each for each in reservation.holds if standing(counters[each.counter], held) is None]


def _refusal(holds: Sequence[Hold], counters: Mapping[str, Document]) -> Exceeded | None:
    for each in holds:
        taken = counters[each.counter]["taken"]
        if taken + each.amount > each.limit:
            escrowed = sum(counters[each.counter].get("escrow", {}).values())
            return Exceeded(each.counter, taken, escrowed)
    return None


async def _in_order(
    alone: Sequence[bool], settling: Awaitable[Sequence[bool | Exception]], others: Awaitable[Sequence[Any]]
) -> list[bool | Exception]:
    """The answers in the order of the letters: of those that went alone, and of those that were settled together."""
    rest, together = iter(await others), iter(await settling)
    return [next(rest) if waits else next(together) for waits in alone]


async def _only(answering: Awaitable[list[bool | Exception]]) -> bool:
    (answer,) = await answering
    if isinstance(answer, Exception):
        raise answer
    return answer


async def _refused() -> list[bool | Exception]:
    raise StoreError("the store is not open")
