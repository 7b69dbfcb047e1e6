"""The rates of the minute as requests meet them: taken or refused, and shown in the headers of every answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from server.accounting.announced_rates import AnnouncedRates, Taking
from server.ledger.headers import limit_headers
from server.ledger.holds import BudgetStanding, HoldEntry, tightest
from server.ledger.limits import Unit, named
from server.ledger.ratelimit import RateLimits, Taken, Wait
from server.ledger.standard_headers import draft8
from server.wire.errors import RateLimited

NAMES = 20_000  # that are remembered


class MinuteRates:
    """`clock` is monotonic seconds, `wall` UTC milliseconds."""

    def __init__(self, clock: Callable[[], float], wall: Callable[[], int]) -> None:
        self._clock, self._wall = clock, wall
        self._limits = RateLimits()

    def announced(
        self,
        workers: int,
        announce: Callable[[list[Taking]], None],
        later: Callable[[float, Callable[[], None]], object],
    ) -> AnnouncedRates:
        """Have the other workers of this machine hear what is taken here."""
        announced = AnnouncedRates(self._limits, self._clock, workers, announce, later)
        self.share(announced.took)
        return announced

    def share(self, say: Callable[[str, int, float], None]) -> None:
        """Have others hear what is taken here (`ratelimit.py`); what they take is to be noted."""
        self._limits.say = say

    def name_by(self, name: Callable[[str], str]) -> None:
        """Call the counters by other names from now on, before the first request."""
        self._limits.name = lru_cache(NAMES)(name)

    def spare(self, wait: Callable[[str, int, int], float]) -> None:
        """Take only what others leave (`ratelimit.py`)."""
        self._limits.spare = wait

    async def counting(self, _: object) -> list[tuple[str, int, float]]:
        """What a worker that has just begun is to note, when it asks."""
        return self._limits.counting(self._clock())

    def note(self, counter: str, amount: int, at: float) -> None:
        """Another worker or gateway has taken so much."""
        self._limits.note(counter, amount, at, self._clock())

    def take(self, rates: Sequence[HoldEntry], dialect: str) -> Taken:
        """Take from all of them, or from none. Raises RateLimited, with the headers of this dialect."""
        taken = self._limits.take(rates, self._clock())
        if isinstance(taken, Taken):
            return taken
        raise self._refusal(taken, rates, dialect)

    def give_back(self, taken: Taken | None) -> None:
        """As if it had not been taken. Twice is once."""
        if taken is not None:
            self._limits.give_back(taken)

    def correct(self, taken: Taken, tokens: int) -> None:
        """So many tokens it really was."""
        self._limits.correct(taken, tokens)

    def standing(self, entry: HoldEntry) -> BudgetStanding:
        """How much of a rate is taken now."""
        left = self._limits.left((entry,), entry.limit.unit, self._clock())
        return BudgetStanding(entry, 0 if left is None else left.limit - left.remaining)

    def headers(self, dialect: str, rates: Sequence[HoldEntry], budgets: Sequence[BudgetStanding]) -> dict[str, str]:
        """The headers by which a caller reads their limits in an answer."""
        now, money = self._clock(), tightest(budgets, Unit.USD)
        requests, tokens = self._limits.left(rates, Unit.REQUESTS, now), self._limits.left(rates, Unit.TOKENS, now)
        left = None if money is None else money.remaining
        headers = limit_headers(dialect, requests, tokens, left, self._wall())
        return headers if dialect == "anthropic" else headers | draft8(requests, tokens)

    def _refusal(self, wait: Wait, rates: Sequence[HoldEntry], dialect: str) -> RateLimited:
        refusal = RateLimited(retry_after=wait.seconds)
        refusal.limit = named(wait.limit)
        refusal.retriable = wait.seconds is not None  # what is larger than the limit never fits
        refusal.headers = self.headers(dialect, rates, [])
        return refusal
