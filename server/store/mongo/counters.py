"""Counters in MongoDB, and how an amount gets into one exactly once.

No document knows about another one here, and every change is a conditional update of one. So an amount is not added at
once. It is *entered* in the document first, then the entry is *turned* into the amount: one update that removes the
entry and adds what it says, if the entry is there. Turning can be repeated, raced and abandoned: the one who comes
second finds no entry.

    {_id: counter, taken: 12, held: {request: 5}, due: {nonce: 7}}

`taken` counts what is held, so that admitting is one comparison. An entry in `held` is a reservation's: turned, it
gives back. An entry in `due` is a settlement's: turned, it takes. A nonce is used by one attempt to settle and by no
other, so that none takes for its own what another one entered.
"""

from __future__ import annotations

from collections.abc import Collection as Several
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from server.ledger.quota import Hold
from server.store.mongo.connect import Collection, Document

DUPLICATE_KEY = 11000


def field(request_id: str) -> str:
    """A request's id as a field's name: dots, dollars and zeros would mean something there."""
    return quote(request_id, safe="").replace(".", "%2E")


async def turn(counters: Collection, names: Several[str], held: Several[str], due: Several[str] = ()) -> set[str]:
    """Give back what these requests (as fields) hold of these counters and take what is due; who held something."""
    holders: set[str] = set()
    while True:
        entered = await _entered(counters, names, held, due)
        holders.update(*(each.get("held", {}) for each in entered))
        changes = [_turned(each) for each in entered if each.get("held") or each.get("due")]
        # Where somebody else has turned one of the entries meanwhile, nothing was changed, and we look again.
        if not changes or (await counters.bulk_write(changes, ordered=False)).matched_count == len(changes):
            return holders


async def hold(counters: Collection, wanted: Sequence[Hold], held: str) -> None:
    """Enter holds, in this order, up to the first that is not admitted or is entered already."""
    changes = [
        UpdateOne(
            {"_id": each.counter, "taken": {"$lte": each.limit - each.amount}, f"held.{held}": {"$exists": False}},
            {"$inc": {"taken": each.amount}, "$set": {f"held.{held}": each.amount}},
            upsert=True,
        )
        for each in wanted
    ]
    try:
        await counters.bulk_write(changes, ordered=True)
    except BulkWriteError as error:
        # A counter that is there, but not as we asked for, cannot be made a second time.
        if not only_duplicates(error):
            raise


async def look(counters: Collection, names: Sequence[str], held: str) -> dict[str, Document]:
    """The counters by name, with what a request (as a field) holds of them."""
    found = await _entered(counters, names, (held,), ())
    return {name: {"taken": 0} for name in names} | {each["_id"]: each for each in found}


async def taken(counters: Collection, names: Sequence[str]) -> list[int]:
    found = {each["_id"]: each["taken"] async for each in counters.find({"_id": {"$in": list(names)}}, {"taken": True})}
    return [found.get(name, 0) for name in names]


async def announce(counters: Collection, docs: Iterable[Document]) -> None:
    """Enter what these rows, not written yet, will take."""
    entries = _by_counter(docs)
    await enter(
        counters,
        [
            UpdateOne({"_id": name}, {"$set": due, "$setOnInsert": {"taken": 0}}, upsert=True)
            for name, due in entries.items()
        ],
    )


async def withdraw(counters: Collection, docs: Iterable[Document]) -> None:
    """Take entries back: their rows were not written."""
    await enter(counters, [UpdateOne({"_id": name}, {"$unset": due}) for name, due in _by_counter(docs).items()])


async def enter(collection: Collection, changes: Sequence[UpdateOne]) -> None:
    """Write changes that may be repeated. Of two that make one document at once, one fails, and is repeated once."""
    if not changes:
        return
    try:
        await collection.bulk_write(changes, ordered=False)
    except BulkWriteError as error:
        if not only_duplicates(error):
            raise
        await collection.bulk_write(changes, ordered=False)


def only_duplicates(error: BulkWriteError) -> bool:
    """Whether nothing else went wrong than that documents were there already."""
    codes = {each["code"] for each in error.details["writeErrors"]}
    return codes == {DUPLICATE_KEY} and not error.details.get("writeConcernErrors")


def _by_counter(docs: Iterable[Document]) -> dict[str, dict[str, int]]:
    entries: dict[str, dict[str, int]] = {}
    for doc in docs:
        for counter, amount in doc["charges"]:
            entries.setdefault(counter, {})[f"due.{doc['due']}"] = amount
    return entries


async def _entered(counters: Collection, names: Several[str], held: Several[str], due: Several[str]) -> list[Document]:
    """The counters with those of their entries that are asked for."""
    asked = ["taken", *(f"held.{each}" for each in held), *(f"due.{each}" for each in due)]
    return await counters.find({"_id": {"$in": list(names)}}, dict.fromkeys(asked, True)).to_list(None)


def _turned(counter: Document) -> UpdateOne:
    held, due = counter.get("held", {}), counter.get("due", {})
    entries = {f"held.{name}": amount for name, amount in held.items()}
    entries |= {f"due.{name}": amount for name, amount in due.items()}
    change: dict[str, Any] = {
        "$inc": {"taken": sum(due.values()) - sum(held.values())},
        "$unset": dict.fromkeys(entries, ""),
    }
    return UpdateOne({"_id": counter["_id"], **entries}, change)
