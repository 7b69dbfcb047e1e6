"""A change and its entry in the audit log, in MongoDB, which changes one document at a time.

The entry is written first, with the outcome `pending`; then the acts, one after the other; then the entry says `done`.
So nothing is changed that is not in the log. Should the database be away in between, the entry stays `pending`: it says
that the change was begun, and does not claim that it was made. A change whose first act is refused has done nothing,
and its entry goes; one that is refused later has done a part, and its entry says `failed`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from server.store.acts import Act, Outdated
from server.store.base import DONE, FAILED, PENDING, Audit, KeyTaken, NameTaken
from server.store.mongo.book import MongoRecords
from server.store.mongo.connect import verb
from server.store.mongo.deliveries import MongoDeliveries
from server.store.mongo.keys import MongoKeys
from server.store.mongo.ledger import MongoLedger
from server.store.mongo.people import MongoPeople


class MongoChanges(MongoPeople, MongoKeys, MongoRecords, MongoLedger, MongoDeliveries):
    """The verb `change`."""

    @verb
    async def change(self, entry: Audit, acts: Sequence[Act]) -> None:
        """To its end though the caller has left."""
        await self._queue.do(f"change {entry.id}", self._change(entry, acts))

    async def _change(self, entry: Audit, acts: Sequence[Act]) -> None:
        await self.append_audit(replace(entry, outcome=PENDING))
        for number, act in enumerate(acts):
            try:
                if await getattr(self, act.verb)(*act.arguments) is False and not act.may_fail:
                    raise Outdated
            except (KeyTaken, NameTaken, Outdated):
                await self._refused(entry, number)
                raise
        await self._db.audits.update_one({"_id": entry.id}, {"$set": {"outcome": DONE}})

    async def _refused(self, entry: Audit, done: int) -> None:
        if done:
            await self._db.audits.update_one({"_id": entry.id}, {"$set": {"outcome": FAILED}})
        else:
            await self._db.audits.delete_one({"_id": entry.id, "outcome": PENDING})
