"""The data of the public pages: counts and names, frozen.

These pages are public, so this module is the border. No key, fingerprint, person or token has a field here; the code
that builds a view decides nothing about privacy. Words and layout are the renderer's, numbers are the caller's.

In all views: instants are UTC milliseconds since 1970 and end in `_ms`; durations are seconds; money is integer
micro-USD; shares are 0 to 1; days are "2026-11-21" where the operator lives; None is "not known", which is not 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Literal
from urllib.parse import unquote

KEY_STATES = ("ready", "cooling", "exhausted", "unchecked", "paused", "revoked")
"""The states of a key as the page names them, the healthiest first."""

PERIODS = ("24h", "7d", "30d")

State = Literal["up", "draining", "degraded", "maintenance"]
Condition = Literal["available", "busy", "checking", "recovering", "unavailable"]
Demand = Literal["low", "medium", "high", "very high"]
Tone = Literal["good", "warn", "bad", "idle"]


@dataclass(frozen=True, slots=True)
class Visitor:
    """The person who is logged in, for the head of a page."""

    name: str
    admin: bool = False


@dataclass(frozen=True, slots=True)
class NoticeView:
    """A line of the operator for all visitors."""

    kind: Literal["announcement", "maintenance", "incident"]
    text: str
    since_ms: int
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Flash:
    """The result of the form that was just sent: one sentence of ours."""

    tone: Tone
    text: str


@dataclass(frozen=True, slots=True)
class Sent:
    """A form that could not be carried out: where it was sent, and its fields as they stood there."""

    action: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Frame:
    """The head and foot of every page.

    `xsrf` goes into every form and is empty where there is none. `login` and `leaderboard` say whether those pages
    exist. `zone` is that of the times on the page, `days` that in which days begin: the operator's. `notices` are those
    that hold now.
    """

    title: str  # the installation's name
    now_ms: int
    zone: tzinfo = UTC
    visitor: Visitor | None = None
    xsrf: str = ""
    login: bool = False
    leaderboard: bool = False
    notices: tuple[NoticeView, ...] = ()
    flash: Flash | None = None
    sent: Sent | None = None
    language: str = ""  # the reader's; empty: that in which the page is written anyhow
    languages: tuple[str, ...] = ()  # those to choose from
    path: str = "/"  # where a reader goes who has chosen one
    days: tzinfo = UTC

    def said(self, action: str) -> Mapping[str, str]:
        """The values that were entered into the form of this address, if that form was refused."""
        sent = self.sent
        return sent.fields if sent is not None and unquote(sent.action) == unquote(action) else {}


@dataclass(frozen=True, slots=True)
class Ladder:
    """Percentiles of so many durations, in seconds."""

    count: int
    p50: float
    p90: float
    p99: float


@dataclass(frozen=True, slots=True)
class PeriodView:
    """One model over the last 24 hours, 7 or 30 days. `uptime` is of the time that was watched at all."""

    period: Literal["24h", "7d", "30d"]
    requests: int
    failed: int = 0
    uptime: float | None = None
    watched: float = 1.0  # how much of the period there is a record of
    wait: Ladder | None = None  # in the queue
    first_byte: Ladder | None = None  # from arrival to the first byte of the answer
    tokens_per_second: float | None = None  # of one answer


@dataclass(frozen=True, slots=True)
class ModelView:
    """One model: its queue, the keys that serve it and how it has been.

    The waits are of the latest requests, None before the first. `gap` is the largest difference between what two
    people who wait have been served, and `gap_bound` what the queue's rule allows, both in largest requests; `jain` is
    the fairness index (1: all the same) of those who waited in the last minutes.
    """

    name: str
    waiting: int  # requests in the queue
    running: int  # requests that hold a slot
    slots: int  # requests that may run at once
    keys: Mapping[str, int] = field(default_factory=dict)  # state (one of KEY_STATES) -> number of keys
    wait_p50_seconds: float | None = None
    wait_p99_seconds: float | None = None
    jain: float = 1.0
    gap: float = 0.0
    gap_bound: float = 0.0
    wait_seconds: float | None = None  # what a new request would usually wait; None: not known
    wait_latest_seconds: float | None = None  # and what it would wait at most, in nine of ten cases
    forecasts: int = 0  # waits that were forecast and have ended
    forecasts_near: int = 0  # of these, within a quarter of the true wait
    demand: Demand | None = None
    periods: tuple[PeriodView, ...] = ()  # those of PERIODS that there is any record of, in that order
    uptime_days: tuple[float | None, ...] = ()  # of the last 30 days, the oldest first; None: not watched

    def __post_init__(self) -> None:
        unknown = set(self.keys) - set(KEY_STATES)
        if unknown:
            raise ValueError(f"not a key state: {', '.join(sorted(unknown))}")

    @property
    def condition(self) -> Condition:
        """The state of the model for a new request, in one word."""
        if self.keys.get("ready"):
            return "busy" if self.waiting else "available"
        if self.keys.get("unchecked"):
            return "checking"
        return "recovering" if self.keys.get("cooling") else "unavailable"

    @property
    def answers(self) -> bool:
        """Whether at least one key is ready."""
        return bool(self.keys.get("ready"))

    def over(self, period: str) -> PeriodView | None:
        """How it has been over one of PERIODS."""
        return next((each for each in self.periods if each.period == period), None)


@dataclass(frozen=True, slots=True)
class KeyView:
    """One key without a name: whose service it is for, how it is and since when."""

    provider: str  # such as "openai"
    state: str  # one of KEY_STATES
    since_ms: int | None = None
    models: int = 0  # how many it serves


@dataclass(frozen=True, slots=True)
class HourView:
    """One hour of the last 24. `busy` is the share of all slots that was in use; None if it was not measured."""

    start_ms: int
    requests: int
    busy: float | None = None


@dataclass(frozen=True, slots=True)
class TotalsView:
    """The usage of a stretch of time."""

    requests: int
    tokens_in: int
    tokens_out: int
    micro_usd: int | None = None


@dataclass(frozen=True, slots=True)
class IncidentView:
    """Something that did not work, in words of ours. It lasts while `ended_ms` is None."""

    title: str  # such as "gpt-5.2 did not answer"
    began_ms: int
    ended_ms: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class StatusView:
    """The whole installation at one instant. `today` is the operator's day, in the `zone`.

    Everything from `checking` on may be left out: where the history is young, the page says so and shows what there is.
    """

    title: str  # the installation's name
    state: State
    demo: bool  # whether the built-in demo model answers instead of a provider
    uptime_seconds: float
    now_ms: int
    models: tuple[ModelView, ...]
    requests_today: int
    tokens_in_today: int
    tokens_out_today: int
    base_url: str  # scheme, host and port as callers reach them, without a path: "http://127.0.0.1:8080"
    checking: tuple[int, int] | None = None  # keys checked so far and in all, while that is done for the first time
    cost_today_micro_usd: int | None = None
    month: TotalsView | None = None
    ever: TotalsView | None = None
    people_online: int | None = None  # different people in the last minutes
    keys: tuple[KeyView, ...] = ()
    hours: tuple[HourView, ...] = ()  # at most 24, the oldest first, the last one not yet over
    history_since_ms: int | None = None  # when the record begins
    incidents: tuple[IncidentView, ...] = ()  # the newest first
    notices: tuple[NoticeView, ...] = ()  # those that hold now
    thanks: tuple[str, ...] = ()  # whose keys are shared here, as the operator names them
    zone: tzinfo = UTC
    login: bool = False
    leaderboard: bool = False
    language: str = ""
    languages: tuple[str, ...] = ()

    @property
    def frame(self) -> Frame:
        """The page is the same for all visitors of one language, so that it is made once for them."""
        return Frame(
            self.title,
            self.now_ms,
            zone=self.zone,
            login=self.login,
            leaderboard=self.leaderboard,
            notices=self.notices,
            language=self.language,
            languages=self.languages,
        )

    @property
    def today(self) -> TotalsView:
        return TotalsView(self.requests_today, self.tokens_in_today, self.tokens_out_today, self.cost_today_micro_usd)

    @property
    def waiting(self) -> int:
        """Requests in all queues."""
        return sum(model.waiting for model in self.models)

    @property
    def running(self) -> int:
        """Requests that hold a slot, of all models."""
        return sum(model.running for model in self.models)

    @property
    def answering(self) -> int:
        """Models that answer now."""
        return sum(model.answers for model in self.models)
