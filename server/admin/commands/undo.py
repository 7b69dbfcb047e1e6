"""A removal is undone from its entry in the audit log: the group, limit, price or alias is there again as it was.

It is refused where another one has taken the place meanwhile. A join code does not come back: the log never had it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.admin.changes import Changes, Overtaken, purpose
from server.admin.records import ALIASES, GROUPS, LIMITS, PRICES, RecordKind, shown
from server.ledger.limits import Limit
from server.policy.commands import AlreadyThere, CommandError, NotThere
from server.store import acts
from server.store.base import DONE, Audit, Record
from web.wording import Wording

REMOVALS: Mapping[str, RecordKind[Any]] = {f"{each.kind}.remove": each for each in (GROUPS, LIMITS, PRICES, ALIASES)}


def is_undoable(entry: Audit) -> bool:
    """Whether it is a removal of which everything is known that is needed."""
    return entry.action in REMOVALS and entry.before is not None and entry.outcome == DONE


async def undo(changes: Changes, actor: str, entry_id: str) -> Record:
    """Put back what was removed. Raises NotThere, AlreadyThere, and CommandError for what cannot be undone."""
    entry = await changes.audit(entry_id)
    if entry is None:
        raise NotThere(Wording("there is no such entry in the log"), "`audit` shows them")
    if not is_undoable(entry):
        raise CommandError(Wording("only removals of groups, limits, prices and aliases can be undone"))
    kind = REMOVALS[entry.action]
    record = Record(kind.kind, entry.target, {**(entry.before or {}), **_without_code(entry)})
    await _insist_on_place(changes, kind, record)
    try:
        after = shown(record)
        await changes.change(actor, f"{kind.kind}.undo", record.id, None, after, acts.swap_record(None, record))
    except Overtaken:
        raise _taken(kind) from None
    return record


async def _insist_on_place(changes: Changes, kind: RecordKind[Any], record: Record) -> None:
    thing = kind.readable(record)
    if thing is None:
        raise CommandError(Wording("what was removed cannot be read, and would count for nothing"))
    if isinstance(thing, Limit):
        await changes.insist_on_subject(thing)
        if any(purpose(each) == purpose(thing) for each in await changes.limits()):
            raise _taken(kind)


def _taken(kind: RecordKind[Any]) -> AlreadyThere:
    return AlreadyThere(
        Wording("another %(kind)s has taken its place, or it is there again already", kind=Wording(kind.kind))
    )


def _without_code(entry: Audit) -> dict[str, str]:
    return {"join": ""} if "join" in (entry.before or {}) else {}
