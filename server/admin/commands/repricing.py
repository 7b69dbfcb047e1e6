"""The commands with which an administrator reprices past requests at a running gateway: a preview, and then the work.

The core is that of `usage reprice` (`server/admin/repricing.py`), with the prices that this gateway uses. No browser
waits for hours: beyond `MOST_ROWS` it is the command line's work.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.accounting.runtime_config import RuntimeConfig
from server.admin.changes import Changes
from server.admin.long_work import Job, Span
from server.admin.repricing import Prices, RepricedTally, Repricing, by_model, reprice
from server.ledger.calendar import Calendar
from server.policy.commands import CommandError
from server.store.base import Store
from web.wording import Wording

MOST_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class RepriceCommands:
    """The verbs; `actor` is the id of the caller. All raise CommandError and StoreError."""

    store: Store
    changes: Changes
    book: RuntimeConfig
    calendar: Calendar
    actor: str

    async def preview(self, first: str, last: str, pattern: str = "*") -> dict[str, RepricedTally]:
        """What it would come to, of each model. Nothing is written."""
        wanted = await self._wanted(first, last, pattern)
        return await by_model(self._job, self._prices, wanted)

    async def reprice(self, first: str, last: str, pattern: str = "*") -> dict[str, RepricedTally]:
        """Do it; what it came to, of each model. It is noted before and after."""
        wanted = await self._wanted(first, last, pattern)
        found = await by_model(self._job, self._prices, wanted)
        await reprice(self._job, self._prices, wanted)
        return found

    async def _wanted(self, first: str, last: str, pattern: str) -> Repricing:
        wanted = Repricing(Span.of(self.calendar, first, last), pattern)
        if await self._job.count(wanted.which) > MOST_ROWS:
            raise CommandError(
                Wording("these are more than %(most)s requests: `usage reprice` takes them in a shell", most=MOST_ROWS)
            )
        return wanted

    @property
    def _job(self) -> Job:
        return Job(self.store, self.changes, self.actor, lambda done, total: None)

    @property
    def _prices(self) -> Prices:
        book = self.book
        return Prices(book.prices.of, book.prices_digest(), book.tariff, book.tariffs)
