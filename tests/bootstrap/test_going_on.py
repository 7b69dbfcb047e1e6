"""What goes on though something is wrong: at the start, in the background, and in the middle of a request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from server.accounting.assembly import Accounting, open_accounting
from server.accounting.escrow import EscrowKeeper, ReservationTerms
from server.accounting.housekeeping import DAY_MS, Housekeeping
from server.accounting.journal import Journal
from server.accounting.price_reload import PriceReload
from server.accounting.reservations import BEYOND, Reservations
from server.accounting.runtime_config import RuntimeConfig
from server.accounting.settlement_writer import SettlementWriter
from server.accounting.store_startup import StoreStartup
from server.config.settings import Settings
from server.ledger.escrow import Escrows
from server.ledger.limits import Limit, LimitWindow, Scope, Unit, limit_body
from server.ledger.money import MOST
from server.ledger.prices import Price, Rates, price_body
from server.ledger.quota import Hold, Letter, Settlement
from server.policy.groups import Rights
from server.relay.admission import Bounds
from server.relay.context import Call
from server.relay.pipeline import ROWS_SECONDS, Pipeline
from server.relay.under_way import UnderWay
from server.store import store_for
from server.store.base import Caller, Record, Store, StoreError
from server.store.breaker import Guarded
from server.wire.endpoints import ENDPOINTS
from server.wire.errors import InsufficientQuota
from server.wire.hosted import Hosted
from tests.fakes.upstream import FakeUpstream
from tests.faults.asks import chat, hear
from tests.faults.stage import until
from tests.gateways import gateway
from tests.store.samples import settlement
from tests.usage.rows import BERLIN
from tests.workbench import Delegate

NOW = 1_800_000_000_000
ADA = Caller("usr_ada", "ada", "tok_1")
CHAT = ENDPOINTS["/v1/chat/completions"]


class Refusing(Delegate):
    """A store that does not take the settlement of one request, and says so in another way than an outage."""

    async def write(self, letters: Sequence[Settlement]) -> list[bool | Exception]:
        answers = iter(await self._store.write([each for each in letters if each.row.request_id != "poison"]))
        return [OverflowError("too large") if it.row.request_id == "poison" else next(answers) for it in letters]


class Counting(Delegate):
    """A store whose chores are counted; `wrong` are those that fail, and how."""

    def __init__(self, **wrong: Exception) -> None:
        self.done: list[str] = []
        self.wrong = wrong

    def __getattr__(self, chore: str) -> Any:
        async def do(*arguments: object) -> int:
            self.done.append(chore)
            if chore in self.wrong:
                raise self.wrong[chore]
            return 0

        return do


# The start


@asynccontextmanager
async def accounting(folder: Path, store: Store) -> AsyncIterator[Accounting]:
    settings = Settings(store_url=f"sqlite:///{folder}/db", journal=str(folder / "journal"))
    async with AsyncExitStack() as stack:
        yield await open_accounting(settings, store, (), stack)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_settlement_that_the_store_never_takes_does_not_keep_a_gateway_from_starting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dead = Journal(tmp_path / "journal", "dead")
    dead.open()
    for request_id in ("one", "poison", "two"):
        dead.settled(settlement(request_id))
    dead.close()
    async with store_for(f"sqlite:///{tmp_path}/db") as store:
        async with accounting(tmp_path, Refusing(store)) as books:
            await books.recover(books.book._store)
            assert books.book.known
        assert {row.request_id for row in await store.usage_rows(0, 10)} == {"one", "two"}
        assert "request poison: OverflowError" in caplog.text
        caplog.clear()
        async with accounting(tmp_path, store) as books:  # a release that can write it
            await books.recover(store)
        assert {row.request_id for row in await store.usage_rows(0, 10)} == {"one", "poison", "two"}
    assert not list((tmp_path / "journal").iterdir())


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_first_step_that_fails_is_told_once_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    failures: list[Exception] = [StoreError("away"), OSError("no disk"), OSError("no disk")]
    store: Any = Counting()

    async def step() -> None:
        if failures:
            raise failures.pop(0)

    opening = StoreStartup(store, patient=True)
    await opening.begin((step,))
    await until(lambda: opening.done)
    await opening.close()
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert errors == ["the store is there, but a first step fails and is tried again: no disk"]
    assert store.done == ["open", "close", "open", "close", "open", "close", "open", "close"]


# The background


@asynccontextmanager
async def keeping(store: Any, wall: Any, *chores: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(Housekeeping(store, BERLIN, 0, wall, chores, pause=0.0).keep())
    yield
    assert not task.done(), "it never ends by itself"
    task.cancel()
    await asyncio.wait((task,))


@pytest.mark.gen_test
async def test_a_chore_that_fails_keeps_no_other_from_being_done(caplog: pytest.LogCaptureFixture) -> None:
    store, done = Counting(release_expired=KeyError("secret"), forget_issued=StoreError("away")), asyncio.Event()

    async def last() -> None:
        if store.done.count("release_expired") > 3:
            done.set()

    async with keeping(store, lambda: NOW, last):
        await done.wait()
    assert {record.getMessage() for record in caplog.records if record.levelno == logging.ERROR} == {
        "a chore of the house failed, and is tried again in a minute: KeyError"
    }


@pytest.mark.gen_test
async def test_a_clock_that_is_set_back_does_not_put_off_what_is_done_every_day() -> None:
    store, wall = Counting(), [NOW + 400 * DAY_MS]
    async with keeping(store, lambda: wall[0]):
        await until(lambda: store.done.count("forget_counters") == 1)
        wall[0] = NOW
        await until(lambda: store.done.count("forget_counters") == 2)


@pytest.mark.gen_test
async def test_of_two_who_read_the_book_at_once_the_later_one_has_the_last_word(tmp_path: Path) -> None:
    class Slow(Delegate):
        """Its first answer about limits comes late."""

        def __init__(self, store: Store) -> None:
            super().__init__(store)
            self.asked, self.may = asyncio.Event(), asyncio.Event()

        async def records(self, kind: str) -> list[Record]:
            found = await self._store.records(kind)
            if kind == "limit" and not self.asked.is_set():
                self.asked.set()
                await self.may.wait()
            return found

    async with store_for(f"sqlite:///{tmp_path}/db") as store:
        slow = Slow(store)
        book = RuntimeConfig(slow)
        early = asyncio.create_task(book.sync())
        await slow.asked.wait()
        limit = Limit("lim_1", Scope.EVERYONE, "", Unit.USD, LimitWindow.DAY, 1)
        await store.put_record(Record("limit", limit.id, limit_body(limit)))
        late = asyncio.create_task(book.sync())
        await asyncio.sleep(0)
        slow.may.set()
        await asyncio.gather(early, late)
        assert list(book.limits) == [limit]


@pytest.mark.gen_test
async def test_a_price_file_that_is_not_there_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with store_for(f"sqlite:///{tmp_path}/db") as store:
        watch = PriceReload(tmp_path / "prices.csv", (), RuntimeConfig(store))
        for _ in range(3):
            watch.look()
    assert len(caplog.records) == 1
    assert watch.warnings


# The middle of a request


class Unreturning(Delegate):
    """A store that is away whenever something is to be given back."""

    away = False

    async def write(self, letters: Sequence[Letter]) -> list[bool | Exception]:
        if self.away:
            raise StoreError("away")
        return list(await self._store.write(letters))


@asynccontextmanager
async def till(tmp_path: Path, store: Any, allowance: int = 0) -> AsyncIterator[SimpleNamespace]:
    """A cashier; everything costs a dollar for each token, and ada has 100 USD in all."""
    budget = Limit("lim_1", Scope.PERSON, ADA.person_id, Unit.USD, LimitWindow.EVER, 100_000_000)
    await store.put_record(Record("limit", budget.id, limit_body(budget)))
    price = Price("p", "*", 0, Rates(output=MOST))
    await store.put_record(Record("price", price.id, price_body(price)))
    book = RuntimeConfig(store)
    await book.sync()
    guard, escrows = Guarded(store, 5.0, lambda: 0.0), Escrows("me", lambda counter, left: allowance, 1_000)
    journal = Journal(tmp_path / "journal", "me")
    journal.open()
    settlement_writer = SettlementWriter(store, lambda ids: journal.written(*ids))
    terms, limits = ReservationTerms("me", 1_000), lambda: tuple(book.limits)
    escrow = EscrowKeeper(guard, escrows, settlement_writer.post, terms, limits, lambda: NOW)
    reservations = Reservations(guard, journal, settlement_writer, book, BERLIN, escrow, lambda: 0.0, lambda: NOW)
    yield SimpleNamespace(reservations=reservations, escrow=escrow, settlement_writer=settlement_writer)
    await settlement_writer.close()
    journal.close()


@pytest.mark.gen_test
async def test_a_restart_waits_for_requests_and_not_for_a_store_that_is_away() -> None:
    told: list[float] = []

    async def quiet(seconds: float) -> None:
        told.append(seconds)

    parts: Any = SimpleNamespace(quiet=quiet, window=lambda model: None)
    none: Any = None
    it = Pipeline(
        none, none, none, none, Bounds(), lambda: 0.0, lambda: NOW, parts, parts, UnderWay(False, lambda: NOW)
    )
    await it.quiet(300.0)
    await it.quiet(1.0)
    assert told == [ROWS_SECONDS, 1.0]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_who_looks_on_and_stumbles_keeps_no_row_off_the_ledger() -> None:
    def stumble(row: object) -> None:
        raise RuntimeError("a full disk of figures")

    async with FakeUpstream() as fake, gateway(fake) as running, aiohttp.ClientSession() as session:
        running.services.pipeline._settlement._observe = stumble
        await hear(session, running, chat("Hello.", stream=False))
        await until(lambda: running.services.pipeline.running == 0)
        assert len(await running.services.store.usage_rows(0, 10)) == 1
        running.assert_idle()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_own_keys_wait_too_while_too_much_waits_for_the_store() -> None:
    async with FakeUpstream() as fake, gateway(fake, byo_keys=True) as running, aiohttp.ClientSession() as session:
        running.services.reservations._settlement_writer._most = 0
        headers = {"X-Fairgate-Token": running.token, "Authorization": "Bearer sk-my-own-key-of-the-provider"}
        async with session.get(f"{running.url}/byo/fake/models", headers=headers) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (503, "accounting_unavailable")
        assert not [record for record in fake.records if record.key == "sk-my-own-key-of-the-provider"]


def call(request_id: str) -> Call:
    request: Any = SimpleNamespace(hosted=Hosted(), model="gpt-5", endpoint=CHAT)
    return Call(request_id, ADA, request, {}, "")


@pytest.mark.gen_test
async def test_what_costs_more_than_any_number_that_a_store_knows_is_refused_like_anything_too_dear(
    tmp_path: Path,
) -> None:
    async with store_for(f"sqlite:///{tmp_path}/db") as store, till(tmp_path, store) as it:
        bill = it.reservations.open(call("dear"), Rights(), NOW)
        with pytest.raises(InsufficientQuota):
            await it.reservations.reserve(bill, 0, 128 * 10_000_000)
        assert bill.needs.cost_micro_usd == BEYOND
        assert it.reservations.exceeded == {(Scope.PERSON, Unit.USD): 1}
        it.reservations.close(bill)
        assert it.reservations.holding == 0


@pytest.mark.gen_test
async def test_escrow_that_could_not_be_given_back_for_a_request_is_given_back_behind_it(tmp_path: Path) -> None:
    async with store_for(f"sqlite:///{tmp_path}/db") as embedded:
        store = Unreturning(embedded)
        async with till(tmp_path, store, allowance=2_000_000) as it:
            small, large = (Hold("pot", amount, 100_000_000) for amount in (1, 99_000_000))
            await it.escrow.hold("small", NOW, (small,))
            it.escrow.give_back("small")
            await it.escrow.beat()
            assert it.reservations.in_escrow == 1
            store.away = True
            with pytest.raises(StoreError):
                await it.escrow.hold("large", NOW, (large,))  # the escrow is given back first
            it.escrow.give_back("large")
            store.away = False
            assert await it.settlement_writer.quiet(5)
            assert await embedded.reserved() == 0
