"""Reservations, step by step: what each of them refuses, what it holds, and that nothing is left held after any end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from server.accounting.bill import Bill
from server.ledger.limits import Limit, LimitWindow, Scope, Unit
from server.ledger.prices import Price, Rates
from server.ledger.usage import Outcome, UsageRow, attempt_id
from server.policy.groups import Group, Rights
from server.store.base import Caller, TokenTerms
from server.wire.errors import (
    AccountingUnavailable,
    InsufficientQuota,
    ModelNotPriced,
    RateLimited,
    Refusal,
    ToolNotBounded,
    ToolNotPriced,
)
from server.wire.extent import Ceiling
from server.wire.usage import Usage
from tests.accounting.books import budget, counter
from tests.accounting.till import DOLLAR_A_MILLION, NOW, Till, open_till
from tests.relay.calls import ADA, RESPONSES, a_call
from tests.store.samples import usage_row

GUEST = Caller("usr_ada", "ada", "pass_1", terms=TokenTerms(kind="guest"), spend=1_000)
SPECIAL = Caller("usr_ada", "ada", "tok_1", terms=TokenTerms(kind="special"))
TOKENS = Usage(input=100, output=50)
MONEY = budget(Scope.PERSON, ADA.person_id, Unit.USD, 1_000)
POT = counter("person:usr_ada", Unit.USD)
ONE_A_MINUTE = budget(Scope.PERSON, ADA.person_id, Unit.REQUESTS, 1, window=LimitWindow.MINUTE)
TOKENS_A_MINUTE = budget(Scope.PERSON, ADA.person_id, Unit.TOKENS, 1_000, window=LimitWindow.MINUTE)
CAP = budget(Scope.UPSTREAM, "acme", Unit.USD, 200)
OTHER_CAP = budget(Scope.UPSTREAM, "other", Unit.USD, 1_000)


def opened(till: Till, request_id: str = "r1", caller: Caller = ADA, **more: Any) -> Bill:
    return till.reservations.open(a_call(request_id, caller, **more), Rights(), NOW)


async def reserved(till: Till, request_id: str = "r1", tokens: int = 150, caller: Caller = ADA, **more: Any) -> Bill:
    """A request that holds a micro-USD for each of so many tokens."""
    bill = opened(till, request_id, caller, **more)
    await till.reservations.reserve(bill, tokens, 0)
    return bill


def a_row(request_id: str = "r1", cost: int = 150, **changes: Any) -> UsageRow:
    return usage_row(request_id, usage=TOKENS, cost_micro_usd=cost, **changes)


# open


UNKNOWN_TOOL = {"tools": [{"type": "crystal_ball"}]}
ENDLESS_TOOL = {"tools": [{"type": "web_search"}]}

# What is decided, what is asked for, and why no bill is begun.
NOT_OPENED: dict[str, tuple[tuple[Limit, ...], dict[str, Any], type[Refusal]]] = {
    "no price": ((), {"model": "llama"}, ModelNotPriced),
    "a tool without a price, and money is limited": ((MONEY,), {"path": RESPONSES, **UNKNOWN_TOOL}, ToolNotPriced),
    "a tool without a price, and the upstream has a cap": ((CAP,), {"path": RESPONSES, **UNKNOWN_TOOL}, ToolNotPriced),
    "a tool without a bound": ((MONEY,), ENDLESS_TOOL, ToolNotBounded),
}


@pytest.mark.parametrize("name", NOT_OPENED)
@pytest.mark.gen_test
async def test_what_cannot_be_priced_is_refused_before_anything_is_held(tmp_path: Path, name: str) -> None:
    decisions, asked, refusal = NOT_OPENED[name]
    async with open_till(tmp_path, DOLLAR_A_MILLION, *decisions) as till:
        with pytest.raises(refusal):
            opened(till, **asked)
        await till.assert_nothing_is_held()


@pytest.mark.gen_test
async def test_a_tool_without_a_price_passes_where_no_money_is_limited(tmp_path: Path) -> None:
    tokens = budget(Scope.PERSON, ADA.person_id, Unit.TOKENS, 1_000)
    async with open_till(tmp_path, DOLLAR_A_MILLION, tokens) as till:
        assert opened(till, path=RESPONSES, **UNKNOWN_TOOL).limits == (tokens,)


@pytest.mark.gen_test
async def test_for_what_no_provider_charges_there_need_be_no_price(tmp_path: Path) -> None:
    async with open_till(tmp_path) as till:
        bill = opened(till, path="/v1/moderations", model="omni-moderation-latest")
        assert (bill.price, bill.cost(TOKENS)) == (None, 0)


@pytest.mark.gen_test
async def test_nothing_is_begun_before_the_decisions_are_read_or_while_too_much_waits_for_the_store(
    tmp_path: Path,
) -> None:
    async with open_till(tmp_path / "unread", DOLLAR_A_MILLION, read=False) as till:
        with pytest.raises(AccountingUnavailable):
            opened(till)
        assert till.reservations.open_own_key(a_call(), NOW).price is None, "no limit counts it"
    async with open_till(tmp_path / "full", DOLLAR_A_MILLION, most=0) as till:
        for begin in (lambda: opened(till), lambda: till.reservations.open_own_key(a_call(), NOW)):
            with pytest.raises(AccountingUnavailable):
                begin()


@pytest.mark.gen_test
async def test_a_bill_has_the_limits_of_its_payer_and_of_no_other_group(tmp_path: Path) -> None:
    lab, club = (budget(Scope.GROUP, name, Unit.USD, 1_000) for name in ("lab", "club"))
    async with open_till(tmp_path, DOLLAR_A_MILLION, lab, club, MONEY, ONE_A_MINUTE) as till:
        assert set(opened(till, group="lab").limits) == {lab, MONEY, ONE_A_MINUTE}
        assert set(opened(till).limits) == {MONEY, ONE_A_MINUTE}
        assert set(opened(till, caller=SPECIAL).limits) == {MONEY}, "who is special has no rates"
        (passes,) = [limit for limit in opened(till, caller=GUEST).limits if limit.scope is Scope.TOKEN]
        assert (passes.subject, passes.amount) == ("pass_1", 1_000)
        assert till.reservations.open_own_key(a_call(group="lab"), NOW).limits == ()


@pytest.mark.gen_test
async def test_a_group_with_tool_prices_of_its_own_pays_those(tmp_path: Path) -> None:
    group = Group(name="lab", tool_prices=(("crystal_ball", 7),))
    async with open_till(tmp_path, DOLLAR_A_MILLION, MONEY, group) as till:
        bill = opened(till, path=RESPONSES, group="lab", **UNKNOWN_TOOL)
        assert bill.cost(Usage(input=1, tools="crystal_ball=2")) == 15


# bounds


FREE = Price("free", "gpt-*", 0, Rates())
BOUNDS: dict[str, tuple[tuple[Limit | Price, ...], bool]] = {
    "nothing": ((), False),
    "a rate": ((ONE_A_MINUTE, TOKENS_A_MINUTE), False),
    "requests": ((budget(Scope.PERSON, ADA.person_id, Unit.REQUESTS, 9),), False),
    "tokens": ((budget(Scope.PERSON, ADA.person_id, Unit.TOKENS, 9),), True),
    "money": ((MONEY,), True),
    "another model's money": ((budget(Scope.PERSON, ADA.person_id, Unit.USD, 9, family="o1"),), False),
    "another person's money": ((budget(Scope.PERSON, "usr_bob", Unit.USD, 9),), False),
    "an upstream's cap": ((CAP,), True),
    "an upstream's cap for another model": ((budget(Scope.UPSTREAM, "acme", Unit.USD, 9, family="o1"),), False),
    "money, and the model is free": ((MONEY, FREE), False),
    "tokens, and the model is free": ((budget(Scope.PERSON, ADA.person_id, Unit.TOKENS, 9), FREE), True),
}


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.gen_test
async def test_an_answer_needs_a_bound_where_a_budget_can_run_out(tmp_path: Path, name: str) -> None:
    decisions, bounded = BOUNDS[name]
    price = () if FREE in decisions else (DOLLAR_A_MILLION,)
    async with open_till(tmp_path, *price, *decisions) as till:
        assert till.reservations.bounds(opened(till)) is bounded


# reserve


UNMEASURED = Price("p", "gpt-*", 0, Rates(image=5))

# What is decided, the tokens that are asked for, how the store is, and the refusal.
NOT_RESERVED: dict[str, tuple[tuple[Limit | Price, ...], int, str, type[Refusal]]] = {
    "a rate of tokens": ((DOLLAR_A_MILLION, MONEY, TOKENS_A_MINUTE), 1_001, "", RateLimited),
    "money": ((DOLLAR_A_MILLION, MONEY, ONE_A_MINUTE), 1_001, "", InsufficientQuota),
    "the tighter of two": (
        (DOLLAR_A_MILLION, MONEY, budget(Scope.EVERYONE, "", Unit.TOKENS, 10)),
        11,
        "",
        InsufficientQuota,
    ),
    "the store is away": ((DOLLAR_A_MILLION, MONEY, ONE_A_MINUTE), 1, "away", AccountingUnavailable),
    "the store's answer is lost": ((DOLLAR_A_MILLION, MONEY, ONE_A_MINUTE), 1, "lost", AccountingUnavailable),
    "what it costs is counted in other units": ((UNMEASURED, MONEY, ONE_A_MINUTE), 1, "", ModelNotPriced),
}


@pytest.mark.parametrize("name", NOT_RESERVED)
@pytest.mark.gen_test
async def test_a_refused_request_holds_nothing_and_has_its_rates_back(tmp_path: Path, name: str) -> None:
    decisions, tokens, fault, refusal = NOT_RESERVED[name]
    async with open_till(tmp_path, *decisions) as till:
        bill = opened(till)
        bill.most = Ceiling(tokens, 0, writes=False, writes_hour=False)
        till.ledger.faults = [fault]
        with pytest.raises(refusal):
            await till.reservations.reserve(bill, tokens, 0)
        till.reservations.close(bill)
        await till.assert_nothing_is_held()
        if refusal is not ModelNotPriced:
            await reserved(till, "r2", 1)
        assert not till.used()


@pytest.mark.gen_test
async def test_who_reaches_a_budget_hears_which_and_the_operator_counts_it(tmp_path: Path) -> None:
    async with open_till(tmp_path, DOLLAR_A_MILLION, MONEY) as till:
        with pytest.raises(InsufficientQuota) as refused:
            await reserved(till, tokens=1_001)
        assert "0.001" in refused.value.limit
        assert refused.value.headers
        assert till.reservations.exceeded == {(Scope.PERSON, Unit.USD): 1}


@pytest.mark.gen_test
async def test_of_rates_the_likely_is_taken_and_of_budgets_the_most(tmp_path: Path) -> None:
    async with open_till(tmp_path, DOLLAR_A_MILLION, MONEY, TOKENS_A_MINUTE) as till:
        bill = opened(till)
        bill.most = Ceiling(100, 700, writes=False, writes_hour=False)
        await till.reservations.reserve(bill, 100, 50)
        assert till.ledger.held == {"r1": {POT: 800}}
        assert bill.headers["x-ratelimit-remaining-tokens"] == "850"
        assert bill.output == 50


# The tokens to which an answer may be lowered, what was used before, and the bound that it gets; None: it is refused.
LOWERED: dict[str, tuple[int, int, int | None]] = {
    "all of it fits": (256, 0, 800),
    "a shorter one fits": (256, 500, 400),
    "just the least fits": (256, 644, 256),
    "less than the least": (256, 645, None),
    "the bound is the caller's own": (0, 500, None),
}


@pytest.mark.parametrize("name", LOWERED)
@pytest.mark.gen_test
async def test_an_answer_is_bounded_by_what_a_budget_has_left(tmp_path: Path, name: str) -> None:
    least, before, output = LOWERED[name]
    async with open_till(tmp_path, DOLLAR_A_MILLION, MONEY) as till:
        till.ledger.used[POT] = before
        bill = opened(till)
        bill.most, bill.least = Ceiling(100, 800, writes=False, writes_hour=False), least
        if output is None:
            with pytest.raises(InsufficientQuota):
                await till.reservations.reserve(bill, 100, 50)
        else:
            await till.reservations.reserve(bill, 100, 50)
            assert bill.most.output == output
            assert till.ledger.held == {"r1": {POT: 100 + output}}


@pytest.mark.gen_test
async def test_what_was_taken_before_the_body_was_read_is_not_taken_twice(tmp_path: Path) -> None:
    async with open_till(tmp_path, DOLLAR_A_MILLION, ONE_A_MINUTE) as till:
        knocked = till.reservations.knock(ADA, "openai")
        with pytest.raises(RateLimited):
            till.reservations.knock(ADA, "openai")
        bill = await reserved(till, knocked=knocked)
        till.reservations.left(knocked)
        with pytest.raises(RateLimited):
            await reserved(till, "r2")
        till.reservations.close(bill)
        till.reservations.left(knocked)
        await reserved(till, "r3")


@pytest.mark.gen_test
async def test_while_the_store_is_away_who_has_no_budget_goes_on_and_a_guest_within_the_pass(tmp_path: Path) -> None:
    async with open_till(tmp_path, DOLLAR_A_MILLION) as till:
        till.ledger.faults = ["away"] * 9
        await reserved(till)
        bill = await reserved(till, "g1", 600, GUEST)
        with pytest.raises(AccountingUnavailable):
            await reserved(till, "g2", 600, GUEST)
        till.reservations.close(bill)
        await reserved(till, "g3", 600, GUEST)
        till.ledger.faults.clear()


# reserve_from_escrow


async def with_escrow(till: Till) -> None:
    """Escrow lies here for the next requests of ada's."""
    till.reservations.close(await reserved(till, "first", 1))
    await till.keeper.beat()
    await till.assert_nothing_is_held()
    assert till.reservations.in_escrow == 1
    till.ledger.asked.clear()


