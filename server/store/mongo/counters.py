"""Counters in MongoDB, and how an amount gets into one exactly once.

No document knows about another one here, and every change is a conditional update of one. So an amount is not added at
once. It is *entered* in the document first, then the entry is *turned* into the amount: one update that removes the
entry and adds what it says, if the entry is there. Turning can be repeated, raced and abandoned: the one who comes
second finds no entry.

    {_id: counter, taken: 112, held: {request: 5}, due: {nonce: 7}, escrow: {escrow: 100}, calls: 1}

`taken` counts what is held, so that admitting is one comparison. An entry in `held` is a reservation's: turned, it
gives back. So does one in `escrow`, which is what a gateway took in advance. An entry in `due` is a settlement's:
turned, it takes, and the escrow that the request drew on shrinks in the same update. A nonce is used by one attempt to
settle and by no other, so that none takes for its own what another one entered.
"""

from __future__ import annotations

from collections.abc import Collection as Several
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from server.ledger.quota import ESCROW, Escrowed, Hold, escrowed_of
from server.store.mongo.connect import Collection, Document

DUPLICATE_KEY = 11000


# By counter and nonce: of which escrow (as a path) how much of what is due was drawn.
Draws = Mapping[tuple[str, str], tuple[str, int]]
NO_DRAWS: Draws = {}


def field(request_id: str) -> str:
    """A request's id as a field's name: dots, dollars and zeros would mean something there."""
    return quote(request_id, safe="").replace(".", "%2E")


def path(holder: str) -> str:
    """Where a request or an escrow stands in a counter."""
    return f"{'escrow' if holder.startswith(ESCROW) else 'held'}.{field(holder)}"


def standing(counter: Document, place: str) -> int | None:
    """The amount that a holder, by its path, holds of a counter."""
    group, _, name = place.partition(".")
    amount: int | None = counter.get(group, {}).get(name)
    return amount


async def turn(
    counters: Collection, names: Several[str], held: Several[str], due: Several[str] = (), draws: Draws = NO_DRAWS
) -> set[str]:
    """Give back the holds of these holders (as paths) and take the amounts due; returns the holders that had any."""
    holders: set[str] = set()
    while True:
        entered = await _entered(counters, names, held, due)
        holders.update(place for place in held if any(standing(each, place) is not None for each in entered))
        changes = [change for each in entered if (change := _turned(each, held, draws)) is not None]
        # If another process has turned one of the entries meanwhile, nothing was changed, and we look again.
        if not changes or (await counters.bulk_write(changes, ordered=False)).matched_count == len(changes):
            return holders


async def hold(counters: Collection, wanted: Sequence[Hold], place: str) -> None:
    """Enter holds, in this order, up to the first that is not admitted or is entered already."""
    changes = [
        UpdateOne(
            {"_id": each.counter, "taken": {"$lte": each.limit - each.amount}, place: {"$exists": False}},
            {"$inc": {"taken": each.amount}, "$set": {place: each.amount}},
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


async def look(counters: Collection, names: Sequence[str], *held: str) -> dict[str, Document]:
    """The counters by name, with what these holders (as paths) hold of them."""
    found = await _entered(counters, names, held, ())
    return {name: {"taken": 0} for name in names} | {each["_id"]: each for each in found}


async def trim(counters: Collection, names: Sequence[str], place: str, amount: int) -> bool:
    """Leave at most so much in an escrow (as a path); False if it has no more."""
    trimmed = False
    while True:
        found = await _entered(counters, names, (place,), ())
        over = [(each["_id"], held) for each in found if (held := standing(each, place) or 0) > amount]
        changes = [
            UpdateOne({"_id": name, place: held}, {"$set": {place: amount}, "$inc": {"taken": amount - held}})
            for name, held in over
        ]
        trimmed |= bool(changes)
        if not changes or (await counters.bulk_write(changes, ordered=False)).matched_count == len(changes):
            return trimmed


def escrowed(counter: Document) -> Escrowed:
    """The state of a counter, and the escrows that are taken of it."""
    escrows = {unquote(name): amount for name, amount in counter.get("escrow", {}).items()}
    return escrowed_of(counter["_id"], counter["taken"], counter.get("calls", 0), escrows)


def settled(counter: Document) -> int:
    """What was used of it: what is taken, without what requests and gateways hold."""
    holding = (*counter.get("held", {}).values(), *counter.get("escrow", {}).values())
    used: int = counter["taken"] - sum(holding)
    return used


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
        for counter, amount, *_ in doc["charges"]:
            entries.setdefault(counter, {})[f"due.{doc['due']}"] = amount
    return entries


async def _entered(counters: Collection, names: Several[str], held: Several[str], due: Several[str]) -> list[Document]:
    """The counters with those of their entries that are asked for, and with all escrows: there are few."""
    asked = ["taken", "calls", "escrow", *(each for each in held if not each.startswith("escrow."))]
    asked += [f"due.{each}" for each in due]
    return await counters.find({"_id": {"$in": list(names)}}, dict.fromkeys(asked, True)).to_list(None)


def _turned(counter: Document, held: Several[str], draws: Draws) -> UpdateOne | None:
    """One update: what is entered has to be there still, and each escrow that shrinks as it is now."""
    due: dict[str, int] = counter.get("due", {})
    gone = {place: amount for place in held if (amount := standing(counter, place)) is not None}
    if not gone and not due:
        return None
    drawn: dict[str, int] = {}
    for place, amount in (draws[counter["_id"], nonce] for nonce in due if (counter["_id"], nonce) in draws):
        drawn[place] = drawn.get(place, 0) + amount
    # An escrow that was given back meanwhile pays for nothing.
    left = {place: amount for place in drawn if (amount := standing(counter, place)) and place not in gone}
    shrunk = {place: min(amount, drawn[place]) for place, amount in left.items()}
    entries = gone | {f"due.{name}": amount for name, amount in due.items()}
    growth = sum(due.values()) - sum(gone.values()) - sum(shrunk.values())
    change: dict[str, Any] = {
        "$inc": {"taken": growth, **{place: -amount for place, amount in shrunk.items()}},
        "$unset": dict.fromkeys(entries, ""),
    }
    return UpdateOne({"_id": counter["_id"], **entries, **left}, change)
