"""Questions to the ledger: the choice of rows, and the grouping of their sums."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from server.ledger.usage import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """The rows of which all that is named here holds. None is no condition.

    `after` is inclusive and `before` exclusive, UTC milliseconds of the request's arrival. `model` is the one that was
    asked for.
    """

    person_id: str | None = None
    group: str | None = None
    token_id: str | None = None
    model: str | None = None
    status: Outcome | None = None
    key: str | None = None  # its fingerprint
    after: int | None = None
    before: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """Like `Which`, for the sums by day: whole days, both inclusive, such as "2026-11-21"."""

    person_id: str | None = None
    group: str | None = None
    token_id: str | None = None
    model: str | None = None
    status: Outcome | None = None
    first: str | None = None
    last: str | None = None


class By(StrEnum):
    """The grouping of sums."""

    DAY = "day"
    MODEL = "model"
    PERSON = "person"
    GROUP = "group"
    TOKEN = "token"  # noqa: S105 - a column
    STATUS = "status"
    KEY = "key"  # of rows alone: the sums by day do not know it


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """Sums over rows. `key` holds one value for each `By` that was asked for, in that order; None is "none"."""

    key: tuple[str | None, ...] = ()
    requests: int = 0
    input: int = 0
    cached: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0
    cost_micro_usd: int = 0


class SumMeasure(StrEnum):
    """The measure that a leaderboard ranks by."""

    REQUESTS = "requests"
    TOKENS = "tokens"  # input and output
    COST = "cost"


class Figure(StrEnum):
    """The figure of a row by which a list of requests may be sorted."""

    COST = "cost"
    TOKENS = "tokens"  # input and output
    DURATION = "duration"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Ranking:
    """The order of a list of requests by a figure; rows alike are in the order of their ids."""

    figure: Figure
    falling: bool  # the largest first

    def __str__(self) -> str:
        """As an address says it: "-cost"."""
        return f"-{self.figure}" if self.falling else self.figure.value


# Where a page of rows ended: the next one goes on behind this row's arrival and id.
Cursor = tuple[int, str]
