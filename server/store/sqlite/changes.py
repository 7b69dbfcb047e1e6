"""A change and its entry in the audit log, in the embedded store: one job of the writer, and so both or neither.

The writer undoes a job that raises, with everything that it wrote (`worker.in_one_transaction`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from server.store.acts import VERBS, Act, Outdated
from server.store.base import Audit
from server.store.sqlite import book, deliveries, keys, people

_WRITES: dict[str, Callable[..., Any]] = {
    name: next(getattr(room, name) for room in (people, keys, book, deliveries) if hasattr(room, name))
    for name in VERBS
}


def change(db: sqlite3.Connection, entry: Audit, acts: Sequence[Act]) -> None:
    """Raises what a verb raises, and Outdated; then nothing is written."""
    for act in acts:
        if _WRITES[act.verb](db, *act.arguments) is False and not act.may_fail:
            raise Outdated
    book.append_audit(db, entry)
