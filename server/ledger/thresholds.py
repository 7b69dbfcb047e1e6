"""Thresholds of budgets: which one is reached, for those who want to know before the budget is used up.

It is a question about a state and not about a step: how much is used now, of how much. So it does not matter in which
order settlements come, which gateway writes them, or which of them dies in between: the last look sees it. Of
several thresholds that are reached only the highest counts, and none of a budget of nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from server.ledger.holds import BudgetStanding

NONE = "none"
_PERCENT = re.compile("[1-9][0-9]?|100")


def reached(standing: BudgetStanding, thresholds: Iterable[int]) -> int | None:
    """The highest of these thresholds (percent) that what is used has reached; None if it is none."""
    most = standing.entry.most
    found = [each for each in thresholds if most > 0 and 100 * standing.taken >= each * most]
    return max(found, default=None)


def parse_thresholds(text: str) -> Sequence[int]:
    """Whole percents from "50,80,95,100", in rising order; "none" is none. `ValueError` if it is neither."""
    if text.strip().lower() == NONE:
        return ()
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words or not all(map(_PERCENT.fullmatch, words)):
        raise ValueError("expected whole percents from 1 to 100, such as 50,80,95,100, or none")
    return tuple(sorted({int(word) for word in words}))
