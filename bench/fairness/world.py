"""What the scenarios are made of: requests of random size, keys with slots and limits.

An answer begins after `FIRST` seconds and comes with `SPEED` tokens a second. Lengths are lognormal (sigma 0.5), cut at
twice their mean; the length of an answer is not known before it ends. Seconds and tokens throughout.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import exp, log
from random import Random

from keypool.domains import Bucket, Domain
from keypool.keys import Key
from keypool.limits import LimitMeasure, RateWindow
from keypool.ticket import Ticket

MODEL = "m"
DIALECT = "openai"
FIRST = 0.5  # seconds to the first token
SPEED = 50.0  # tokens per second
SIGMA = 0.5
LONGEST = 2.0  # times the mean
KEYS, SLOTS = 4, 8
BURST = 12.0  # seconds of its rate that a bucket holds


@dataclass(slots=True, eq=False)
class Job:
    """One request: what is asked, and what has become of it."""

    person: str
    input: int
    output: int
    weight: float = 1.0
    conversation: bytes = b""
    model: str = MODEL
    groups: frozenset[str] = frozenset()
    party: str = ""
    most_output: int | None = None
    streamed: bool = True
    stays: float = 1.0  # the part of the answer for which the caller stays
    arrived: float = 0.0
    predicted: float = 0.0  # the wait that was forecast on arrival
    started: float | None = None
    ended: float | None = None
    refused: bool = False
    cached: int = 0
    ticket: Ticket | None = None

    @property
    def wait(self) -> float:
        assert self.started is not None, "only what was served has waited"
        return self.started - self.arrived

    @property
    def service(self) -> float:
        """Seconds for which it holds a slot."""
        return self.stays * (FIRST + self.output / SPEED)

    def produced(self, now: float) -> int:
        """Tokens of the answer that have come."""
        if self.started is None:
            return 0
        return max(0, min(self.output, int((now - self.started - FIRST) * SPEED)))


@dataclass(frozen=True, slots=True)
class Size:
    """Mean lengths of a person's requests and answers."""

    input: int
    output: int

    @property
    def service(self) -> float:
        return FIRST + self.output / SPEED

    def job(self, person: str, dice: Random, weight: float = 1.0) -> Job:
        return Job(person, _length(self.input, dice), _length(self.output, dice), weight)


USUAL = Size(500, 264)  # 5.8 seconds


def _length(mean: int, dice: Random) -> int:
    drawn = exp(dice.gauss(log(mean) - SIGMA * SIGMA / 2, SIGMA))
    return max(1, round(min(drawn, LONGEST * mean)))


def a_key(name: str, slots: int = SLOTS, models: Iterable[str] = (MODEL,), group: str = "", **per_minute: float) -> Key:
    """A key with limits of its own (`tokens`, `requests`), in buckets that hold twelve seconds' worth.

    Its models share these limits, if there are any. `group`: only its members may use the key; empty: all people.
    """
    groups = frozenset({group} if group else ())
    key = Key(name, "upstream", frozenset({DIALECT}), frozenset(models), slots, groups)
    if per_minute:
        buckets = {
            LimitMeasure(each): Bucket(limit * BURST / 60, limit / 60, limit * BURST / 60)
            for each, limit in per_minute.items()
        }
        key.domains |= dict.fromkeys(key.models, Domain(name, buckets, members={name: slots}))
    return key


class Provider:
    """A provider that takes everything and tells nothing."""

    def takes(self, job: Job, now: float) -> tuple[bool, dict[LimitMeasure, RateWindow]]:
        return True, {}


class Reserving(Provider):
    """A provider that takes `input + max_tokens` from its limit of tokens per minute and gives nothing back.

    It tells how much is left, and refuses (429) what does not fit.
    """

    def __init__(self, tokens: float) -> None:
        self._tokens = tokens  # per minute and key
        self._buckets: dict[str, Bucket] = {}

    def takes(self, job: Job, now: float) -> tuple[bool, dict[LimitMeasure, RateWindow]]:
        assert job.ticket is not None
        assert job.ticket.key is not None
        limit = self._tokens
        bucket = self._buckets.setdefault(job.ticket.key.id, Bucket(limit, limit / 60, limit))
        bucket.refill(now)
        need = job.input + (job.output if job.most_output is None else job.most_output)
        taken = bucket.level >= need
        if taken:
            bucket.take(need, now)
        refill = (limit - bucket.level) / bucket.rate
        return taken, {LimitMeasure.TOKENS: RateWindow(limit, max(0.0, bucket.level), refill)}


def bound_by_slots() -> list[Key]:
    """Four keys with eight slots each."""
    return [a_key(f"k{number}") for number in range(KEYS)]


def bound_by_tokens() -> list[Key]:
    """Four keys with 60,000 tokens per minute each, and more slots than these can fill."""
    return [a_key(f"k{number}", 32, tokens=60_000) for number in range(KEYS)]
