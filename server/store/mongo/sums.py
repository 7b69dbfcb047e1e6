"""The sums by day in MongoDB: one document for each day, person, group, token, model and status.

    {_id: {day, person, group, token, model, status}, requests: 3, input: ..., due: {nonce: true}, changes: 9}

A row gets into its sum as a charge gets into its counter (see `mongo_counters`): it is entered, then turned, once.
`changes` grows with every change, so that sums that are computed anew replace only what they were computed from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pymongo import ASCENDING, UpdateOne
from pymongo.errors import BulkWriteError

from server.ledger.reports import By, Days, Sum, SumMeasure
from server.store.base import StoreError
from server.store.mongo.connect import Collection, Connected, Database, Document, aggregated, verb
from server.store.mongo.counters import enter, only_duplicates

TOKENS = ("input", "cached", "cache_write", "output", "reasoning")
FIGURES = ("requests", *TOKENS, "cost_micro_usd")
ATTEMPTS = 50  # to compute sums anew while they change

# The parts of a sum's key, and which fields of a row they are.
_OF_ROW = {
    "day": "day",
    "person": "person_id",
    "group": "group",
    "token": "token_id",
    "model": "model_asked",
    "status": "status",
}
Key = tuple[str | None, ...]


async def index_sums(db: Database) -> None:
    for part in ("person", "group"):
        await db.sums.create_index([(f"_id.{part}", ASCENDING), ("_id.day", ASCENDING)])
    await db.sums.create_index("_id.day")


class MongoSums(Connected):
    """The verbs on sums, of rows and by day."""

    @verb
    async def sums(self, days: Days, by: Sequence[By]) -> list[Sum]:
        return await grouped(self._db.sums, _chosen(days), [f"_id.{each}" for each in by], _OF_SUMS)

    @verb
    async def leaders(self, days: Days, measure: SumMeasure, limit: int) -> list[tuple[str, Sum]]:
        people = await grouped(self._db.sums, _chosen(days), ["_id.person"], _OF_SUMS)
        ranked = sorted(people, key=lambda each: (-_measured(each, measure), each.key))
        return [(str(each.key[0]), without_key(each)) for each in ranked[:limit]]

    @verb
    async def resum(self, first: str, last: str) -> int:
        for _ in range(ATTEMPTS):
            rows, changes = await _differences(self._db, first, last)
            if await _replace(self._db.sums, changes):
                return rows
        raise StoreError("the sums change faster than they can be computed anew")


async def announce(sums: Collection, docs: Iterable[Document]) -> None:
    """Enter rows that are not written yet."""
    await enter(
        sums,
        [
            UpdateOne({"_id": key}, {"$set": dict.fromkeys(_entries(rows), True), "$inc": {"changes": 1}}, upsert=True)
            for key, rows in _by_key(docs)
        ],
    )


async def withdraw(sums: Collection, docs: Iterable[Document]) -> None:
    """Take entries back: their rows were not written."""
    await enter(sums, [UpdateOne({"_id": key}, {"$unset": _unset(rows)}) for key, rows in _by_key(docs)])


async def turn(sums: Collection, docs: Sequence[Document]) -> None:
    """Add rows to their sums, each that is entered still."""
    together = [_turned(key, rows) for key, rows in _by_key(docs)]
    if together and (await sums.bulk_write(together, ordered=False)).matched_count < len(together):
        # Another process has turned one: of those that belong together none was turned, so each is tried alone.
        await sums.bulk_write([_turned(key_of(doc), [doc]) for doc in docs], ordered=False)


async def grouped(
    collection: Collection, match: Document, paths: Sequence[str], figures: Mapping[str, Any]
) -> list[Sum]:
    """Sums by these paths, none first; without a path always one."""
    key = {str(number): f"${path}" for number, path in enumerate(paths)} if paths else None
    groups = await aggregated(collection, [{"$match": match}, {"$group": {"_id": key, **figures}}])
    sums = [_sum(each, len(paths)) for each in groups if each["requests"]]
    if not paths:
        return sums or [Sum()]
    return sorted(sums, key=lambda each: [(part is not None, part or "") for part in each.key])


def key_of(doc: Document) -> Document:
    """The sum that a row belongs to."""
    return {part: doc[name] for part, name in _OF_ROW.items()}


def without_key(of: Sum) -> Sum:
    return Sum(**{name: getattr(of, name) for name in FIGURES})


# The figures that are added up: of the sums themselves, and of rows.
_OF_SUMS = {name: {"$sum": f"${name}"} for name in FIGURES}
OF_ROWS: dict[str, Any] = {
    "requests": {"$sum": 1},
    **{name: {"$sum": f"$usage.{name}"} for name in TOKENS},
    "cost_micro_usd": {"$sum": "$cost_micro_usd"},
}


def _measured(of: Sum, measure: SumMeasure) -> int:
    if measure is SumMeasure.TOKENS:
        return of.input + of.output
    return of.requests if measure is SumMeasure.REQUESTS else of.cost_micro_usd


def _chosen(days: Days) -> Document:
    named = {"person": days.person_id, "group": days.group, "token": days.token_id, "model": days.model}
    named["status"] = None if days.status is None else days.status.value
    chosen: Document = {f"_id.{part}": value for part, value in named.items() if value is not None}
    bounds = {word: day for word, day in (("$gte", days.first), ("$lte", days.last)) if day is not None}
    return chosen | ({"_id.day": bounds} if bounds else {})


def _sum(group: Document, parts: int) -> Sum:
    key = tuple(group["_id"].get(str(number)) for number in range(parts))
    return Sum(key=key, **{name: group[name] for name in FIGURES})


def _by_key(docs: Iterable[Document]) -> list[tuple[Document, list[Document]]]:
    found: dict[Key, list[Document]] = {}
    for doc in docs:
        found.setdefault(tuple(key_of(doc).values()), []).append(doc)
    return [(key_of(rows[0]), rows) for rows in found.values()]


def _entries(docs: Iterable[Document]) -> list[str]:
    return [f"due.{doc['due']}" for doc in docs]


def _unset(docs: Iterable[Document]) -> dict[str, str]:
    return dict.fromkeys(_entries(docs), "")


def _turned(key: Document, docs: Sequence[Document]) -> UpdateOne:
    figures = {name: sum(doc["usage"][name] for doc in docs) for name in TOKENS}
    figures |= {"requests": len(docs), "cost_micro_usd": sum(doc["cost_micro_usd"] for doc in docs), "changes": 1}
    return UpdateOne(
        {"_id": key, **dict.fromkeys(_entries(docs), True)},
        {"$inc": figures, "$unset": _unset(docs)},
    )


async def _differences(db: Database, first: str, last: str) -> tuple[int, list[UpdateOne]]:
    """How many rows these days have, and what to change in sums that differ from them.

    Rows that are entered in a sum are left out: they will be turned, in their own time.
    """
    between = {"$gte": first, "$lte": last}
    sums = {tuple(each["_id"].values()): each for each in await db.sums.find({"_id.day": between}).to_list(None)}
    entered = [nonce for each in sums.values() for nonce in each.get("due", {})]
    match = {"day": between, "due": {"$nin": entered}}
    key = {part: f"${name}" for part, name in _OF_ROW.items()}
    groups = await aggregated(db.usage, [{"$match": match}, {"$group": {"_id": key, **OF_ROWS}}])
    rows = {tuple(each["_id"].get(part) for part in _OF_ROW): each for each in groups}
    changes = [_replacement(each, sums.get(each, {}), rows.get(each, {})) for each in sums.keys() | rows.keys()]
    return sum(each["requests"] for each in groups), [change for change in changes if change is not None]


def _replacement(key: Key, known: Document, right: Document) -> UpdateOne | None:
    figures = {name: right.get(name, 0) for name in FIGURES}
    if all(known.get(name, 0) == figures[name] for name in FIGURES):
        return None
    unchanged = {"_id": dict(zip(_OF_ROW, key, strict=True)), "changes": known.get("changes", {"$exists": False})}
    return UpdateOne(unchanged, {"$set": figures, "$inc": {"changes": 1}}, upsert=not known)


async def _replace(sums: Collection, changes: Sequence[UpdateOne]) -> bool:
    """False if some of the sums had changed meanwhile."""
    if not changes:
        return True
    try:
        done = await sums.bulk_write(changes, ordered=False)
    except BulkWriteError as error:
        if not only_duplicates(error):
            raise
        return False
    return done.matched_count + done.upserted_count == len(changes)