def bounded(till: Till, request_id: str, most_input: int) -> Bill:
    bill = opened(till, request_id)
    bill.most = Ceiling(most_input, 0, writes=False, writes_hour=False)
    return bill


@pytest.mark.gen_test
async def test_from_escrow_a_request_is_held_without_a_question_to_the_store(tmp_path: Path) -> None:
    async with open_till(tmp_path, DOLLAR_A_MILLION, MONEY, TOKENS_A_MINUTE, escrow=100) as till:
        await with_escrow(till)
        bill = bounded(till, "r1", 60)
        assert till.reservations.reserve_from_escrow(bill, 20, 0)
        assert (till.reservations.holding, till.ledger.asked) == (1, {})
        assert bill.headers["x-ratelimit-remaining-tokens"] == "980"
        till.reservations.settle(bill, a_row(cost=50))
        await till.assert_nothing_is_held()
        assert till.used() == {POT: 50}


@pytest.mark.gen_test
async def test_what_escrow_has_no_room_for_by_its_bytes_holds_nothing_and_may_fit_when_counted(tmp_path: Path) -> None:
    async with open_till(tmp_path, DOLLAR_A_MILLION, MONEY, ONE_A_MINUTE, escrow=100) as till:
        await with_escrow(till)
        bill = bounded(till, "r1", 101)
        assert not till.reservations.reserve_from_escrow(bill, 20, 0)
        assert (till.reservations.holding, bill.taken, bill.headers) == (0, None, {})
        bill.most = Ceiling(100, 0, writes=False, writes_hour=False)
        await till.reservations.reserve(bill, 20, 0)
        assert till.ledger.asked == {}
        till.reservations.close(bill)
        await till.assert_nothing_is_held()


