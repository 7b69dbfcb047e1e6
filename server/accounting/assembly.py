"""The accounting, put together: journal, settlement writer, guarded store, runtime configuration and reservations."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from server.accounting.journal import Journal
from server.accounting.price_catalogue import Catalogue
from server.accounting.price_reload import PriceReload
from server.accounting.reservations import Reservations, ReservationTerms
from server.accounting.runtime_config import RuntimeConfig
from server.accounting.settlement_writer import SettlementWriter
from server.config.settings import Settings
from server.ledger.allowance import Allowances
from server.ledger.calendar import Calendar
from server.ledger.limits import Unit
from server.ledger.money import MOST
from server.ledger.prices import Price
from server.ledger.quota import Exceeded, Settlement
from server.ledger.tariff import Tariff
from server.store.base import Store, StoreError
from server.store.breaker import BreakerState, Guarded

log = logging.getLogger("fairgate")

LEASE_SECONDS = 5.0  # between two looks at what should be leased
AT_ONCE = 500  # settlements of the dead, written together
LAST_SECONDS = 5.0  # for the store to take what is left, at the end


@dataclass(slots=True)
class Accounting:
    """The parts, for those who need one of them."""

    calendar: Calendar
    guard: Guarded
    journal: Journal
    settlement_writer: SettlementWriter
    book: RuntimeConfig
    reservations: Reservations
    allowances: Allowances
    price_reload: PriceReload

    async def recover(self, store: Store) -> None:
        """Write what the dead have left, give back what they held, and read the operator's book.

        Raises StoreError; then nothing is forgotten. Nor is it if the store will not have one of them at all: that one
        is told at every start, and must not keep the gateway from starting.
        """
        orphans, refused = self.journal.orphans(), 0
        for start in range(0, len(orphans), AT_ONCE):
            refused += await _settled(store, orphans[start : start + AT_ONCE])
        for holder in self.journal.dead_holders():
            await store.release_holder(holder)
        if not refused:
            self.journal.forget_orphans()
        if orphans or self.journal.damaged:
            log.warning(
                "took over %d settlements of a gateway that died; %d lines were damaged",
                len(orphans),
                self.journal.damaged,
            )
        await self.book.sync()

    async def keep_leases(self) -> None:
        """Lease what an outage may need, while there is none, until cancelled."""
        while True:
            await asyncio.sleep(LEASE_SECONDS)
            if self.guard.state is not BreakerState.CLOSED:
                continue
            for lease in self.allowances.due(_wall()):
                try:
                    answer = await self.guard.reserve(lease)
                except StoreError:
                    self.allowances.doubted(lease.request_id)
                    continue
                if isinstance(answer, Exceeded):
                    self.allowances.refused(lease.request_id)
                else:
                    self.allowances.given(lease.request_id)
            for lease_id in self.allowances.give_back(_wall()):
                self.settlement_writer.release(lease_id)

    def give_leases_back(self) -> None:
        """Whoever stops needs no allowance."""
        for lease_id in self.allowances.close():
            self.settlement_writer.release(lease_id)


async def open_treasury(settings: Settings, store: Store, own: Sequence[Price], stack: AsyncExitStack) -> Accounting:
    """Everything but the store, which may be away. Raises JournalError if the journal cannot be kept."""
    holder = secrets.token_hex(8)
    calendar, guard = Calendar(settings.timezone), Guarded(store, settings.store_seconds, time.monotonic)
    journal = Journal(settings.journal_folder, holder)
    journal.open()
    stack.callback(journal.close)
    # A file beside us is not away while we are there: then nothing is leased.
    remote = not settings.store_url.startswith("sqlite:")
    most = _allowance(settings.outage_allowance_usd) if remote else _nothing
    longest = round((settings.queue_seconds + settings.total_seconds) * 1000)
    allowances = Allowances(holder, most, longest)

    def written(request_ids: list[str]) -> None:
        journal.written(*request_ids)
        for request_id in request_ids:
            allowances.written(request_id)

    settlement_writer = SettlementWriter(store, written)
    stack.push_async_callback(settlement_writer.close, LAST_SECONDS)
    catalogue = await asyncio.to_thread(Catalogue.load)
    tariff = Tariff.of(settings.tool_prices, settings.service_factors)
    book = RuntimeConfig(store, settings.limits, own, catalogue, settings.unpriced_models, tariff)
    stack.push_async_callback(book.close)
    price_reload = PriceReload(Path(settings.prices_file) if settings.prices_file else None, own, book)
    price_reload.look()
    stack.push_async_callback(_end, asyncio.create_task(price_reload.follow()))
    terms = ReservationTerms(holder, longest)
    reservations = Reservations(
        guard, journal, settlement_writer, book, calendar, allowances, terms, time.monotonic, _wall
    )
    accounting = Accounting(calendar, guard, journal, settlement_writer, book, reservations, allowances, price_reload)
    stack.callback(accounting.give_leases_back)
    stack.push_async_callback(_end, asyncio.create_task(accounting.keep_leases()))
    return accounting


async def _settled(store: Store, settlements: Sequence[Settlement]) -> int:
    """Write these; returns how many the store does not take, however often it is tried. Raises StoreError."""
    answers = await asyncio.gather(*map(store.settle, settlements), return_exceptions=True)
    wrong = [(each, answer) for each, answer in zip(settlements, answers, strict=True) if not isinstance(answer, bool)]
    for each, error in wrong:
        if isinstance(error, StoreError):
            raise error
        log.error("the store refuses the settlement of request %s: %s", each.row.request_id, type(error).__name__)
    return len(wrong)


def _allowance(micro_usd: int) -> Callable[[str], int]:
    """So much of a budget's money; of requests and tokens no more than their share of what is left."""
    return lambda counter: micro_usd if f"/{Unit.USD}/" in counter else MOST


def _nothing(counter: str) -> int:
    return 0


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _wall() -> int:
    return time.time_ns() // 1_000_000
