"""Long work beside repricing: rows go, sums are computed anew, journals of the dead are written.

What `long_work.py` says holds for all of it. Sums and journals need no bookmark: repeated, they change nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from server.accounting.journal import Journal
from server.admin.long_work import Bookmark, Job, Span, days_with_all_rows
from server.ledger.reports import Which


@dataclass(frozen=True, slots=True)
class Replayed:
    """`settlements` were found, so many of them `written`: the others were there. `damaged` lines were no use."""

    settlements: int
    written: int
    damaged: int


async def purge(job: Job, before: int, day: str) -> int:
    """Delete the rows that started before (UTC ms; the start of this day); returns how many. Their sums stay."""
    bookmark, which = Bookmark(job.store, "purge", day), Which(before=before)
    found = await bookmark.read()
    audit, purged = (job.changes.new_id(), 0) if found is None else (found["audit"], found["purged"])
    await bookmark.put({"audit": audit, "purged": purged})
    await job.changes.note(job.actor, "usage.purge.begin", day, None, None, audit)
    total = purged + await job.count(which)
    job.progress(purged, total)
    while purged < total:
        gone = await job.step(_purged(job, bookmark, before, audit, purged))
        if not gone:
            break
        purged += gone
        job.progress(purged, total)
        await job.rest()
    await job.changes.note(job.actor, "usage.purge", day, None, {"rows": purged}, f"{audit}.end")
    await bookmark.remove()
    return purged


async def _purged(job: Job, bookmark: Bookmark, before: int, audit: str, purged: int) -> int:
    gone = await job.store.purge_usage(before, job.pace.rows)
    await bookmark.put({"audit": audit, "purged": purged + gone})
    return gone


async def resum(job: Job, span: Span) -> int:
    """Compute the sums of these days anew from their rows; returns how many rows that were.

    Raises WorkError if rows of these days were purged.
    """
    days = await days_with_all_rows(job.store, span)
    await job.changes.note(job.actor, "usage.resum", str(span), None, None)
    rows = 0
    for done, day in enumerate(days, start=1):
        rows += await job.step(job.store.resum(day, day))
        job.progress(done, len(days))
        await job.rest()
    return rows


async def replay(job: Job, journal: Journal) -> Replayed:
    """Write what the dead have left in an open journal's folder, and give back what they held, as a gateway does.

    Their files go when the store has everything; before that nothing is forgotten. Raises JournalError, StoreError.
    """
    orphans, written = journal.orphans(), 0
    await job.changes.note(job.actor, "journal.replay", "journal", None, {"settlements": len(orphans)})
    for start in range(0, len(orphans), job.pace.rows):
        batch = orphans[start : start + job.pace.rows]
        written += sum(await asyncio.gather(*map(job.store.settle, batch)))
        job.progress(start + len(batch), len(orphans))
        await job.rest()
    for holder in journal.dead_holders():
        await job.store.release_holder(holder)
    journal.forget_orphans()
    return Replayed(len(orphans), written, journal.damaged)