@pytest.mark.gen_test
async def test_where_an_upstream_has_a_cap_escrow_alone_is_never_enough(tmp_path: Path) -> None:
    async with open_till(tmp_path, DOLLAR_A_MILLION, MONEY, CAP, escrow=100) as till:
        await with_escrow(till)
        assert not till.reservations.reserve_from_escrow(bounded(till, "r1", 1), 1, 0)
        assert till.reservations.holding == 0


@pytest.mark.gen_test
async def test_who_holds_from_escrow_and_is_too_fast_gives_it_back(tmp_path: Path) -> None:
    async with open_till(tmp_path, DOLLAR_A_MILLION, MONEY, TOKENS_A_MINUTE, escrow=100) as till:
        await with_escrow(till)
        bill = bounded(till, "r1", 60)
        with pytest.raises(RateLimited):
            till.reservations.reserve_from_escrow(bill, 1_001, 0)
        till.reservations.close(bill)
        await till.assert_nothing_is_held()
        assert till.reservations.reserve_from_escrow(bounded(till, "r2", 100), 1, 0)


# clear


ACME = counter("upstream:acme", Unit.USD)
OTHER = counter("upstream:other", Unit.USD)


@pytest.mark.gen_test
async def test_an_upstream_without_a_cap_is_cleared_without_a_question(tmp_path: Path) -> None:
    async with open_till(tmp_path, DOLLAR_A_MILLION, MONEY, CAP) as till:
        bill = await reserved(till)
        till.ledger.asked.clear()
        assert await till.reservations.clear(bill, "uncapped")
        assert (bill.claim, till.ledger.asked) == (bill.budgets, {})


