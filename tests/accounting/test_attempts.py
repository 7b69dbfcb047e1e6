"""An attempt that failed and may have been billed is paid for, also where another key answers after it.

It has a row of its own, which names the upstream that was at work: its owner's cap must know.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast
from zoneinfo import ZoneInfo

import aiohttp
import pytest

from server.accounting.bill import Bill
from server.accounting.escrow import EscrowKeeper, ReservationTerms
from server.accounting.reservations import Reservations
from server.config.specs import UpstreamSpec
from server.ledger.calendar import Calendar
from server.ledger.escrow import Escrows
from server.ledger.holds import Estimate, Who, claim
from server.ledger.limits import Limit, Scope, Unit, parse_limits
from server.ledger.prices import Price, Rates
from server.ledger.quota import Exceeded, Letter, Release, Reservation, Reserved, Settlement
from server.ledger.usage import Outcome, UsageRow, attempt_id
from server.store.base import StoreError
from server.wire.unreported import SPEED
from tests.accounting.books import USD, budget, counter, person_id, put_limits, put_prices, worth
from tests.fakes.fates import (
    Answer,
    Content,
    Delivery,
    Ending,
    Fate,
    drop_before_head,
    first_event_error,
    mid_stream_error,
    ok,
    server_error,
)
from tests.fakes.upstream import FakeUpstream
from tests.faults.asks import Ask, Heard, chat, hear, messages
from tests.faults.stage import Stage
from tests.gateways import gateway, spec
from tests.usage.rows import row as row_of

pytestmark = pytest.mark.slow  # a gateway of its own for each

MODEL = "claude-sonnet-4-5"
PRICE = Price("dear", MODEL, 0, Rates(input=1_000_000_000, output=1_000_000_000))  # 1,000 tokens for a dollar
WORDS = 20
UPSTREAMS = ("first", "second")


@asynccontextmanager
async def opened(*fates: Fate, limits: str = "100 usd/ever", **more: Any) -> AsyncIterator[Stage]:
    async with FakeUpstream() as fake:
        fake.script(None, *fates, ok(words=WORDS).for_ever())
        async with gateway(
            fake, *(of(fake, name) for name in UPSTREAMS), limits=parse_limits(limits), **more
        ) as services:
            await put_prices(services.services, PRICE)
            caps = [budget(Scope.UPSTREAM, name, Unit.USD, 100 * USD) for name in UPSTREAMS]
            await put_limits(services.services, *caps)
            yield Stage(services)


def of(fake: FakeUpstream, name: str) -> UpstreamSpec:
    return spec(fake, [f"sk-upstream-{name}"], name=name, models=(MODEL,))


def question(*, most: int = 100, stream: bool = True) -> Ask:
    asked = messages("What does an attempt cost?", stream=stream)
    return Ask(asked.dialect, asked.path, {**asked.document, "max_tokens": most})


async def asked(stage: Stage, ask: Ask) -> Heard:
    async with aiohttp.ClientSession() as session:
        return await hear(session, stage.running, ask)


async def rows_of(stage: Stage) -> tuple[list[UsageRow], UsageRow]:
    """The rows of the attempts, and the request's own."""
    *attempts, row = sorted(await stage.rows(), key=lambda row: (-len(row.request_id), row.request_id))
    return attempts, row


async def taken(stage: Stage) -> list[int]:
    """What the caps of both upstreams and the caller's budget have taken."""
    store = stage.running.services.store
    names = [f"upstream:{name}" for name in UPSTREAMS] + [f"person:{await person_id(store, 'ada')}"]
    return await store.taken([counter(name, Unit.USD) for name in names])


@pytest.mark.gen_test(timeout=20)
async def test_the_cap_of_the_upstream_that_failed_pays_for_its_own_attempt() -> None:
    async with opened(mid_stream_error(1)) as stage:
        heard = await asked(stage, question())
        assert heard.status == 200
        (attempt,), row = await rows_of(stage)
        failed, answered = stage.records
        assert [attempt.cost_micro_usd, row.cost_micro_usd] == [worth(PRICE, attempt.usage), worth(PRICE, row.usage)]
        assert attempt.cost_micro_usd >= failed.usage.input * 1_000 > 0
        assert row.usage == answered.usage
        assert (attempt.request_id, attempt.status) == (f"{row.request_id}-1", Outcome.FAILED)
        assert (attempt.attempts, row.attempts, row.status) == (1, 2, Outcome.COMPLETED)
        cost = {attempt.upstream: attempt.cost_micro_usd, row.upstream: row.cost_micro_usd}
        assert set(cost) == set(UPSTREAMS)
        assert await taken(stage) == [cost["first"], cost["second"], sum(cost.values())]
        assert await stage.running.services.store.reserved() == 0


@pytest.mark.parametrize("fate", [first_event_error(), server_error(), drop_before_head()], ids=lambda fate: fate.name)
@pytest.mark.gen_test(timeout=20)
async def test_what_nobody_bills_costs_nothing(fate: Fate) -> None:
    async with opened(fate) as stage:
        assert (await asked(stage, question())).status == 200
        attempts, row = await rows_of(stage)
        assert (attempts, row.attempts) == ([], 2)
        assert sum(await taken(stage)) == 2 * row.cost_micro_usd


