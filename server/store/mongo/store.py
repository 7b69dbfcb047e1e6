"""The store in MongoDB: for several gateways, or where a database is kept anyway.

Nothing here needs more than conditional updates of single documents: no transaction, no change stream, no expression in
a query. Changes of several documents that belong together are made safe by the order of the steps (`settle`,
`ledger`). Each group of verbs is a module beside this one: `people`, `keys`, `ledger`, `usage` (rows), `sums`
(reports), `book`, `changes` (with their notes), `history`, `refused`, `deliveries` and `cluster`; `connect` alone knows
the driver.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from server.store.mongo.book import index_book
from server.store.mongo.changes import MongoChanges
from server.store.mongo.cluster import MongoCluster
from server.store.mongo.connect import Database, border, together, upsert, verb
from server.store.mongo.deliveries import index_deliveries
from server.store.mongo.history import MongoHistory, index_history
from server.store.mongo.keys import index_keys
from server.store.mongo.ledger import index_ledger
from server.store.mongo.people import index_people
from server.store.mongo.refused import MongoRefused, index_refused
from server.store.mongo.settle import Settler, finish_all
from server.store.mongo.sums import MongoSums, index_sums
from server.store.mongo.usage import MongoUsage, index_usage

_INDICES = (
    index_people,
    index_keys,
    index_ledger,
    index_usage,
    index_sums,
    index_book,
    index_history,
    index_refused,
    index_deliveries,
)


class MongoStore(MongoChanges, MongoUsage, MongoSums, MongoHistory, MongoRefused, MongoCluster):
    """The `Store` in a MongoDB. `url` is `mongodb://...` or `mongodb+srv://...`, `driver` "motor" or "pymongo".

    `ValueError` if it is neither.
    """

    def __init__(self, url: str, driver: str = "motor") -> None:
        super().__init__(url, driver)

    @verb
    async def ping(self) -> None:
        """Settlements that were accepted before are written, too, when this returns."""
        if self._settler is not None:
            await self._settler.caught_up()
        await upsert(self._db.pulse, {"_id": "pulse"}, {"$inc": {"beats": 1}})

    async def scrub(self) -> bool:
        """Its files are the database server's."""
        return True

    async def open(self) -> None:
        """Connect, make the indices that are missing, and finish what a process that died had begun to settle."""
        try:
            with border():
                await self._connect()
                await _prepare(self._db)
        except BaseException:
            await self.close()
            raise
        self._settler = Settler(self._db)

    async def close(self) -> None:
        """Finish what was accepted, then let the connections go."""
        settler, self._settler = self._settler, None
        await self._queue.finished()
        if settler is not None:
            await settler.caught_up()
        await self._disconnect()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def _prepare(db: Database) -> None:
    await together(*(index(db) for index in _INDICES))
    await finish_all(db)
