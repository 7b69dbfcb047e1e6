"""The probable cost of a request, before it is known.

    cost(input, cached, output) = c0 + (input - cached) * k_in + cached * k_cached + output * k_out

The unit is one uncached input token. Output costs four times as much and cached input a tenth, as in the price lists of
the providers. `c0` is the worth of a request as such, tokens-per-minute over requests-per-minute of the pool: without
it a flood of tiny requests takes 23 times its share of a pool that is bound by requests (measured in simulation).

How long an answer will be is learnt: a moving average for each person and model, else for the model, else a guess.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple

USUAL_TOKEN = 1.75  # what a token costs where three of four are input and one is output


class Tokens(NamedTuple):
    """The usage of a request, in tokens; `input` includes `cached`."""

    input: int = 0
    cached: int = 0
    output: int = 0


@dataclass(frozen=True, slots=True)
class CostModel:
    """The weights of the formula above. `of_limits` makes the one for a pool whose limits are known."""

    c0: float = 500.0  # a usual tier's tokens per request, where the pool's own limits are unknown
    k_in: float = 1.0
    k_cached: float = 0.1
    k_out: float = 4.0

    @classmethod
    def of_limits(cls, requests: float, tokens: float) -> CostModel:
        """`requests` and `tokens` are limits over the same time: as such, a request is worth its part of the tokens.

        Limits count tokens and the unit of cost is an input token, so they are weighed as in a usual mix. Without the
        weight a flood of tiny requests takes 2.3 times its share of a pool that is bound by requests, with it 1.8.
        """
        return cls(c0=tokens / requests * USUAL_TOKEN)

    def cost(self, tokens: Tokens) -> float:
        return self.of(tokens.input, tokens.cached, tokens.output)

    def of(self, prompt: int, cached: int, output: int) -> float:
        """The cost of so many tokens; `prompt` includes `cached`."""
        fresh = prompt - cached if prompt > cached else 0
        return self.c0 + fresh * self.k_in + cached * self.k_cached + output * self.k_out


class OutputLengths:
    """The learnt length of answers, for the most recent `capacity` pairs of person and model."""

    GUESS = 300.0  # tokens, before anything was learnt
    GAIN = 0.2

    def __init__(self, capacity: int = 10_000) -> None:
        self._capacity = capacity
        self._learnt: OrderedDict[tuple[str, str], float] = OrderedDict()

    def expect(self, person: str, model: str, most: int | None) -> int:
        """Tokens that the answer will probably have, never more than the request allows."""
        learnt = self._learnt.get((person, model), self._learnt.get(("", model), self.GUESS))
        return round(learnt if most is None else min(learnt, most))

    def learn(self, person: str, model: str, output: int) -> None:
        for who in (person, ""):
            key = (who, model)
            old = self._learnt.pop(key, None)
            self._learnt[key] = output if old is None else old + self.GAIN * (output - old)
        while len(self._learnt) > self._capacity:
            self._learnt.popitem(last=False)


@dataclass(slots=True)
class Writing:
    """The answers of one model: tokens and seconds of each of the latest persons, and their speeds in order."""

    persons: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)
    speeds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The lower one of the two in the middle."""
        return self.speeds[(len(self.speeds) - 1) // 2]

    def put_in(self, person: str, tokens: float, seconds: float) -> None:
        self.persons[person] = tokens, seconds
        insort(self.speeds, tokens / seconds)

    def take_out(self, person: str) -> tuple[float, float]:
        """The tokens and the seconds of a person, which are forgotten; of a stranger none."""
        found = self.persons.pop(person, None)
        if found is None:
            return 0.0, 0.0
        tokens, seconds = found
        del self.speeds[bisect_left(self.speeds, tokens / seconds)]
        return found


class Speeds:
    """How fast each model writes: tokens per second from the grant to the end.

    A moving average over the answers of each person, and of these the median: others are charged by it while they run,
    so no one person's odd answers (a hundred choices at once, one word after a minute) may move it. The seconds until
    the first token are in it, so a short answer seems slow; answers of both kinds are averaged by their seconds.
    """

    GUESS = 50.0  # tokens per second, before anything was seen
    MEMORY = 600.0  # seconds of answers that count
    PERSONS = 31  # the latest ones, for each model

    def __init__(self, capacity: int = 1000) -> None:
        self._capacity = capacity
        self._seen: OrderedDict[str, Writing] = OrderedDict()

    def learn(self, person: str, model: str, output: int, seconds: float) -> None:
        if output <= 0 or seconds <= 0.0:
            return
        seen = self._seen.get(model)
        if seen is None:
            seen = self._seen[model] = Writing()
            if len(self._seen) > self._capacity:
                self._seen.popitem(last=False)
        self._seen.move_to_end(model)
        tokens, before = seen.take_out(person)
        fade = max(0.0, 1.0 - seconds / self.MEMORY)
        seen.put_in(person, tokens * fade + output, before * fade + seconds)
        if len(seen.persons) > self.PERSONS:
            seen.take_out(next(iter(seen.persons)))

    def of(self, model: str) -> float:
        seen = self._seen.get(model)
        return self.GUESS if seen is None else max(0.1, seen.median)

    def written(self, model: str, seconds: float) -> int:
        """Tokens that an answer has after so long."""
        return round(max(0.0, seconds) * self.of(model))

    def seconds(self, model: str, output: int) -> float:
        """How long it takes to write so many."""
        return output / self.of(model)


class Worth:
    """What a token costs in a usual request, with all that is charged for: the rate at which the tokens that a provider
    takes from its limits are charged to those who do not use them.

    It stays between what a token costs as such and twice that: the worth of a request makes up half of an average
    request's cost, by the definition of `c0`, and odd requests cannot move the rate beyond that.
    """

    FADE = 0.99

    def __init__(self) -> None:
        self._cost = self._tokens = 0.0

    def learn(self, cost: float, tokens: int) -> None:
        self._cost = self._cost * self.FADE + cost
        self._tokens = self._tokens * self.FADE + tokens

    @property
    def of_token(self) -> float:
        seen = self._cost / self._tokens if self._tokens > 0.0 else 0.0
        return min(2.0 * USUAL_TOKEN, max(USUAL_TOKEN, seen))