@pytest.mark.gen_test
async def test_a_cap_without_room_passes_a_key_over_and_the_next_upstream_alone_is_charged(tmp_path: Path) -> None:
    async with open_till(tmp_path, DOLLAR_A_MILLION, MONEY, CAP, OTHER_CAP) as till:
        till.ledger.used[ACME] = 51
        bill = await reserved(till)
        assert not await till.reservations.clear(bill, "acme")
        assert till.reservations.exceeded == {(Scope.UPSTREAM, Unit.USD): 1}
        assert till.ledger.held == {"r1": {POT: 150}}
        assert await till.reservations.clear(bill, "other")
        assert till.ledger.held == {"r1": {POT: 150, OTHER: 150}}
        till.reservations.settle(bill, a_row(cost=120))
        await till.assert_nothing_is_held()
        assert till.used() == {POT: 120, OTHER: 120, ACME: 51}


@pytest.mark.gen_test
async def test_an_upstream_that_failed_is_not_charged_for_what_the_next_one_served(tmp_path: Path) -> None:
    async with open_till(tmp_path, DOLLAR_A_MILLION, CAP, OTHER_CAP) as till:
        bill = await reserved(till)
        for upstream in ("acme", "other", "uncapped"):
            assert await till.reservations.clear(bill, upstream)
        till.reservations.settle(bill, a_row())
        await till.assert_nothing_is_held()
        assert till.used() == {}


