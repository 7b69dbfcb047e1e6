"""What a request costs the disk and the store's thread, counted: where nothing is near a limit, hardly anything."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from server.accounting.bill import Bill
from server.accounting.escrow import EscrowKeeper, ReservationTerms
from server.accounting.journal import Journal
from server.accounting.reservations import Reservations
from server.accounting.runtime_config import RuntimeConfig
from server.accounting.settlement_writer import SettlementWriter
from server.ledger.escrow import Escrows
from server.ledger.limits import LimitWindow, Scope, Unit
from server.ledger.prices import Price, Rates
from server.policy.groups import Rights
from server.relay.context import Call
from server.store import store_for
from server.store.base import Caller, Store
from server.store.breaker import Guarded
from server.wire.endpoints import ENDPOINTS
from server.wire.hosted import Hosted
from tests.accounting.books import USD, budget, write_limits, write_prices
from tests.store.samples import settlement, usage_row
from tests.usage.rows import BERLIN

NOW = 1_800_000_000_000
ADA = Caller("usr_ada", "ada", "tok_1")
REQUESTS = 20
APPENDS = 2  # what may be lost if we die now, before it is sent; and how it ended, before the answer ends


class Counted:
    """A store of which is counted how often it is asked for what."""

    def __init__(self, store: Store) -> None:
        self._store, self.jobs = store, Counter[str]()

    def __getattr__(self, verb: str) -> Any:
        self.jobs[verb] += 1
        return getattr(self._store, verb)


@asynccontextmanager
async def till(tmp_path: Path) -> AsyncIterator[SimpleNamespace]:
    """Ada has three budgets; a request may cost a cent and costs half of one."""
    appends: list[bytes] = []

    def append(descriptor: int, line: bytes) -> int:
        appends.append(line)
        return os.write(descriptor, line)

    async with store_for(f"sqlite:///{tmp_path}/db") as embedded:
        windows = (LimitWindow.DAY, LimitWindow.MONTH, LimitWindow.EVER)
        limits = [budget(Scope.PERSON, ADA.person_id, Unit.USD, 1_000 * USD, window=window) for window in windows]
        await write_limits(embedded, *limits)
        await write_prices(embedded, Price("p", "*", 0, Rates(output=10_000)))
        store: Any = Counted(embedded)
        book = RuntimeConfig(store)
        await book.sync()
        journal = Journal(tmp_path / "journal", "me", write=append)
        journal.open()
        writer = SettlementWriter(store, lambda ids: written(ids))
        guard = Guarded(store, 5.0, lambda: 0.0)
        terms, decided = ReservationTerms("me", 60_000), lambda: tuple(book.limits)
        keeper = EscrowKeeper(guard, Escrows("me", lambda name, left: 0), writer.post, terms, decided, lambda: NOW)

        def written(request_ids: list[str]) -> None:
            journal.written(*request_ids)
            keeper.written(request_ids)

        reservations = Reservations(guard, journal, writer, book, BERLIN, keeper, lambda: 0.0, lambda: NOW)
        yield SimpleNamespace(
            reservations=reservations, keeper=keeper, writer=writer, appends=appends, jobs=store.jobs, store=embedded
        )
        await writer.close()
        journal.close()


async def begun(it: SimpleNamespace, request_id: str) -> Bill:
    """A request is held and may be sent now."""
    request: Any = SimpleNamespace(hosted=Hosted(), model="gpt-5", endpoint=ENDPOINTS["/v1/chat/completions"])
    bill: Bill = it.reservations.open(Call(request_id, ADA, request, {}, ""), Rights(), NOW)
    await it.reservations.reserve(bill, 0, 1_000_000)
    it.reservations.dispatched(bill, usage_row(request_id, cost_micro_usd=10_000))
    return bill


def ended(it: SimpleNamespace, bill: Bill) -> None:
    it.reservations.settle(bill, usage_row(bill.request_id, cost_micro_usd=5_000))


async def in_escrow(it: SimpleNamespace) -> None:
    """So many ask within one second that there is escrow for the next ones."""
    for bill in [await begun(it, f"first{number}") for number in range(3 * REQUESTS)]:
        ended(it, bill)
    await it.keeper.beat()
    assert it.reservations.in_escrow == 3
    await it.writer.quiet(5)
    it.jobs.clear()
    it.appends.clear()


@pytest.mark.gen_test
async def test_before_it_is_sent_a_request_waits_for_no_disk_and_no_thread(tmp_path: Path) -> None:
    async with till(tmp_path) as it:
        await in_escrow(it)
        with pytest.raises(StopIteration):
            begun(it, "r").send(None)  # it runs to its end in one go
        assert (it.jobs, len(it.appends)) == ({}, 1)


@pytest.mark.gen_test
async def test_a_request_alone_is_one_job_and_two_appends(tmp_path: Path) -> None:
    async with till(tmp_path) as it:
        await in_escrow(it)
        for number in range(REQUESTS):
            ended(it, await begun(it, f"r{number}"))
            await it.writer.quiet(5)
        assert it.jobs == {"write": REQUESTS}
        assert len(it.appends) == APPENDS * REQUESTS


@pytest.mark.gen_test
async def test_requests_that_end_in_one_turn_are_one_job(tmp_path: Path) -> None:
    async with till(tmp_path) as it:
        await in_escrow(it)
        for bill in [await begun(it, f"r{number}") for number in range(REQUESTS)]:
            ended(it, bill)
        await it.writer.quiet(5)
        assert it.jobs == {"write": 1}
        assert len(it.appends) == APPENDS * REQUESTS
        assert (await it.store.totals(0)).requests == 4 * REQUESTS


@pytest.mark.gen_test
async def test_everything_that_was_used_is_taken_from_all_budgets_in_the_end(tmp_path: Path) -> None:
    async with till(tmp_path) as it:
        await in_escrow(it)
        bills = [await begun(it, f"r{number}") for number in range(REQUESTS)]
        standing = await it.reservations.standing(ADA)
        assert {each["taken"] for each in standing} == {3 * REQUESTS * 5_000 + REQUESTS * 10_000}
        for bill in bills:
            ended(it, bill)
        await it.writer.quiet(5)
        it.keeper.end_all()
        await it.writer.quiet(5)
        standing = await it.reservations.standing(ADA)
        assert {each["taken"] for each in standing} == {4 * REQUESTS * 5_000}
        assert await it.store.release_expired(10**15) == 0


def test_what_the_store_has_is_noted_with_the_next_line_and_at_the_end(tmp_path: Path) -> None:
    appends: list[bytes] = []

    def append(descriptor: int, line: bytes) -> int:
        appends.append(line)
        return os.write(descriptor, line)

    journal = Journal(tmp_path, "me", write=append)
    journal.open()
    for name in ("one", "two"):
        journal.settled(settlement(name))
        journal.written(name)
    assert [line.count(b"\n") for line in appends] == [1, 2]
    journal.opened(settlement("three"))
    journal.written("three")
    journal.opened(settlement("four"))
    assert [line.count(b"\n") for line in appends] == [1, 2, 2, 2]
    journal.written("two")
    journal.close()
    after = Journal(tmp_path, "next")
    after.open()
    assert [each.row.request_id for each in after.orphans()] == ["four"]
    after.close()
