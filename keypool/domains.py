"""Capacity domains: the keys and models that share a provider's limits.

A provider limits an organisation (or project) for each group of models, not a key: two keys of one organisation share
requests per minute, tokens per minute and the prompt cache. A domain is that shared thing. It holds a token bucket for
each limit that is known, because that is what providers use: full at first, refilled continuously, and a request may
start when the bucket holds what it will probably need. A request that needs more than a full bucket may start on a full
one, and leaves it in debt. Some seconds of refill stay in reserve: only the next answer shows what others take from the
same organisation, and requests arrive a little earlier or later than they were sent. The reserve delays only the last
requests of a burst. (Simulated with a fifth taken by others: 3 to 12 % refusals without it, under 0.5 % with it.)

Limits are known from the operator's configuration and corrected by the headers of every answer. Such a header was
written some time ago: what was sent since may or may not be in it. So the truth lies between `remaining` less what was
sent since, and `remaining`; our own count stands where it lies within, and is moved to the nearer end otherwise.

Limits that a provider does not send are learnt from its refusals: see `hidden`. A refusal that the known buckets
explain says nothing about such hidden limits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

from keypool.health import KeyEvent, KeyHealth, KeyState
from keypool.hidden import Hidden
from keypool.limits import LimitMeasure, RateWindow
from keypool.shares import ALL, WHOLE, Part
from keypool.times import DAY, HOUR, MINUTE

RESERVE = 5.0  # seconds of refill
TELLING = 0.1  # of a limit: with less than this gone, a rounded reset says nothing about the period
OFF_BY = 1.1  # our count of a prompt's tokens over the provider's, at most
HAIR = 1e-6  # of a bucket: the slack that rounding needs
UNCERTAIN = 0.125  # of the refill, while the other gateways may count this one as dead


class Need(NamedTuple):
    """The tokens that one request will probably take from a domain.

    `reserved`: the caller's own bound on the output, which providers take from the tokens per minute beforehand.
    """

    input: int = 0
    output: int = 0
    reserved: int = 0

    def of(self, measure: LimitMeasure) -> float:
        if measure in (LimitMeasure.TOKENS, LimitMeasure.HOURLY_TOKENS, LimitMeasure.DAILY_TOKENS):
            return self.input + max(self.output, self.reserved)
        if measure is LimitMeasure.INPUT:
            return self.input
        return self.output if measure is LimitMeasure.OUTPUT else 1.0


NO_NEED = Need()


class Sent(dict[LimitMeasure, float]):
    """The state of a domain when a request started: the amount sent for each limit, the requests running, its need."""

    __slots__ = ("need", "running")

    def __init__(self, running: int = -1, need: Need = NO_NEED) -> None:
        self.running, self.need = running, need


NOTHING = Sent()  # of a request nothing is known


class Left(NamedTuple):
    """How a limit stands: how much it allows, how much is left (below 0: a debt), and seconds until all of it is."""

    capacity: float
    level: float
    full_in: float

    @property
    def used(self) -> float:
        """The used share, 0 to 1 and above when in debt."""
        return 1.0 - self.level / self.capacity if self.capacity else 1.0


@dataclass(slots=True)
class Bucket:
    """One limit. `rate` is per second; times are seconds, monotonic.

    `share`: the part of `capacity` and `rate` that is this gateway's, of which `level` is left; `until`: how long that
    is certain (`shares.py`).
    """

    capacity: float
    rate: float
    level: float
    at: float = 0.0
    sent: float = 0.0  # all that was ever taken: two readings tell what was sent between them
    share: float = 1.0
    until: float = inf

    def refill(self, now: float) -> None:
        if now > self.at:
            passed = now - self.at if now <= self.until else self._certain(now)
            self.level = min(self.capacity * self.share, self.level + passed * self.rate * self.share)
            self.at = now

    def wait(self, need: float, now: float) -> float:
        """Seconds until `need` may be taken and the reserve is left; 0 when it may be now."""
        self.refill(now)
        rate = self.rate * self.share
        if not rate:
            return inf  # this gateway has no part of it yet
        missing = min(need + RESERVE * rate, self.capacity * self.share) * (1.0 - HAIR) - self.level
        return 0.0 if missing <= 0.0 else missing / rate + HAIR

    def used(self, now: float) -> float:
        """The used share, 0 to 1 and above when in debt."""
        self.refill(now)
        return 1.0 - self.level / (self.capacity * self.share) if self.share else 1.0

    def left(self, now: float) -> Left:
        self.refill(now)
        capacity, rate = self.capacity * self.share, self.rate * self.share or self.rate
        return Left(capacity, self.level, (capacity - self.level) / rate)

    def take(self, need: float, now: float) -> None:
        self.refill(now)
        self.level -= need
        self.sent += need

    def learn(self, window: RateWindow, sent_since: float, now: float) -> None:
        """Believe a header as far as it can be believed."""
        self.refill(now)
        gone = window.limit - window.remaining
        if window.period:
            self.rate = window.limit / window.period
        elif window.refill and gone >= TELLING * window.limit:
            self.rate = window.limit / _period(window.refill, window.limit / gone)
        else:
            self.rate *= window.limit / self.capacity
        self.capacity = window.limit
        remaining = window.remaining * self.share
        self.level = min(max(self.level, remaining - sent_since), remaining)

    def give(self, amount: float, now: float) -> None:
        """What was taken is not used."""
        self.refill(now)
        self.level = min(self.capacity * self.share, self.level + amount)

    def resize(self, share: float, moved: float | None, until: float, now: float) -> None:
        """Another part is this gateway's. `moved`: what comes with it; None: what it had is lost."""
        self.refill(now)
        self.share, self.until = share, until
        level = min(0.0, self.level) if moved is None else self.level + moved
        self.level = min(self.capacity * share, level)

    def _certain(self, now: float) -> float:
        """The seconds of refill since the last one: few of them from the end of the lease on."""
        certain = max(0.0, self.until - self.at)
        return certain + (now - self.at - certain) * UNCERTAIN


