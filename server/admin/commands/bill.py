"""The bill: what providers say was used, against the ledger. It reads, and changes nothing.

Page, JSON API and command line give the files and which key of the bill is which one of ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from server.config.specs import UpstreamSpec
from server.ledger.provider_report import ReportError, ReportLine, read_report
from server.ledger.reconcile import PROVIDERS, Comparison, Drift, compare, unknown_keys
from server.ledger.reports import Which
from server.policy.commands import CommandError
from server.store.base import Store
from web.wording import Wording

LONGEST = 366  # days
A_DAY = 86_400_000  # milliseconds


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The result: all lines, and sentences about what could not be compared."""

    lines: tuple[Drift, ...]
    notes: tuple[str, ...]

    @property
    def drifting(self) -> tuple[Drift, ...]:
        """The lines that are further off than is tolerated."""
        return tuple(each for each in self.lines if not each.within)


def key_pairs(texts: Sequence[str]) -> dict[str, str]:
    """Pairs such as "key_OYR=1a2b3c4d": the bill's name of a key, and our fingerprint. Raises CommandError."""
    pairs = {}
    for text in texts:
        theirs, sign, ours = (part.strip() for part in text.rpartition("="))
        if not (theirs and sign and ours):
            raise CommandError(
                Wording("expected the bill's name of a key, =, and the fingerprint of ours (`key list`)")
            )
        pairs[theirs] = ours
    return pairs


def tolerated(text: str) -> Decimal:
    """Percent, such as "2" or "0.5". Raises CommandError."""
    try:
        found = Decimal(text.strip())
    except ArithmeticError:
        raise CommandError(Wording("tolerance: expected percent such as 2 or 0.5")) from None
    if not (found.is_finite() and 0 <= found <= 100):
        raise CommandError(Wording("tolerance: expected percent from 0 to 100"))
    return found


async def reconcile(
    store: Store,
    specs: Sequence[UpstreamSpec],
    files: Sequence[tuple[str, bytes]],
    keys: Mapping[str, str],
    percent: Decimal,
) -> Reconciliation:
    """Compare the ledger with the files of a bill. `specs`: all upstreams. Raises CommandError and StoreError."""
    lines, notes = await asyncio.to_thread(_read, files)  # a large one takes seconds
    if not lines:
        raise CommandError(Wording("the bill has no line"))
    first, last = min(line.day for line in lines), max(line.day for line in lines)
    if (date.fromisoformat(last) - date.fromisoformat(first)).days >= LONGEST:
        raise CommandError(Wording("the bill spans more than %(longest)s days", longest=LONGEST))
    after, before = _ms(first), _ms(last) + A_DAY
    billed = await store.billed(after, before)
    providers = {spec.name: spec.row.name for spec in specs if spec.row.name in PROVIDERS}
    known = {spec.name for spec in specs}
    gone = sorted({each.key[1] or "" for each in billed} - known)
    notes += [
        Wording("The upstream %(name)s is not known any more: what it served is left out.", name=name) for name in gone
    ]
    if keys and (unknown := unknown_keys(lines, keys)):
        notes.append(Wording("Compared together, as other keys: %(names)s.", names=", ".join(unknown)))
    elif unknown := unknown_keys(lines, {}):
        notes.append(
            Wording(
                "All keys are compared together. The bill names %(names)s: say which of ours each is.",
                names=", ".join(unknown),
            )
        )
    oldest = await store.usage_after(Which(), None, 1)
    if oldest and oldest[0].started_at >= after + A_DAY:
        day = _day(oldest[0].started_at)
        notes.append(Wording("The oldest request that is kept here is of %(day)s; before, ours is 0.", day=day))
    drifts = await asyncio.to_thread(compare, lines, billed, Comparison(providers, keys, percent))
    return Reconciliation(tuple(drifts), tuple(notes))


def _read(files: Sequence[tuple[str, bytes]]) -> tuple[list[ReportLine], list[str]]:
    lines: list[ReportLine] = []
    more: list[str] = []
    for name, content in files:
        try:
            report = read_report(name, content)
        except ReportError as error:
            raise CommandError(str(error)) from None
        lines += report.lines
        more += [name] if report.more else []
    return lines, [
        Wording("%(name)s says that there are further pages (has_more): give them all.", name=name) for name in more
    ]


def _ms(day: str) -> int:
    return round(datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC).timestamp() * 1000)


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).date().isoformat()
