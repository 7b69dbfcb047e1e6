"""The store: `base` says what is promised, the others keep it."""

from __future__ import annotations

from server.store.base import Store
from server.store.sqlite import SqliteStore


def store_for(url: str) -> Store:
    """The store that a STORE_URL names, not yet open. `ValueError` if it names none."""
    return SqliteStore(url)