@dataclass(slots=True, eq=False)
class Domain:
    """The limits that the keys of one organisation share for a group of models. `members`: its keys and their slots."""

    id: str
    buckets: dict[LimitMeasure, Bucket]
    standing: KeyHealth = field(default_factory=KeyHealth)  # COOLING while the provider asked us to wait
    members: dict[str, int] = field(default_factory=dict)
    running: int = 0
    sends_limits: bool = False  # the provider sends its limits in headers
    hidden: Hidden = field(default_factory=Hidden)
    part: Part = ALL

    @property
    def slots(self) -> int:
        return sum(self.members.values())

    def wait(self, need: Need, now: float) -> float:
        """Seconds until a request with this need may start; 0 when it may now. Infinite while the width is used up."""
        wait = max(0.0, self.standing.until - now)
        if not wait and not self.hidden.unseen:
            wait = self.hidden.wait(need.input + need.output, self.running, self.slots, now)
        for measure, bucket in self.buckets.items():
            wait = max(wait, bucket.wait(need.of(measure), now))
        return wait

    def has_room(self, need: Need, now: float) -> bool:
        """Whether a request with this need, as its caller puts it, may start now."""
        return self.wait(self.asks(need) if self.buckets else need, now) <= 0.0

    def is_beyond(self, tokens: int) -> bool:
        """Can so long a prompt never be served here?"""
        bucket = self.buckets.get(LimitMeasure.TOKENS)
        if bucket is None or LimitMeasure.INPUT in self.buckets:
            return False
        return tokens > OFF_BY * bucket.capacity

    def asks(self, need: Need) -> Need:
        """The need as this provider sees it: who limits prompts by themselves takes nothing beforehand for answers."""
        if not need.reserved or (LimitMeasure.TOKENS in self.buckets and LimitMeasure.INPUT not in self.buckets):
            return need
        return Need(need.input, need.output)

    def take(self, need: Need, now: float) -> Sent:
        """A request starts. Returns what has been sent so far, for `learn` when its answer comes."""
        sent = Sent(self.running, need)
        self.running += 1
        self.hidden.sent(need.input + need.output, now)
        for measure, bucket in self.buckets.items():
            bucket.take(need.of(measure), now)
            sent[measure] = bucket.sent
        return sent

    def give(self, need: Need, used: Need | None, now: float) -> None:
        """A request has ended. If the provider sends no limits, the rest of its need is given back.

        `used` None: unknown.
        """
        self.running -= 1
        if used is None or self.sends_limits:
            return
        for measure, bucket in self.buckets.items():
            bucket.give(need.of(measure) - used.of(measure), now)

    def learn(self, windows: Mapping[LimitMeasure, RateWindow], sent: Mapping[LimitMeasure, float], now: float) -> None:
        """An answer's headers show the limits; `sent` is what `take` returned for its request."""
        if not windows:
            return
        if not self.sends_limits:
            self.sends_limits, self.hidden = True, Hidden()
        for measure, window in windows.items():
            bucket = self.buckets.get(measure)
            if bucket is None:
                bucket = self.buckets[measure] = self._own(
                    Bucket(window.limit, window.limit / MINUTE, window.limit, now)
                )
            bucket.learn(window, bucket.sent - sent.get(measure, 0.0), now)

    def answered(self, now: float, sent: Sent = NOTHING) -> None:
        """The provider took a request. It proves nothing while we were asked to wait."""
        if self.standing.state is not KeyState.READY and now >= self.standing.until:
            self.standing.apply(KeyEvent.ANSWERED, now)
        self.hidden.answered(sent.running, now)

    def limited(self, now: float, rest: float | None, sent: Sent = NOTHING) -> None:
        """The provider refused a request for its rate; `rest` is what it asked for, in seconds.

        Refusals during a rest are of what was sent before it: a burst counts once.
        """
        if now >= self.standing.until:
            self.hidden.settle(self.slots, now)
        if not self.sends_limits:
            self.hidden.refused(sent.running, sent.need.input + sent.need.output, now)
        elif sent.running >= 0 and not self._explains(sent.need, now):
            self.hidden.refused(0, sent.need.input + sent.need.output, now)  # a rate that it does not send, as Groq's
        self.standing.apply(KeyEvent.RATE_LIMITED, now, rest)

    def _explains(self, need: Need, now: float) -> bool:
        """Whether a limit that is known was used up."""
        return any(bucket.wait(need.of(each), now) > 0.0 for each, bucket in self.buckets.items())

    def anew(self, buckets: dict[LimitMeasure, Bucket]) -> None:
        """Forget all that was learnt: only the limits of the configuration count, and these are untouched."""
        for measure, bucket in buckets.items():
            self._own(bucket)
            if measure in self.buckets:
                bucket.sent = self.buckets[measure].sent  # requests in flight know how much was sent before them
        self.buckets, self.standing, self.hidden = buckets, KeyHealth(), Hidden()

    def share(self, part: Part, now: float) -> None:
        """Another part of the limits is this gateway's from now on."""
        before, self.part = self.part, part
        for measure, bucket in self.buckets.items():
            moved = None if part.moved is None else part.moved.get(measure.value, 0.0) * bucket.capacity
            bucket.resize(part.part / WHOLE, moved, part.until, now)
        if before.part and part.part:
            self.hidden.scale(part.part / before.part)

    def hears_limit(self, measure: LimitMeasure, amount: float, period: float, now: float) -> None:
        """Another gateway has seen a limit of the whole in an answer's headers: an amount in a period in seconds."""
        if not self.sends_limits:
            self.sends_limits, self.hidden = True, Hidden()
        bucket = self.buckets.get(measure)
        if bucket is None:
            self.buckets[measure] = self._own(Bucket(amount, amount / period, amount, now))
            return
        bucket.refill(now)
        bucket.capacity, bucket.rate = amount, amount / period
        bucket.level = min(amount * bucket.share, bucket.level)

    def _own(self, bucket: Bucket) -> Bucket:
        """A full bucket as large as this gateway's part."""
        if self.part is not ALL:
            bucket.resize(self.part.part / WHOLE, 0.0, self.part.until, bucket.at)
        return bucket

    def left(self, now: float) -> dict[LimitMeasure, Left]:
        """How each limit stands."""
        return {each: bucket.left(now) for each, bucket in self.buckets.items()}

    def room(self, now: float) -> float:
        """The free share of the fullest bucket, 1 where no limit is known."""
        return 1.0 - max((bucket.used(now) for bucket in self.buckets.values()), default=0.0) if self.buckets else 1.0


