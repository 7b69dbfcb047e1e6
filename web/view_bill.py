"""The data of `/admin/bill`: our ledger beside a provider's bill."""

from __future__ import annotations

from dataclasses import dataclass

from web.view import Frame

Pair = tuple[int, int]  # ours, theirs


@dataclass(frozen=True, slots=True)
class BillRow:
    """A line of the comparison. Money is micro-USD; None: the bill says nothing of it; "" of model or key: all."""

    provider: str
    day: str
    model: str
    key: str
    input: Pair | None
    output: Pair | None
    cost: Pair | None
    within: bool


@dataclass(frozen=True, slots=True)
class BillView:
    """`/admin/bill`. `counts`: how many lines were compared, and how many drift; None before anything was sent."""

    frame: Frame
    rows: tuple[BillRow, ...] = ()
    notes: tuple[str, ...] = ()
    counts: Pair | None = None
    left_out: int = 0