@pytest.mark.parametrize("fault", ["away", "lost"])
@pytest.mark.gen_test
async def test_while_the_store_is_away_no_cap_is_cleared(tmp_path: Path, fault: str) -> None:
    async with open_till(tmp_path, DOLLAR_A_MILLION, MONEY, CAP) as till:
        bill = await reserved(till)
        till.ledger.faults = [fault]
        with pytest.raises(AccountingUnavailable):
            await till.reservations.clear(bill, "acme")
        till.reservations.close(bill)
        await till.assert_nothing_is_held()


# dispatched


@pytest.mark.gen_test
async def test_what_cannot_be_noted_durably_is_not_sent(tmp_path: Path) -> None:
    async with open_till(tmp_path, DOLLAR_A_MILLION, MONEY) as till:
        bill = await reserved(till)
        till.disk.room = 0
        with pytest.raises(AccountingUnavailable):
            till.reservations.dispatched(bill, a_row(status=Outcome.INTERRUPTED))
        till.reservations.close(bill)
        await till.assert_nothing_is_held()
        assert not till.ledger.rows


# beside, book, not_needed


def an_attempt(cost: int, number: int = 1) -> UsageRow:
    return a_row(attempt_id("r1", number), cost, status=Outcome.FAILED)


@pytest.mark.gen_test
async def test_an_attempt_that_failed_is_held_and_charged_beside_its_request(tmp_path: Path) -> None:
    async with open_till(tmp_path, DOLLAR_A_MILLION, MONEY) as till:
        bill = await reserved(till)
        attempt = await till.reservations.beside(bill, an_attempt(850))
        assert attempt is not None
        assert till.ledger.held == {"r1": {POT: 150}, "r1-1": {POT: 850}}
        till.reservations.book(bill, attempt)
        till.reservations.settle(bill, a_row(cost=100))
        await till.assert_nothing_is_held()
        assert (till.used(), till.ledger.rows.keys()) == ({POT: 950}, {"r1", "r1-1"})


@pytest.mark.gen_test
async def test_an_attempt_that_the_request_pays_for_itself_gives_its_hold_back(tmp_path: Path) -> None:
    async with open_till(tmp_path, DOLLAR_A_MILLION, MONEY) as till:
        bill = await reserved(till)
        attempt = await till.reservations.beside(bill, an_attempt(100))
        assert attempt is not None
        till.reservations.not_needed(bill, attempt.row.request_id)
        assert await till.writer.quiet(5)
        assert till.ledger.held == {"r1": {POT: 150}}


