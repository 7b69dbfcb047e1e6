"""The accounting, put together: journal, settlement writer, guarded store, runtime configuration and reservations."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from server.accounting.escrow import EscrowKeeper, ReservationTerms
from server.accounting.journal import Journal
from server.accounting.price_catalogue import Catalogue
from server.accounting.price_reload import PriceReload
from server.accounting.reservations import Reservations
from server.accounting.runtime_config import RuntimeConfig
from server.accounting.settlement_writer import SettlementWriter
from server.config.settings import Settings
from server.ledger.calendar import Calendar
from server.ledger.escrow import Escrows
from server.ledger.limits import Unit
from server.ledger.prices import Price
from server.ledger.quota import Settlement
from server.ledger.tariff import Tariff
from server.store.base import Store, StoreError
from server.store.breaker import Guarded
from server.tasks import run_until_closed

log = logging.getLogger("fairgate")

OUTAGE_PERCENT = 2  # of what is left of tokens or requests
AT_ONCE = 500  # settlements of the dead, written together
QUIET_SECONDS = 1.0  # for what is on its way to the store, before escrow is given back
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
    escrow: EscrowKeeper
    price_reload: PriceReload
    taken_over: bool = False  # nothing of the dead who are known is to be written

    async def recover(self, store: Store) -> None:
        """Take over from the dead, and read the runtime configuration. Raises StoreError."""
        await self._take_over(store)
        await self.book.sync()

    async def adopt(self, store: Store) -> None:
        """Take over from those who kept their journals beside ours and have died since.

        Raises StoreError, JournalError; then it is tried again with the next call.
        """
        if self.journal.adopt() or not self.taken_over:
            await self._take_over(store)

    async def _take_over(self, store: Store) -> None:
        """Write what the dead have left, and give back what they held.

        Raises StoreError; then nothing is forgotten. Nor is it if the store will not have one of them at all: that one
        is logged at every start, and must not keep the gateway from starting.
        """
        self.taken_over = False
        orphans, refused = await asyncio.to_thread(self.journal.orphans), 0
        for start in range(0, len(orphans), AT_ONCE):
            refused += await _settled(store, orphans[start : start + AT_ONCE])
        for holder in self.journal.dead_holders():
            await store.release_holder(holder)
            await store.forget_gateway(holder)
        if not refused:
            self.journal.forget_orphans()
        if orphans or self.journal.damaged:
            log.warning(
                "took over %d settlements of a gateway that died; %d lines were damaged",
                len(orphans),
                self.journal.damaged,
            )
        self.taken_over = True


async def open_accounting(settings: Settings, store: Store, own: Sequence[Price], stack: AsyncExitStack) -> Accounting:
    """Everything but the store, which may be away. Raises JournalError if the journal cannot be kept."""
    holder = secrets.token_hex(8)
    calendar, guard = Calendar(settings.timezone), Guarded(store, settings.store_seconds, time.monotonic)
    journal = Journal(settings.journal_folder, holder)
    journal.open()
    stack.callback(journal.close)
    # A file beside us is not away while we are there.
    remote = not settings.store_url.startswith("sqlite:")
    outage = _allowance(settings.outage_allowance_usd) if remote else _nothing
    background = settings.background_seconds if settings.stateful else 0.0
    longest = round((settings.queue_seconds + max(settings.total_seconds, background)) * 1000)

    def written(request_ids: list[str]) -> None:
        journal.written(*request_ids)
        escrow.written(request_ids)

    settlement_writer = SettlementWriter(store, written)
    stack.push_async_callback(settlement_writer.close, LAST_SECONDS)
    catalogue = await asyncio.to_thread(Catalogue.load)
    tariff = Tariff.of(settings.tool_prices, settings.service_factors)
    book = RuntimeConfig(store, settings.limits, own, catalogue, settings.unpriced_models, tariff, settings.aliases)
    stack.push_async_callback(book.close)
    price_reload = PriceReload(Path(settings.prices_file) if settings.prices_file else None, own, book)
    price_reload.look()
    run_until_closed(stack, price_reload.follow())
    escrow = EscrowKeeper(
        guard,
        Escrows(holder, outage, longest),
        settlement_writer.post,
        ReservationTerms(holder, longest),
        lambda: tuple(book.limits),
        _wall,
    )
    reservations = Reservations(guard, journal, settlement_writer, book, calendar, escrow, time.monotonic, _wall)
    accounting = Accounting(calendar, guard, journal, settlement_writer, book, reservations, escrow, price_reload)
    stack.push_async_callback(_give_back, escrow, settlement_writer)
    run_until_closed(stack, escrow.keep())
    return accounting


async def _settled(store: Store, settlements: Sequence[Settlement]) -> int:
    """Write these; returns how many the store does not take, however often it is tried. Raises StoreError."""
    answers = await store.write(settlements)
    wrong = [(each, answer) for each, answer in zip(settlements, answers, strict=True) if not isinstance(answer, bool)]
    for each, error in wrong:
        if isinstance(error, StoreError):
            raise error
        log.error("the store refuses the settlement of request %s: %s", each.row.request_id, type(error).__name__)
    return len(wrong)


async def _give_back(escrow: EscrowKeeper, settlement_writer: SettlementWriter) -> None:
    """Give all escrow back. The amounts that were drawn are written first, so that nothing has to stay for them."""
    await settlement_writer.quiet(QUIET_SECONDS)
    escrow.end_all()


def _allowance(micro_usd: int) -> Callable[[str, int], int]:
    """So much of a budget's money; of requests and tokens a small part of what is left."""
    return lambda counter, left: micro_usd if f"/{Unit.USD}/" in counter else left * OUTAGE_PERCENT // 100


def _nothing(counter: str, left: int) -> int:
    return 0


def _wall() -> int:
    return time.time_ns() // 1_000_000
