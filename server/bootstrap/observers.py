"""The listeners to every request that has ended, as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from server.ledger.usage import UsageRow

Observe = Callable[[UsageRow], None]


class Observer(Protocol):
    """A listener to every request that has ended."""

    def observe(self, row: UsageRow) -> None: ...


def observers(of_money: Iterable[Observer | None], of_requests: Iterable[Observer | None]) -> Observe:
    """All of these that there are, as one. An attempt that failed costs money, and is no request."""
    attempts = tuple(each.observe for each in of_money if each is not None)
    requests = attempts + tuple(each.observe for each in of_requests if each is not None)

    def observe(row: UsageRow) -> None:
        for each in attempts if row.is_attempt else requests:
            each(row)

    return observe