@pytest.mark.parametrize(("cost", "fault"), [(851, ""), (100, "away"), (100, "lost")])
@pytest.mark.gen_test
async def test_an_attempt_without_room_holds_nothing_when_its_request_has_ended(
    tmp_path: Path, cost: int, fault: str
) -> None:
    """Also where the store has taken the hold, and its answer was lost."""
    async with open_till(tmp_path, DOLLAR_A_MILLION, MONEY) as till:
        bill = await reserved(till)
        till.ledger.faults = [fault]
        assert await till.reservations.beside(bill, an_attempt(cost)) is None
        till.reservations.settle(bill, a_row())
        await till.assert_nothing_is_held()
        assert till.used() == {POT: 150}


@pytest.mark.gen_test
async def test_who_leaves_while_an_attempt_is_held_leaves_no_hold_behind(tmp_path: Path) -> None:
    async with open_till(tmp_path, DOLLAR_A_MILLION, MONEY) as till:
        bill = await reserved(till)
        till.ledger.faults = ["slow"]
        asking = asyncio.create_task(till.reservations.beside(bill, an_attempt(100)))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        till.reservations.settle(bill, a_row())
        await till.assert_nothing_is_held()


@pytest.mark.gen_test
async def test_an_attempt_that_cost_nothing_needs_no_hold(tmp_path: Path) -> None:
    async with open_till(tmp_path, DOLLAR_A_MILLION, MONEY) as till:
        bill = await reserved(till)
        till.ledger.asked.clear()
        assert await till.reservations.beside(bill, an_attempt(0)) is not None
        assert till.ledger.asked == {}


# settle and close


@pytest.mark.parametrize("status", Outcome)
@pytest.mark.gen_test
async def test_however_a_request_ends_its_hold_is_gone_and_a_place_in_the_minute_is_back_if_no_key_served_it(
    tmp_path: Path, status: Outcome
) -> None:
    requests = budget(Scope.PERSON, ADA.person_id, Unit.REQUESTS, 9)
    async with open_till(tmp_path, DOLLAR_A_MILLION, MONEY, requests, ONE_A_MINUTE) as till:
        bill = await reserved(till)
        served = status not in (Outcome.FAILED, Outcome.REJECTED)
        till.reservations.settle(bill, a_row(status=status, cost=90))
        till.reservations.close(bill)
        await till.assert_nothing_is_held()
        counted = {counter("person:usr_ada", Unit.REQUESTS): 1} if served else {}
        assert till.used() == {POT: 90, **counted}
        if served:
            with pytest.raises(RateLimited):
                await reserved(till, "r2")
        else:
            await reserved(till, "r2")


@pytest.mark.gen_test
async def test_a_rate_is_corrected_by_what_a_request_really_was(tmp_path: Path) -> None:
    async with open_till(tmp_path, DOLLAR_A_MILLION, TOKENS_A_MINUTE) as till:
        till.reservations.settle(await reserved(till, tokens=900), a_row())
        bill = await reserved(till, "r2", 800)
        assert bill.headers["x-ratelimit-remaining-tokens"] == "50"


@pytest.mark.gen_test
async def test_a_row_goes_to_the_store_also_when_the_journal_cannot_take_it(tmp_path: Path) -> None:
    async with open_till(tmp_path, DOLLAR_A_MILLION, MONEY) as till:
        bill = await reserved(till)
        till.reservations.dispatched(bill, a_row(status=Outcome.INTERRUPTED))
        till.disk.room = 0
        till.reservations.settle(bill, a_row())
        await till.assert_nothing_is_held()
        assert till.ledger.rows["r1"].row.status is Outcome.COMPLETED


@pytest.mark.gen_test
async def test_closing_what_was_never_sent_gives_everything_back_once(tmp_path: Path) -> None:
    async with open_till(tmp_path, DOLLAR_A_MILLION, MONEY, ONE_A_MINUTE) as till:
        bill = await reserved(till)
        for _ in range(2):
            till.reservations.close(bill)
        await till.assert_nothing_is_held()
        assert (till.ledger.rows, till.disk.lines, till.writer.counts.released) == ({}, 0, 1)
        await reserved(till, "r2")
