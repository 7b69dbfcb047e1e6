"""Settlements that are written together: what they take and what their sums grow by, added up before it is written.

A thousand requests of one course touch one counter of money and a few sums of the day. Added up first, a store changes
each of these once for all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter

from server.ledger.quota import Settlement
from server.ledger.usage import UsageRow

SumKey = tuple[str, str, str, str, str, str]  # day or month, person, group, token, model, status; "" is none
_figures = attrgetter(
    *(f"usage.{name}" for name in ("input", "cached", "cache_write", "output", "reasoning")), "cost_micro_usd"
)


def firsts(settlements: Sequence[Settlement]) -> dict[str, int]:
    """Of each request the place of its first settlement: no other counts."""
    found: dict[str, int] = {}
    for place, each in enumerate(settlements):
        found.setdefault(each.row.request_id, place)
    return found


def charged(settlements: Iterable[Settlement]) -> dict[str, int]:
    """The amounts that these take of each counter."""
    taken: dict[str, int] = {}
    for each in settlements:
        for charge in each.charges:
            taken[charge.counter] = taken.get(charge.counter, 0) + charge.amount
    return taken


def drawn(settlements: Iterable[Settlement]) -> dict[str, int]:
    """By how much each escrow shrinks."""
    found: dict[str, int] = {}
    for each in settlements:
        for charge in each.charges:
            if charge.drawn:
                found[charge.escrow] = found.get(charge.escrow, 0) + charge.drawn
    return found


def summed(rows: Iterable[UsageRow]) -> dict[SumKey, list[int]]:
    """Sums by day: requests, input, cached, cache_write, output, reasoning, cost."""
    days: dict[SumKey, list[int]] = {}
    for row in rows:
        key = (row.day, row.person_id, row.group or "", row.token_id or "", row.model_asked, row.status.value)
        _add(days, key, (1, *_figures(row)))
    return days


def by_month(days: dict[SumKey, list[int]]) -> dict[SumKey, list[int]]:
    """The same by month."""
    months: dict[SumKey, list[int]] = {}
    for (day, *others), figures in days.items():
        _add(months, (day[:7], *others), figures)  # type: ignore[arg-type]
    return months


def _add(sums: dict[SumKey, list[int]], key: SumKey, figures: Sequence[int]) -> None:
    known = sums.get(key)
    if known is None:
        sums[key] = [*figures]
    else:
        for place, figure in enumerate(figures):
            known[place] += figure
