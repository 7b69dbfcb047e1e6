"""Limits that a provider does not send.

A refusal (429) says that there is a limit, not which. Three are common: requests in flight, requests per minute, tokens
per minute. They want different medicine: who answers a limit in flight by a lower rate wastes slots, and who answers a
rate by fewer slots is refused for ever, since the number in flight says little about a rate. So all three are watched,
and a refusal is laid to the one that explains it.

In flight or rate? A limit of C in flight never refuses while fewer than C run, and refuses always when C do. So a
refusal while more ran than ever ran beside a request that was taken speaks for it. A refusal while fewer ran, or none,
refutes it. The newest evidence counts, a refutation double; before any, a limit in flight is assumed.

Requests or tokens? The limit of which the last minute had taken the larger share, measured by the fullest minute of
late, explains a rate. A tie goes to the requests.

What follows:
* in flight: the width, a share of the slots, falls to 0.7, but never below what was running when it was refused. Each
  minute gives 5 % of the slots back (additive increase, multiplicative decrease). A burst that was refused falls by as
  many steps as it had refusals, where it is known what ran beside them: a limit in flight is just there, and each step
  on the way would be refused again.
* rate: requests are paced. The pace is what was really taken between two refusals, which is the limit itself when it
  was used to the full; fewer than three requests say little, and what the last minute took counts instead. It grows
  from 0.9 of that along CUBIC's curve (RFC 9438): soon near the old limit, long flat there, then ever faster; a limit
  that was raised tenfold is found in ten minutes. Growth counts only time in which the pace held something back
  (RFC 7661): an idle night teaches nothing.
* One refusal alone may be a provider's bad moment: a rate is believed when another refusal comes within a minute.
* After any refusal the next requests come by the proven pace and not in a burst as wide as the slots: where the limit
  is in flight the pace doubles every five seconds, and is soon forgotten.

Refusals of one rest are of one burst and are judged once, by the one beside which the least ran.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import floor, inf
from typing import NamedTuple

from keypool.times import MINUTE

DECREASE = 0.7
INCREASE = 0.05 / MINUTE  # of the full width, per second
HAIR = 1e-6  # of a slot: the slack that rounding needs

START = 0.9  # of the old limit: where a pace begins after a refusal
PROBE = 15  # requests until the pace is back at the old limit
SHORTEST, LONGEST = 2 * MINUTE, 10 * MINUTE  # and the time that this takes
DOUBLING = MINUTE  # of a pace that was let beyond its old limit
OPENING = 5.0  # seconds; of a pace after a refusal that a limit in flight explains
FORGOTTEN = 64.0  # times the old limit: what grew so far limits nothing
BURST = 10.0  # seconds of its pace that may be saved up
FEW = 3  # requests: fewer than these say little about a rate
SLOWEST = 1.0 / MINUTE  # requests per second: no provider sells less
MEMORY = 5 * MINUTE  # how long a record is kept at least; twice that at most
NEAR = 0.9  # of a record: what is no less does not refute it


@dataclass(slots=True)
class HiddenRecord:
    """The highest value of the last five to ten minutes."""

    last: float = 0.0
    this: float = 0.0
    since: float = 0.0

    def note(self, value: float, now: float) -> None:
        if now - self.since >= MEMORY:
            self.last, self.this, self.since = self.this if now - self.since < 2 * MEMORY else 0.0, 0.0, now
        self.this = max(self.this, value)

    @property
    def value(self) -> float:
        return max(self.last, self.this)


class Learnt(NamedTuple):
    """What the last refusals have taught: the width, and a rate per second (0: none), of requests or of tokens."""

    width: float
    top: float
    span: float
    tokens: bool


class Trailing:
    """The requests and tokens that the provider took: in the last minute, by seconds, and since the last refusal."""

    def __init__(self) -> None:
        self.requests, self.tokens = 0, 0
        self.since_requests, self.since_tokens = 0, 0
        self._seconds: deque[list[int]] = deque()

    def add(self, requests: int, tokens: int, now: float) -> None:
        """A request was sent; or, with negative numbers, was refused and does not count."""
        self.expire(now)
        second = int(now)
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1][1] += requests
            self._seconds[-1][2] += tokens
        else:
            self._seconds.append([second, requests, tokens])
        self.requests += requests
        self.tokens += tokens
        self.since_requests += requests
        self.since_tokens += tokens

    def span(self, now: float) -> float:
        """The seconds in which it was taken, ten at least."""
        return min(max(now - self._seconds[0][0], 10.0), MINUTE) if self._seconds else MINUTE

    def expire(self, now: float) -> None:
        while self._seconds and self._seconds[0][0] <= now - MINUTE:
            _, requests, tokens = self._seconds.popleft()
            self.requests -= requests
            self.tokens -= tokens


@dataclass(slots=True)
class HiddenPace:
    """A rate that grows. `top` is per second, of requests or of tokens; `age` is the time in which it held back."""

    top: float
    span: float  # seconds until it is at `top` again; 0: it opens at once
    tokens: bool
    at: float
    taken: float  # the instant of the last request
    level: float = 0.0  # what may be sent at once
    age: float = 0.0
    held: bool = False  # something waits for it

    @property
    def rate(self) -> float:
        age = self.age + (self.at - self.taken if self.held else 0.0)
        if not self.span:
            return self.top * float(2.0 ** min(age / OPENING, 100.0))
        if age <= 2.0 * self.span:
            return self.top * (1.0 + (1.0 - START) * float((age / self.span - 1.0) ** 3))
        return self.top * (2.0 - START) * float(2.0 ** min((age - 2.0 * self.span) / DOUBLING, 100.0))

    @property
    def _saved(self) -> float:
        return BURST * self.rate if self.span else 1.0

    @property
    def forgotten(self) -> bool:
        return self.rate > FORGOTTEN * self.top

    def wait(self, tokens: int, now: float) -> float:
        """Seconds until a request with so many tokens may start."""
        need = float(tokens) if self.tokens else 1.0
        self._refill(max(need, self._saved), now)
        if self.level >= need * (1.0 - HAIR):
            return 0.0
        self.held = True
        wait = (need - self.level) / self.rate + HAIR
        return wait if self.span else min(wait, OPENING)  # it opens meanwhile

    def take(self, tokens: int, now: float) -> None:
        if self.held:
            self.age += now - self.taken
        self._refill(self._saved, now)
        self.level -= tokens if self.tokens else 1
        self.held, self.taken = False, now

    def _refill(self, most: float, now: float) -> None:
        if now > self.at:
            self.level = max(self.level, min(most, self.level + (now - self.at) * self.rate))
            self.at = now


@dataclass(slots=True)
class Episode:
    """The refusals of one rest, until they are judged."""

    at: float
    running: int  # the least that ran beside one of them; -1: not known
    tokens: int  # of the largest
    count: int = 1  # of the refusals


@dataclass(slots=True)
class Hidden:
    """The estimate of a domain's hidden limits. Times are seconds, monotonic."""

    width: float = 1.0  # share of the slots that may be used
    widened: float = 0.0
    pace: HiddenPace | None = None
    doubt: int = 0  # of a limit in flight; above 0 a rate is believed
    of_tokens: int = 0  # above 0 a rate is believed to be of tokens
    taken: Trailing = field(default_factory=Trailing)
    proven: HiddenRecord = field(default_factory=HiddenRecord)  # what ran beside a request that was taken
    fullest: tuple[HiddenRecord, HiddenRecord] = field(
        default_factory=lambda: (HiddenRecord(), HiddenRecord())
    )  # requests, tokens in a minute
    episode: Episode | None = None
    refused_at: float | None = None  # begin of the episode before
    learnt: Learnt | None = None  # from that

    @property
    def unseen(self) -> bool:
        """No sign of a limit: no request has to wait for one."""
        return self.pace is None and self.episode is None and self.width >= 1.0

    def wait(self, tokens: int, running: int, slots: int, now: float) -> float:
        """Seconds until a request may start beside so many others; infinite while the width is used up."""
        self.settle(slots, now)
        if self.width < 1.0 and running >= self.wide(slots, now):
            return inf
        return self.pace.wait(tokens, now) if self.pace is not None else 0.0

    def sent(self, tokens: int, now: float) -> None:
        self.taken.add(1, tokens, now)
        if self.pace is not None:
            self.pace.take(tokens, now)
            if self.pace.forgotten:
                self.pace = None

    def answered(self, running: int, now: float) -> None:
        """A request was taken beside which so many ran."""
        self.proven.note(running, now)
        self.fullest[0].note(self.taken.requests, now)
        self.fullest[1].note(self.taken.tokens, now)

    def refused(self, running: int, tokens: int, now: float) -> None:
        """A request was refused beside which so many ran (-1: not known). After the rest, `settle` says why."""
        if tokens:
            self.taken.add(-1, -tokens, now)
        if self.episode is None:
            self.episode = Episode(now, running, tokens)
        else:
            self.episode.count += 1
            self.episode.running = min(self.episode.running, running)
            self.episode.tokens = max(self.episode.tokens, tokens)

    def scale(self, factor: float) -> None:
        """So much more of the limits is this gateway's: what was learnt was of its part."""
        if self.learnt is not None and factor != 1.0:
            self.learnt = self.learnt._replace(top=self.learnt.top * factor)
        if self.pace is not None and factor != 1.0:
            self.pace.top *= factor
            self.pace.level *= factor

    def hears(self, learnt: Learnt, now: float) -> None:
        """Another gateway was refused: what it has learnt holds here, where it is less than what is believed."""
        if learnt.width < self._width(now):
            self.width, self.widened = learnt.width, now
        if learnt.top and (self.pace is None or self.pace.rate > learnt.top):
            self.pace = HiddenPace(learnt.top, learnt.span, learnt.tokens, at=now, taken=now)

    def settle(self, slots: int, now: float) -> None:
        """A rest is over: judge the refusals that led to it."""
        if self.episode is not None:
            self._judge(self.episode, slots, now)

    def wide(self, slots: int, now: float) -> int:
        """How many may be in flight."""
        return max(1, floor(slots * self._width(now) + HAIR))

    def _judge(self, episode: Episode, slots: int, now: float) -> None:
        """Say which limit explains the refusals, and what follows from it."""
        self.episode = None
        self.taken.expire(now)
        self._doubt(episode)
        if self.doubt <= 0:
            self._narrow(episode, slots)
        elif self._confirmed(episode):
            self.width = 1.0
            self._slow_down(episode)
        else:
            self._open_again(episode)
        self.refused_at, self.taken.since_requests, self.taken.since_tokens = episode.at, 0, 0
        paced = self.pace if self.pace is not None and self.pace.span else None
        top, span, tokens = (paced.top, paced.span, paced.tokens) if paced is not None else (0.0, 0.0, False)
        self.learnt = Learnt(self.width, top, span, tokens)

    def _narrow(self, episode: Episode, slots: int) -> None:
        seen = max(1, episode.running) / max(1, slots)
        narrowed = self._width(episode.at) * DECREASE ** (episode.count if episode.running >= 0 else 1)
        self.width, self.widened = min(1.0, max(narrowed, seen)), episode.at
        self._open_again(episode)

    def _confirmed(self, episode: Episode) -> bool:
        """A rate that refused once is asked for again soon. One refusal alone may be the provider's bad moment."""
        paced = self.pace is not None and self.pace.span > 0.0
        return paced or (self.refused_at is not None and episode.at - self.refused_at < MINUTE)

    def _open_again(self, episode: Episode) -> None:
        if self.taken.requests > 0:
            self.pace = HiddenPace(
                self.taken.requests / self.taken.span(episode.at), 0.0, tokens=False, at=episode.at, taken=episode.at
            )

    def _doubt(self, episode: Episode) -> None:
        if episode.running < 0:
            return
        if episode.running == 0 or episode.running < NEAR * self.proven.value:
            self.doubt = min(2, self.doubt + 2)
        elif episode.running > self.proven.value:
            self.doubt = max(-2, self.doubt - 1)

    def _slow_down(self, episode: Episode) -> None:
        """Pace by what was taken since the refusal before, or in the last minute if that says little."""
        taken, between = self.taken, max(1.0, episode.at - (self.refused_at or 0.0))
        by_tokens = self._is_of_tokens(episode)
        minute, since = (taken.tokens, taken.since_tokens) if by_tokens else (taken.requests, taken.since_requests)
        rate = since / between if taken.since_requests >= FEW else minute / MINUTE
        if (pace := self.pace) is not None and pace.span and pace.tokens == by_tokens:
            rate = min(max(rate, DECREASE * pace.top), pace.rate)
        mean = max(1.0, taken.tokens / max(1, taken.requests)) if by_tokens else 1.0
        rate = max(rate, SLOWEST * mean)
        span = min(max(PROBE * mean / rate, SHORTEST), LONGEST)
        self.pace = HiddenPace(rate, span, by_tokens, at=episode.at, taken=episode.at)

    def _is_of_tokens(self, episode: Episode) -> bool:
        """Whether the minute that was refused was fuller of tokens than of requests, beside the fullest of late."""
        requests = (self.taken.requests + 1) / max(1.0, self.fullest[0].value)
        tokens = (self.taken.tokens + episode.tokens) / max(1.0, self.fullest[1].value)
        if tokens != requests:
            self.of_tokens = max(-2, min(2, self.of_tokens + (1 if tokens > requests else -1)))
        return self.of_tokens > 0

    def _width(self, now: float) -> float:
        return min(1.0, self.width + (now - self.widened) * INCREASE)
