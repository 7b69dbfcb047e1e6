"""The money side of one request: what it is priced by, what is held for it, what it is charged in the end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol

from server.ledger.ceiling import fitting
from server.ledger.holds import NOTHING, BudgetStanding, Claim, Estimate, Who
from server.ledger.limits import Limit, LimitWindow, Unit
from server.ledger.prices import Price, cost
from server.ledger.ratelimit import Taken
from server.ledger.tariff import LISTED, Tariff
from server.store.base import Caller
from server.wire.extent import Ceiling
from server.wire.request import Request
from server.wire.usage import Usage

NO_CLAIM = Claim()
NO_USAGE = Usage()


class Admitted(Protocol):
    """A request that was let in. `group`: the one that it is booked on. `knocked`: its place in the minute's rates."""

    @property
    def id(self) -> str: ...
    @property
    def caller(self) -> Caller: ...
    @property
    def request(self) -> Request: ...
    @property
    def group(self) -> str | None: ...
    @property
    def knocked(self) -> Taken | None: ...


@dataclass(slots=True)
class Bill:
    """One request's bill. `at` is its arrival, UTC milliseconds: the instant whose prices, limits and windows count."""

    request_id: str
    at: int
    day: str
    who: Who
    model: str
    dialect: str
    price: Price | None  # None only where nothing is billed anyway
    limits: tuple[Limit, ...] = ()  # those that apply
    tariff: Tariff = LISTED  # what costs something beside the model
    asked: Usage = NO_USAGE  # what is asked for beside tokens: tools, at their bounds, and the service
    spend: int | None = None  # micro-USD that a guest's pass may spend in all
    content_days: int = 0  # so long its content is kept, and by whose wish; 0 is not at all
    content_group: str = ""
    content_readers: tuple[str, ...] = ()  # whom this group names to read it
    output: int = 0  # tokens that the answer will probably have
    guess: Usage | None = None  # by its own words, see `guessed`: asked for when it is reserved, and when it goes out
    guess_costs: int = 0  # micro-USD
    most: Ceiling | None = None  # the most that it can be billed; None where no budget applies
    least: int = 0  # tokens to which the bound of its answer may be lowered; 0: it is the caller's own, and stays
    needs: Estimate = NOTHING
    counters: Claim = NO_CLAIM  # of the caller, before anything is needed of them
    budgets: Claim = NO_CLAIM  # of the caller
    claim: Claim = NO_CLAIM  # of the caller, and of the upstream that is used
    knocked: Taken | None = None  # its places in them from before its body was read
    taken: Taken | None = None  # its places in the rates of the minute
    settled: bool = False
    headers: dict[str, str] = field(default_factory=dict)  # for the caller, with the answer's head

    @property
    def price_id(self) -> str | None:
        return None if self.price is None else self.price.id

    def guessed(self, input_tokens: int) -> Usage:
        """The usage that it will probably have. It stands on the ledger if nothing more is heard of the request."""
        guess = self.guess
        if guess is None or guess.input != input_tokens or guess.output != self.output:
            guess = self.guess = self.asked.with_tokens(input_tokens, self.output)
            self.guess_costs = self._cost(guess)
        return guess

    def cost(self, usage: Usage) -> int:
        """Micro-USD. A request that used nothing costs nothing, even where a request as such has a price."""
        return self.guess_costs if usage is self.guess else self._cost(usage)

    def _cost(self, usage: Usage) -> int:
        if self.price is None or usage.nothing:
            return 0
        return cost(self.price, usage, self.tariff)

    def lowered(self, refused: BudgetStanding) -> bool:
        """Bound its answer by what a budget that refused it has left; False if that is too little or not allowed."""
        if self.most is None or not self.least:
            return False
        output = fitting(self.price, self.most, refused.remaining, refused.entry.limit.unit, self.tariff)
        if output < self.least:
            return False
        self.most = replace(self.most, output=output)
        return True

    def bounded_by(self, limits: Iterable[Limit]) -> bool:
        """Whether one of these is a budget that it can draw on: in tokens, or in money if it costs any."""
        free = (self.price is None or self.price.free) and not self.asked.tools
        units = (Unit.TOKENS,) if free else (Unit.TOKENS, Unit.USD)
        return any(limit.unit in units and limit.window is not LimitWindow.MINUTE for limit in limits)