@dataclass(frozen=True, slots=True)
class Quota:
    """A domain's limits as the operator knows them: per minute, `daily` per day. None: unknown."""

    requests: int | None = None
    tokens: int | None = None
    input: int | None = None
    output: int | None = None
    daily: int | None = None

    def buckets(self, now: float) -> dict[LimitMeasure, Bucket]:
        """Full buckets of the limits that are known."""
        limits = (
            (LimitMeasure.REQUESTS, self.requests, MINUTE),
            (LimitMeasure.TOKENS, self.tokens, MINUTE),
            (LimitMeasure.INPUT, self.input, MINUTE),
            (LimitMeasure.OUTPUT, self.output, MINUTE),
            (LimitMeasure.DAILY, self.daily, DAY),
        )
        return {measure: Bucket(limit, limit / period, limit, now) for measure, limit, period in limits if limit}


def _period(refill: float, whole: float) -> float:
    """The period that a provider means, where it does not say. Resets are rounded and clocks differ, so only its order
    is believed. A bucket of which a tenth is gone is full again in `whole` times `refill`; a fixed window opens anew in
    `refill`, and is at least so long. Both fit only the smaller period where the refill is shorter than that.
    """
    if refill <= 1.5 * MINUTE or refill * whole < 8 * MINUTE:
        return MINUTE
    return HOUR if refill <= 1.5 * HOUR or refill * whole < 5 * HOUR else DAY


_SNAPSHOT = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{8}|\d{4}|latest)$")


def group_of(model: str) -> str:
    """The models that share a limit: a dated snapshot shares that of the model it is one of."""
    return _SNAPSHOT.sub("", model)
