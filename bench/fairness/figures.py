"""A figure with its bar, and how figures are made of records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.fairness import measures, scenarios
from bench.fairness.simulation import Record
from bench.fairness.world import KEYS, SLOTS, Job
from keypool.estimates import CostModel, Tokens
from keypool.fairness_index import jain

TOKENS_PER_SECOND = KEYS * 1000.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure and the bar that it must keep, if it has one."""

    name: str
    value: float
    unit: str = ""
    most: float | None = None
    least: float | None = None
    timed: bool = False  # it depends on the machine

    @property
    def kept(self) -> bool:
        return (self.most is None or self.value <= self.most) and (self.least is None or self.value >= self.least)

    @property
    def bar(self) -> str:
        if self.most is not None and self.least is not None:
            return f"{number(self.least)} to {number(self.most)}"
        if self.most is not None:
            return f"≤ {number(self.most)}"
        return "" if self.least is None else f"≥ {number(self.least)}"


def number(value: float) -> str:
    """Four significant digits, and no more than four after the point."""
    return f"{value:,.0f}" if value >= 1000 else f"{round(value, 4):.4g}"


def polite(records: Iterable[Record]) -> list[Job]:
    return [job for record in records for job in record.jobs if job.person != scenarios.FLOOD]


def refused(records: Iterable[Record]) -> int:
    return sum(job.refused for job in polite(records))


def slots_used(records: Iterable[Record]) -> float:
    return min(measures.slots_used(record, KEYS * SLOTS) for record in records)


def tokens_used(record: Record) -> float:
    return measures.tokens_used(record, TOKENS_PER_SECOND)


def largest_cost(record: Record) -> float:
    """Of all requests that were started, in cost."""
    costs = CostModel()
    return max(costs.cost(Tokens(job.input, 0, job.output)) for job in record.jobs if job.started is not None)


@dataclass(frozen=True, slots=True)
class Fairness:
    """How equal the service of the eight was: gap in largest costs, Jain's index in all and p10 of the minutes."""

    gap: float
    jain: float
    minutes: float


def fairness(record: Record) -> Fairness:
    people = scenarios.EIGHT
    return Fairness(
        gap=measures.gap(record.samples, people) / largest_cost(record),
        jain=jain(record.samples[-1].served[each] for each in people),
        minutes=measures.percentile(measures.jain_by_window(record.samples, people), 0.1),
    )