@pytest.mark.gen_test(timeout=20)
async def test_a_budget_that_has_no_room_for_another_attempt_sends_none() -> None:
    """It has what one attempt can take, and two thousandths: the prompt that was lost costs six."""
    async with opened(mid_stream_error(1), limits="0.1295 usd/ever") as stage:
        heard = await asked(stage, question())
        assert (heard.status, len(stage.records)) == (529, 1), heard.body
        attempts, row = await rows_of(stage)
        assert (attempts, row.status, row.attempts) == ([], Outcome.FAILED, 1)
        assert row.usage.estimated
        assert row.cost_micro_usd >= stage.records[0].usage.input * 1_000
        mine = {row.upstream: row.cost_micro_usd}
        assert await taken(stage) == [mine.get("first", 0), mine.get("second", 0), row.cost_micro_usd]
        assert await stage.running.services.store.reserved() == 0


@pytest.mark.gen_test(timeout=20)
async def test_where_no_attempt_is_left_the_request_s_own_row_pays_for_the_last_one() -> None:
    async with opened(mid_stream_error(1).for_ever()) as stage:
        heard = await asked(stage, question())
        assert heard.status == 529
        (attempt,), row = await rows_of(stage)
        assert (row.status, row.usage.estimated, row.attempts) == (Outcome.FAILED, True, 2)
        assert {attempt.upstream, row.upstream} == set(UPSTREAMS)
        assert (await taken(stage))[2] == attempt.cost_micro_usd + row.cost_micro_usd
        assert await stage.running.services.store.reserved() == 0


SLOW = 0.2  # seconds before the first byte: time for twenty tokens


@pytest.mark.parametrize(
    ("model", "stream", "hidden"),
    [("gpt-5", True, True), ("gpt-5", False, True), ("gpt-4o", False, True), ("gpt-4o", True, False)],
)
@pytest.mark.gen_test(timeout=20)
async def test_an_answer_that_breaks_off_is_billed_by_the_time_where_more_may_have_been_generated(
    model: str, stream: bool, hidden: bool
) -> None:
    delivery = Delivery(first_byte=SLOW, stop_after=4, ending=Ending.RESET)
    async with FakeUpstream() as fake:
        fake.script(None, Answer(name="cut", content=Content(words=50), delivery=delivery))
        async with gateway(fake) as running:
            stage = Stage(running)
            await asked(stage, chat("Think, and then break off.", stream=stream, model=model))
            (row,) = await stage.rows()
            assert row.usage.estimated
            assert row.usage.input > 0
            assert (row.usage.output >= SLOW * SPEED) is hidden


# While the store is away

NOW, GUEST, MEMBER = 1_800_000_000_000, Who("ada", "pass_1"), Who("ada", "tok_1")
LIMIT = budget(Scope.PERSON, "ada", Unit.USD, USD)


class Away:
    """A store that cannot be reached, and what is written behind it."""

    def __init__(self) -> None:
        self.released: list[str] = []
        self.posted: list[str] = []

    async def reserve(self, reservation: Reservation) -> Reserved | Exceeded:
        raise StoreError("away")

    def post(self, letter: Letter) -> None:
        if isinstance(letter, Settlement):
            self.posted.append(letter.row.request_id)
        elif isinstance(letter, Release):
            self.released.append(letter.request_id)

    def settled(self, settlement: Settlement) -> None:
        pass


def cashier_beside(away: Away) -> Reservations:
    calendar, part = Calendar(ZoneInfo("UTC")), cast(Any, away)
    book = cast(Any, None)
    escrows, terms = Escrows("h1", lambda counter, left: 0), ReservationTerms("h1", 60_000)
    escrow = EscrowKeeper(part, escrows, away.post, terms, lambda: None, lambda: NOW)
    return Reservations(part, part, part, book, calendar, escrow, lambda: 0.0, lambda: NOW)


def bill_of(who: Who, *limits: Limit, spend: int | None = None) -> Bill:
    claimed = claim(limits, who, Estimate(500_000, 500), Calendar(ZoneInfo("UTC")), NOW)
    return Bill("req_1", NOW, "2027-01-15", who, MODEL, "anthropic", PRICE, limits, spend=spend, claim=claimed)


def attempt(number: int, cost: int) -> UsageRow:
    return row_of(request_id=attempt_id("req_1", number), status=Outcome.FAILED, cost_micro_usd=cost)


@pytest.mark.gen_test
async def test_while_the_store_is_away_a_guest_pays_for_attempts_as_far_as_the_pass_goes() -> None:
    away = Away()
    reservations, bill = cashier_beside(away), bill_of(GUEST, LIMIT, spend=300_000)
    first = await reservations.beside(bill, attempt(1, 200_000))
    assert first is not None
    reservations.book(bill, first)
    assert await reservations.beside(bill, attempt(2, 200_000)) is None, "0.10 USD are left"
    second = await reservations.beside(bill, attempt(2, 100_000))
    assert second is not None
    reservations.not_needed(bill, second.row.request_id)
    assert await reservations.beside(bill, attempt(3, 100_000)) is not None, "what was not needed is there again"
    released = ["req_1-2", "req_1-2"]  # that of the refusal, too: the store may hold what it did not answer to
    assert (away.posted, away.released) == (["req_1-1"], released)


@pytest.mark.gen_test
async def test_while_the_store_is_away_nobody_with_a_budget_has_a_second_attempt_and_others_do() -> None:
    reservations = cashier_beside(Away())
    assert await reservations.beside(bill_of(MEMBER, LIMIT), attempt(1, 1)) is None
    assert await reservations.beside(bill_of(MEMBER), attempt(1, 1)) is not None
