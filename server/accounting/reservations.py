"""Reservations: what a request may cost is kept before it waits, and what it did cost is on the ledger for certain.

    open       which price and which limits are this request's                   refused: no price
    reserve    hold what it may take of all budgets, all or nothing              refused: rate, quota, no store
    clear      the same for the cap of the upstream that was chosen              another key
    dispatched the journal knows it, as it would stand if we died now            refused: no journal
    beside     hold what a failed attempt was billed, too                        no other key is asked
    settle     the journal knows how it ended; the store hears of it behind the answer
    close      give back what was held for a request that was never dispatched

Where the store is away, people without budgets go on as before: the journal takes what the store cannot. People with
budgets go on within what this gateway has in escrow, and no further (`escrow`). Guests go on within the money of their
passes (`allowance`).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

from server.accounting.allowance import GuestBudgets
from server.accounting.bill import Admitted, Bill
from server.accounting.counters import Counters, who_counts
from server.accounting.escrow import EscrowKeeper
from server.accounting.journal import Journal, JournalError
from server.accounting.minute_rates import MinuteRates
from server.accounting.runtime_config import RuntimeConfig
from server.accounting.settlement_writer import SettlementWriter
from server.ledger.calendar import Calendar
from server.ledger.ceiling import most_taken, unmeasured
from server.ledger.holds import (
    UNSERVED,
    BudgetStanding,
    Claim,
    Estimate,
    applying_to_upstream,
    claim,
)
from server.ledger.limits import Scope, Unit, named
from server.ledger.money import MOST
from server.ledger.quota import Exceeded, Reserved, Settlement
from server.ledger.ratelimit import Taken
from server.ledger.usage import UsageRow
from server.policy.groups import Rights
from server.store.base import Caller, StoreError
from server.store.breaker import Guarded
from server.wire.errors import (
    AccountingUnavailable,
    InsufficientQuota,
    ModelNotPriced,
    Refusal,
    ToolNotBounded,
    ToolNotPriced,
)
from server.wire.hosted import Hosted

log = logging.getLogger("fairgate")

MOST_LOWERED = 4  # times that one request's bound is fitted to a budget from which others take at the same time
BEYOND = 4 * MOST  # micro-USD: more than any limit admits, with its increase, and still a number for every store
FREE_KINDS = frozenset({"moderations", "count_tokens", "input_tokens"})  # for these no provider charges


class Reservations:
    """Keeps the books of all requests. `clock` is monotonic seconds, `wall` UTC milliseconds."""

    def __init__(
        self,
        guard: Guarded,
        journal: Journal,
        settlement_writer: SettlementWriter,
        book: RuntimeConfig,
        calendar: Calendar,
        escrow: EscrowKeeper,
        clock: Callable[[], float],
        wall: Callable[[], int],
    ) -> None:
        self._guard, self._journal, self._settlement_writer, self._book = guard, journal, settlement_writer, book
        self._calendar, self._escrow, self._clock, self._wall = calendar, escrow, clock, wall
        self._counters = Counters(lambda: book.limits, calendar)
        self.rates, self._guest_budgets = MinuteRates(clock, wall), GuestBudgets()
        self.exceeded: Counter[tuple[Scope, Unit]] = Counter()  # budgets that refused a request, since the start

    @property
    def holding(self) -> int:
        """Requests under way that hold something of a budget."""
        return self._escrow.holding

    @property
    def backlog(self) -> int:
        """Settlements that the store does not have yet."""
        return self._settlement_writer.backlog

    @property
    def in_escrow(self) -> int:
        """Counters from which may be held without asking the store."""
        return self._escrow.live

    @property
    def full(self) -> bool:
        """So much waits for the store that nothing more may be begun."""
        return self._settlement_writer.full

    async def quiet(self, seconds: float) -> None:
        """Wait until the store has everything, at most for so long."""
        await self._settlement_writer.quiet(seconds)

    def knock(self, caller: Caller, dialect: str) -> Taken | None:
        """Take a request's place in those rates of the minute that count all models, before its body is read.

        So a caller who has used up the minute sends no body in vain, and unfinished uploads count. `Call.knocked` is
        given back as soon as the request takes what it really needs. None where there is no such rate. Raises
        RateLimited.
        """
        rates = self._counters.of(caller, (), None, self._wall()).knocks
        return self.rates.take(rates, dialect) if rates else None

    def left(self, knocked: Taken | None) -> None:
        """A request that has knocked has ended, perhaps before it took anything else. Twice is once."""
        self.rates.give_back(knocked)

    def open(self, call: Admitted, rights: Rights, at: int) -> Bill:
        """Begin a request's bill. `at`: its arrival, UTC milliseconds.

        Raises ModelNotPriced, ToolNotPriced, ToolNotBounded, AccountingUnavailable.
        """
        if self.full or not self._book.known:
            raise AccountingUnavailable
        request, caller = call.request, call.caller
        price = self._book.prices.of(request.model, at)
        if price is None and request.endpoint.kind not in FREE_KINDS:
            raise ModelNotPriced
        drawn = self._counters.of(caller, () if call.group is None else (call.group,), request.model, at)
        dialect = request.endpoint.dialect.name
        bill = Bill(call.id, at, self._calendar.day(at), drawn.who, request.model, dialect, price, drawn.limits)
        bill.counters = drawn.claim
        bill.tariff, bill.asked = self._book.tariff_of(call.group), request.hosted.most()
        if request.hosted.fields:
            self._check_tools(bill, request.hosted)
        bill.content_days, bill.content_group, bill.spend = rights.content_days, rights.content_group, caller.spend
        bill.content_readers = rights.content_readers
        bill.knocked = call.knocked
        return bill

    def open_own_key(self, call: Admitted, at: int) -> Bill:
        """Begin the bill of a request with the caller's own key: it costs nothing here, and no limit counts it.

        Raises AccountingUnavailable: its row would have no place.
        """
        if self.full:
            raise AccountingUnavailable
        request, who = call.request, who_counts(call.caller, () if call.group is None else (call.group,))
        return Bill(call.id, at, self._calendar.day(at), who, request.model, request.endpoint.dialect.name, None)

    def bounds(self, bill: Bill) -> bool:
        """Whether a budget applies: the caller's, or the cap of an upstream that may serve it."""
        return bill.bounded_by((*bill.limits, *self._book.limits.caps_of(bill.model, bill.at)))

    async def reserve(self, bill: Bill, input_tokens: int, output_tokens: int) -> None:
        """Hold what the request may take: of rates what it probably will, of budgets the most (`Bill.most`).

        Where a budget has too little, `Bill.most` is lowered to what it has, if it may be. Raises RateLimited,
        ModelNotPriced, InsufficientQuota, AccountingUnavailable.
        """
        self._estimate(bill, input_tokens, output_tokens)
        if not bill.limits and bill.most is None:
            return
        self._claim(bill)
        self._take_rates(bill)
        standings = await self._hold(bill) if bill.claim.holds else []
        bill.headers |= self.rates.headers(bill.dialect, bill.claim.rates, standings)

    def reserve_from_escrow(self, bill: Bill, input_tokens: int, output_tokens: int) -> bool:
        """The same, if what this gateway has in escrow is enough for it. False: nothing is held.

        It never is where the cap of an upstream applies: that is asked for when the upstream is known.
        """
        self._estimate(bill, input_tokens, output_tokens)
        self._claim(bill)
        if self._book.limits.caps_of(bill.model, bill.at):
            return False
        held = self._escrow.hold_here(bill.request_id, bill.claim.holds)
        if held is None:
            return False
        self._take_rates(bill)
        bill.headers |= self.rates.headers(bill.dialect, bill.claim.rates, bill.claim.reserved(held.taken))
        return True

    async def clear(self, bill: Bill, upstream: str) -> bool:
        """Hold the cost against the cap of the upstream that is to be used; False if that leaves no room for it.

        Raises AccountingUnavailable: while the store is away, the rest of a cap is unknown.
        """
        bill.claim = bill.budgets  # of an upstream that was tried before nothing is charged
        limits = applying_to_upstream(self._book.limits, upstream, bill.model, bill.at)
        if not limits:
            return True
        cap = claim(limits, bill.who, bill.needs, self._calendar, bill.at)
        bill.claim = bill.budgets.also(cap)
        if not cap.holds:
            return True
        try:
            answer = await self._escrow.hold(bill.request_id, bill.at, cap.holds)
        except StoreError:
            raise AccountingUnavailable from None
        if isinstance(answer, Exceeded):
            self.exceeded[Scope.UPSTREAM, cap.refused(answer).entry.limit.unit] += 1
        return isinstance(answer, Reserved)

    def dispatched(self, bill: Bill, row: UsageRow) -> None:
        """The request goes out now. `row` is how it stands if nothing more is heard. Raises AccountingUnavailable."""
        try:
            self._journal.opened(Settlement(row, self._escrow.draws(bill.request_id, bill.claim.charges(row))))
        except JournalError as error:
            log.error("%s", error)
            raise AccountingUnavailable from None

    async def beside(self, bill: Bill, row: UsageRow) -> Settlement | None:
        """Hold what an attempt cost that failed, beside the request's own hold, which is for one attempt.

        None if a budget has no room for it: then no other attempt must go out. Else `book` or `not_needed` follows.
        """
        holds = bill.claim.beside(charges := bill.claim.charges(row))
        try:
            room = not holds or isinstance(await self._escrow.hold(row.request_id, bill.at, holds), Reserved)
        except StoreError:
            room = not holds or self._guest_may_go_on(bill, row.request_id, row.cost_micro_usd)
        except BaseException:
            self._escrow.give_back(row.request_id)
            raise
        if not room:
            self._escrow.give_back(row.request_id)  # the store may hold it all the same: its answer may be lost
            return None
        return Settlement(row, charges)

    def book(self, bill: Bill, attempt: Settlement) -> None:
        """From here on the row of an attempt cannot be lost, either."""
        self.note(Settlement(attempt.row, self._escrow.settle(attempt.row.request_id, attempt.charges)))
        self._spend(bill, attempt.row.request_id, attempt.row.cost_micro_usd)

    def not_needed(self, bill: Bill, request_id: str) -> None:
        """Give back what is held for a request that is never dispatched, or for an attempt that it pays for itself."""
        self._escrow.give_back(request_id)
        self._spend(bill, request_id, 0)

    def settle(self, bill: Bill, row: UsageRow) -> None:
        """The request has ended. From here on its row cannot be lost, whatever dies."""
        bill.settled = True
        self.note(Settlement(row, self._escrow.settle(bill.request_id, bill.claim.charges(row))))
        self._spend(bill, bill.request_id, row.cost_micro_usd)
        if bill.taken is not None:
            if row.status in UNSERVED:
                self.rates.give_back(bill.taken)
            else:
                self.rates.correct(bill.taken, row.usage.input + row.usage.output)

    def note(self, settlement: Settlement) -> None:
        """Put a settlement on the ledger for certain."""
        try:
            self._journal.settled(settlement)
        except JournalError as error:
            log.error("%s: request %s is only on its way to the store", error, settlement.row.request_id)
        self._settlement_writer.post(settlement)

    def close(self, bill: Bill) -> None:
        """Give back what is held for a request that was never dispatched; nothing if it was."""
        if bill.settled:
            return
        bill.settled = True
        self.rates.give_back(bill.taken)
        self.not_needed(bill, bill.request_id)

    async def standing(self, caller: Caller) -> list[dict[str, Any]]:
        """How a caller's limits stand now, the store's ones and the minute's. Raises StoreError."""
        at = self._wall()
        mine = self._counters.of(caller, self._book.rights(caller.groups, at).groups, None, at).claim
        taken = await self._guard.taken(mine.counters)
        used = {name: amount + self._escrow.in_use(name) for name, amount in zip(mine.counters, taken, strict=True)}
        standings = mine.standings(used)
        return [it.as_dict() for it in (*standings, *map(self.rates.standing, mine.rates))]

    def _estimate(self, bill: Bill, input_tokens: int, output_tokens: int) -> None:
        """Note what the request probably needs. Raises ModelNotPriced if its most cannot be priced."""
        bill.output = output_tokens
        cost = min(bill.cost(bill.guessed(input_tokens)), BEYOND)
        bill.needs = Estimate(cost, input_tokens + output_tokens)
        if bill.most is not None and unmeasured(bill.price, bill.most):
            raise ModelNotPriced

    def _claim(self, bill: Bill) -> None:
        """Claim of rates what it probably needs, and of budgets the most that it can take, where that is known."""
        likely = bill.needs
        self._bound(bill)
        bill.claim = bill.budgets = bill.counters.needing(bill.needs, likely)

    def _lowered(self, bill: Bill, refused: BudgetStanding) -> bool:
        """Bound its answer by what a budget has left, and claim that of its budgets; its rates stay as they are."""
        if not bill.lowered(refused):
            return False
        self._bound(bill)
        budgets = tuple(entry.needing(bill.needs) for entry in bill.claim.budgets)
        bill.claim = bill.budgets = Claim(budgets, bill.claim.rates)
        return True

    def _bound(self, bill: Bill) -> None:
        """It needs the most that it can take, where that is known."""
        if bill.most is not None:
            most = most_taken(bill.price, bill.most, bill.tariff)
            bill.needs = Estimate(min(most.cost_micro_usd, BEYOND), most.tokens)

    def _check_tools(self, bill: Bill, hosted: Hosted) -> None:
        """A tool without a price or an end is refused where a budget in money applies, also that of an upstream.

        Raises ToolNotPriced, ToolNotBounded.
        """
        limits = (*bill.limits, *self._book.limits.caps_of(bill.model, bill.at))
        if not any(limit.unit is Unit.USD for limit in limits):
            return
        for name, field in hosted.fields:
            if (price := bill.tariff.tools.get(name)) is None:
                raise ToolNotPriced(field)
            if price and name in hosted.endless:
                raise ToolNotBounded(field)

    def _take_rates(self, bill: Bill) -> None:
        if not bill.claim.rates:
            return
        self.left(bill.knocked)
        bill.taken = self.rates.take(bill.claim.rates, bill.dialect)

    async def _hold(self, bill: Bill) -> list[BudgetStanding]:
        """Hold what the budgets must give, and tell how they stand then."""
        try:
            answer = await self._escrow.hold(bill.request_id, bill.at, bill.claim.holds)
            for _ in range(MOST_LOWERED):  # others take from it meanwhile
                if not isinstance(answer, Exceeded) or not self._lowered(bill, bill.claim.refused(answer)):
                    break
                answer = await self._escrow.hold(bill.request_id, bill.at, bill.claim.holds)
        except StoreError:
            if not self._guest_may_go_on(bill, bill.request_id, bill.needs.cost_micro_usd):
                raise AccountingUnavailable from None
            return []
        if isinstance(answer, Exceeded):
            refused = bill.claim.refused(answer)
            self.exceeded[refused.entry.limit.scope, refused.entry.limit.unit] += 1
            refusal = InsufficientQuota(retry_after=refused.retry_after(self._wall()))
            refusal.limit = named(refused.entry.limit)
            raise self._with_headers(refusal, bill, [refused])
        return bill.claim.reserved(answer.taken)

    def _guest_may_go_on(self, bill: Bill, request_id: str, cost: int) -> bool:
        """Whether a guest's request is let in while the store is away, or one more attempt of it."""
        if bill.spend is None:
            return False
        return self._guest_budgets.take(request_id, _pass_id(bill), cost, bill.spend, self._wall())

    def _spend(self, bill: Bill, request_id: str, cost: int) -> None:
        """A guest's request, or an attempt of it, has ended, and so much of the pass is gone."""
        if bill.spend is not None:
            self._guest_budgets.settle(request_id, _pass_id(bill), cost, self._wall())

    def _with_headers(self, refusal: Refusal, bill: Bill, standings: list[BudgetStanding]) -> Refusal:
        refusal.headers = self.rates.headers(bill.dialect, bill.claim.rates, standings)
        return refusal


def _pass_id(bill: Bill) -> str:
    assert bill.who.token_id is not None, "a guest has a pass"
    return bill.who.token_id
