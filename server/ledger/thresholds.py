"""Thresholds of budgets: which one is reached, for those who want to know before the budget is used up.

It is a question about a state and not about a step: how much is used now, of how much. So it does not matter in which
order settlements come, which gateway writes them, or which of them dies in between: the last look sees it. Of
several thresholds that are reached only the highest counts, and none of a budget of nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from server.ledger.holds import BudgetStanding


def reached(standing: BudgetStanding, thresholds: Iterable[int]) -> int | None:
    """The highest of these thresholds (percent) that what is used has reached; None if it is none."""
    most = standing.entry.most
    found = [each for each in thresholds if most > 0 and 100 * standing.taken >= each * most]
    return max(found, default=None)


def parse_thresholds(text: str) -> Sequence[int]:
    """Whole percents from "50,80,95,100", in rising order. `ValueError` if they are none."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not all(word.isascii() and word.isdecimal() and len(word) <= 3 and 1 <= int(word) <= 100 for word in words):
        raise ValueError("expected whole percents from 1 to 100, such as 50,80,95,100")
    return tuple(sorted({int(word) for word in words}))
