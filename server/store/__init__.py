"""The store: `base` says what is promised, the others keep it."""

from __future__ import annotations

from server.store.base import Store
from server.store.sqlite.store import SqliteStore


def store_for(url: str, driver: str = "motor") -> Store:
    """The store that a STORE_URL names, not yet open. `ValueError` if it names none.

    `driver` is what MongoDB is spoken to with: "motor" or "pymongo".
    """
    if url.startswith(("mongodb://", "mongodb+srv://")):
        # Not before it is wanted: the embedded store starts without MongoDB's packages.
        from server.store.mongo.store import MongoStore

        return MongoStore(url, driver)
    return SqliteStore(url)
