"""How long a request will wait: an estimate for this person, not an average over all.

The queue serves the lowest counter first. Before a request of flow f at counter F is dispatched, every other flow g
that waits will have been served until its own counter has reached F. So the work ahead of it is

    ahead = what f itself has waiting before it  +  sum over g of min(g's backlog, (F - c_g) * w_g)

and the wait is that over the rate at which the queue is served while somebody waits. What the model leaves out (answers
longer than guessed, arrivals, keys that rest) is learnt as a factor for each flow: the mean of actual over predicted.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

MEMORY = 120.0  # seconds: how fast old service is forgotten
USUAL_ANSWER = 10.0  # seconds, before any was seen
GAIN = 0.1
LEAST_LEARNT = 1.0  # seconds: shorter predictions teach nothing
BIAS_RANGE = (0.25, 4.0)


@dataclass(slots=True)
class ServiceRate:
    """Cost served per second, while somebody waits. Times are seconds, monotonic."""

    cost: float = 0.0
    seconds: float = 0.0
    ends: float = 0.0
    at: float | None = None

    def idle(self, now: float) -> None:
        """Nobody has waited until now: the time since the last end says nothing about the rate."""
        self.at = now

    def ended(self, cost: float, now: float) -> None:
        """A request has ended while others waited."""
        if self.at is not None:
            passed = now - self.at
            fade = exp(-passed / MEMORY)
            self.cost = self.cost * fade + cost
            self.ends = self.ends * fade + 1.0
            self.seconds = self.seconds * fade + passed
        self.at = now

    def per_second(self, slots: int, typical: float) -> float:
        """The rate; before anything was seen, that of full slots with answers of usual length."""
        if self.seconds <= 0.0 or self.cost <= 0.0:
            return max(1, slots) * max(1.0, typical) / USUAL_ANSWER
        return self.cost / self.seconds

    def gap(self) -> float:
        """Mean seconds between two ends: how long a full house takes to have a free slot."""
        return self.seconds / self.ends if self.ends else 0.0


def learn_bias(bias: float, predicted: float, actual: float) -> float:
    """Move a flow's factor towards what was seen. `predicted` is without the factor, in seconds."""
    if predicted < LEAST_LEARNT:
        return bias
    low, high = BIAS_RANGE
    return bias + GAIN * (min(high, max(low, actual / predicted)) - bias)
