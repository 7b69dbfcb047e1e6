"""The real `Reservations` over a ledger in memory, with all that they write and hold in sight."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

from server.accounting.escrow import EscrowKeeper, ReservationTerms
from server.accounting.journal import Journal
from server.accounting.reservations import Reservations
from server.accounting.runtime_config import RuntimeConfig
from server.accounting.settlement_writer import SettlementWriter
from server.ledger.escrow import Escrows
from server.ledger.limits import Limit, limit_body
from server.ledger.prices import Price, Rates, price_body
from server.policy.groups import Group, group_body
from server.store.base import Record
from tests.accounting.escrow_town import LONGEST, Ledger
from tests.usage.rows import BERLIN

NOW = 1_800_000_000_000  # UTC milliseconds
DOLLAR_A_MILLION = Price("p", "gpt-*", 0, Rates(input=1_000_000, output=1_000_000))  # a micro-USD for each token


@dataclass
class Decisions:
    """What an operator has decided, as a `RuntimeConfig` reads it."""

    found: list[Record] = field(default_factory=list)

    async def book_version(self) -> int:
        return len(self.found)

    async def records(self, kind: str) -> list[Record]:
        return [each for each in self.found if each.kind == kind]


def decided(decisions: Iterable[Limit | Price | Group]) -> Decisions:
    """The records of these limits, prices and groups."""
    found = []
    for each in decisions:
        if isinstance(each, Limit):
            found.append(Record("limit", each.id, limit_body(each)))
        elif isinstance(each, Price):
            found.append(Record("price", each.id, price_body(each)))
        else:
            found.append(Record("group", each.name, group_body(each)))
    return Decisions(found)


@dataclass
class Disk:
    """Where the journal's lines go; there is room for so many."""

    room: float = inf
    lines: int = 0

    def write(self, descriptor: int, line: bytes) -> int:
        if self.lines >= self.room:
            raise OSError(28, "no space left")
        self.lines += 1
        return os.write(descriptor, line)


@dataclass
class Till:
    """Reservations and their parts. `clock` is monotonic seconds; nothing but a test moves it."""

    ledger: Ledger
    disk: Disk
    book: RuntimeConfig
    keeper: EscrowKeeper
    writer: SettlementWriter
    reservations: Reservations
    clock: list[float]

    async def assert_nothing_is_held(self) -> None:
        """No request holds anything, here or in the store; escrow may lie there."""
        assert await self.writer.quiet(5)
        assert self.reservations.holding == 0
        assert [each for each in self.ledger.held if not each.startswith("escrow/")] == []

    def used(self) -> dict[str, int]:
        """What was charged to which counters."""
        return {counter: amount for counter, amount in self.ledger.used.items() if amount}


@asynccontextmanager
async def open_till(
    folder: Path, *decisions: Limit | Price | Group, escrow: int = 0, most: int = 1_000, read: bool = True, **book: Any
) -> AsyncIterator[Till]:
    """A till where this is decided. `escrow`: so much is taken of each counter that was asked for. `most`: settlements
    that may wait. `read`: the decisions have been read."""
    ledger, disk, clock = Ledger(), Disk(), [0.0]
    config = RuntimeConfig(_as_store(decided(decisions)), **book)
    if read:
        await config.sync()
    journal = Journal(folder / "journal", "me", write=disk.write, sync=lambda descriptor: None)
    journal.open()

    def written(request_ids: list[str]) -> None:
        journal.written(*request_ids)
        keeper.written(request_ids)

    writer = SettlementWriter(ledger, written, most)
    escrows, terms = Escrows("me", lambda counter, left: escrow, LONGEST), ReservationTerms("me", LONGEST)

    async def no_wait(seconds: float) -> None:
        clock[0] += seconds

    keeper = EscrowKeeper(
        ledger, escrows, writer.post, terms, lambda: tuple(config.limits), lambda: NOW + round(1000 * clock[0]), no_wait
    )
    reservations = Reservations(
        _as_store(ledger),
        journal,
        writer,
        config,
        BERLIN,
        keeper,
        lambda: clock[0],
        lambda: NOW + round(1000 * clock[0]),
    )
    try:
        yield Till(ledger, disk, config, keeper, writer, reservations, clock)
    finally:
        await writer.close()
        journal.close()


def _as_store(part: object) -> Any:
    """A part that knows those verbs of a store that are asked for."""
    return part
