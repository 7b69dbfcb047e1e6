"""The verbs of a store about what was used: the ledger itself, reports on it, and the operator's records.

The rules at the top of `base` hold here, too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol

from server.ledger.quota import Escrowed, Exceeded, Letter, Reservation, Reserved, Settlement
from server.ledger.reports import By, Cursor, Days, Ranking, Sum, SumMeasure, Which
from server.ledger.usage import UsageRow
from server.store.acts import Act
from server.store.records import Audit, Content, Record, Totals


class LedgerVerbs(Protocol):
    """Reserve and settle. `server/ledger/quota.py` tells the theory."""

    async def reserve(self, reservation: Reservation) -> Reserved | Exceeded:
        """Hold everything or nothing. Repeated for the same request it adds the counters that it does not hold yet.

        On `Exceeded` nothing of this call is held; what an earlier call held stays until it is released or settled.
        """

    async def release(self, request_id: str) -> bool:
        """Give back what a request holds, because it was never dispatched. False if it held nothing."""

    def settle(self, settlement: Settlement) -> Awaitable[bool]:
        """Write a request's row, give back its holds, take its charges and add it to the sums of its day.

        The first of an id wins: True if it was this one, False if it was there already (nothing has changed then). The
        settlement is on its way when this returns: a caller that does not wait for it loses the answer, not the
        settlement.
        """

    def write(self, letters: Sequence[Letter]) -> Awaitable[list[bool | Exception]]:
        """Settle, release and trim, all together and as one piece of work. The answers follow the order of the letters.

        True if it changed something, False if it had been done before, or else why this one cannot be written, which
        spoils no other. An outage is raised. Like `settle` it is on its way when this returns.
        """

    async def escrowed(self, counters: Sequence[str]) -> list[Escrowed]:
        """The state of each counter, and the escrows that are taken of it."""

    async def call_back(self, counter: str) -> None:
        """Ask all who have taken of a counter in advance to give it back: `Escrowed.calls` grows by one."""

    async def release_holder(self, holder: str) -> int:
        """Give back all that a process held which has died; returns how many requests held something."""

    async def release_expired(self, now: int) -> int:
        """Give back what reservations held that expired before `now`; returns how many."""

    async def taken(self, counters: Sequence[str]) -> list[int]:
        """The used and held amount of each counter; 0 for one that was never used.

        Escrows are left out: most of them is never used.
        """

    async def settled(self, counters: Sequence[str]) -> list[int]:
        """The used amount of each counter, without what requests and gateways hold of it; 0 if it was never used."""

    async def reserved(self) -> int:
        """How many requests hold something in the store at the moment; escrows are none."""

    async def forget_counters(self, before: str) -> int:
        """Forget counters whose window ended: those whose name ends in a day, week or month before the day `before`
        ("2026-11-21"); returns how many. Counters of a term or of all time stay."""


class ReportVerbs(Protocol):
    """Rows and sums. `usage_*` read the rows themselves, `sums*` the sums by day that every settlement adds to."""

    async def usage(self, request_id: str) -> UsageRow | None: ...

    async def usage_rows(self, since: int, limit: int) -> list[UsageRow]:
        """At most `limit` rows that started at `since` or later, the newest first."""

    async def usage_after(self, which: Which, cursor: Cursor | None, limit: int) -> list[UsageRow]:
        """The next `limit` rows behind a cursor, the oldest first: for exports of any length with flat memory."""

    async def usage_before(self, which: Which, cursor: Cursor | None, limit: int) -> list[UsageRow]:
        """The next `limit` rows, the newest first: for a page that a person reads."""

    async def usage_ranked(self, which: Which, ranking: Ranking, behind: Cursor | None, limit: int) -> list[UsageRow]:
        """The next `limit` rows by a figure; a cursor is the figure and the id of the last one.

        All rows of `which` are read for that: their time is for the caller to bound (`usage_place`).
        """

    async def usage_place(self, which: Which, place: int) -> int | None:
        """When the row at this place arrived, UTC milliseconds; 0 is the newest. None if there are fewer."""

    async def usage_sums(self, which: Which, by: Sequence[By]) -> list[Sum]:
        """Sums over the rows, exact to the millisecond; by key, `None` first. Without `by` always one sum."""

    async def sums(self, days: Days, by: Sequence[By]) -> list[Sum]:
        """The same from the sums by day."""

    async def billed(self, after: int, before: int) -> list[Sum]:
        """Sums over the rows that keys of the pool served, as a provider bills them; `after` is included, UTC ms.

        By UTC day, upstream, key and served model, in this order in `key` and sorted by it.
        """

    async def leaders(self, days: Days, measure: SumMeasure, limit: int) -> list[tuple[str, Sum]]:
        """The people who used the most, most first: their ids and sums (with an empty key)."""

    async def totals(self, since: int) -> Totals:
        """Sums of the rows that started at `since` or later."""

    async def resum(self, first: str, last: str) -> int:
        """Compute the sums of these days anew from the rows; returns how many rows that were.

        Days whose rows have been purged must not be asked for: their sums are all that is left.
        """

    async def reprice(self, prices: Sequence[tuple[str, int, str | None]]) -> int:
        """Set cost (micro-USD) and price id of rows by request id; returns how many changed. Sums follow by `resum`."""

    async def purge_usage(self, before: int, limit: int) -> int:
        """Delete at most `limit` rows that started before; their sums by day stay. Returns how many."""


class RecordVerbs(Protocol):
    """The operator's decisions at run time, the audit log, and the contents that people know to be kept."""

    async def change(self, entry: Audit, acts: Sequence[Act]) -> None:
        """Make a change and note it: all acts and the entry, or none of them. An entry that is there stays as it is.

        Raises `NameTaken`, `KeyTaken` and `Outdated` for what an act needs; then nothing is changed and nothing noted.
        After a `StoreError` it is so on the embedded store, too, unless the answer alone was lost. MongoDB writes one
        document at a time: there the entry is written first, and says `pending` until the last act is done. Nothing is
        changed that is not noted, and no entry says `done` of what did not happen (`mongo/changes.py`).
        """

    async def put_record(self, record: Record) -> None:
        """Write a record; one of the same kind and id is replaced."""

    async def swap_record(self, before: Record | None, after: Record | None) -> bool:
        """Write a record in place of `before`, which None says is not there; `after` None removes it.

        False if it is not, or not any more, as `before` says. One of the two is a record.
        """

    async def remove_record(self, kind: str, record_id: str) -> bool:
        """False if there is none."""

    async def record(self, kind: str, record_id: str) -> Record | None: ...

    async def records(self, kind: str) -> list[Record]:
        """All records of a kind, by id."""

    async def book_version(self) -> int:
        """A number that grows with every change of a record; cheap enough to be asked every second."""

    async def append_audit(self, entry: Audit) -> None:
        """Note a change. An id that is there already changes nothing."""

    async def rewrite_audit(self, entry: Audit) -> None:
        """Write what an entry says of before and after anew: only to erase a person's names."""

    async def audit(self, entry_id: str) -> Audit | None: ...

    async def audits(self, cursor: Cursor | None, limit: int) -> list[Audit]:
        """The next `limit` entries, the newest first; the cursor is time and id of the last one seen."""

    async def audits_about(self, target: str, action: str, limit: int) -> list[Audit]:
        """The latest entries of one action about one thing, the newest first."""

    async def keep_content(self, content: Content) -> None: ...

    async def contents(self, person_id: str) -> list[Content]:
        """The contents that are kept of a person, the oldest first."""

    async def forget_contents(self, person_id: str) -> int:
        """Delete the contents that are kept of a person; returns how many."""
