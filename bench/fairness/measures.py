"""Figures out of a record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from bench.fairness.simulation import Record, Sample
from bench.fairness.world import Job
from keypool.fairness_index import jain

WINDOW = 60.0  # seconds


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least this share of them does not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def waits(jobs: Iterable[Job]) -> list[float]:
    """Seconds that the served ones have waited."""
    return [job.wait for job in jobs if job.started is not None]


def gap(samples: Sequence[Sample], weights: Mapping[str, float]) -> float:
    """The largest difference of service by weight between two persons, over all intervals, in cost."""
    worst = 0.0
    for one, other in combinations(weights, 2):
        ahead = [each.served[one] / weights[one] - each.served[other] / weights[other] for each in samples]
        worst = max(worst, max(ahead) - min(ahead))
    return worst


def served(samples: Sequence[Sample], persons: Iterable[str], start: float, end: float) -> dict[str, float]:
    """The cost that each person was served in an interval."""
    before, after = at(samples, start), at(samples, end)
    return {each: after.served.get(each, 0.0) - before.served.get(each, 0.0) for each in persons}


def at(samples: Sequence[Sample], when: float) -> Sample:
    """The last sample that is not later."""
    return next((each for each in reversed(samples) if each.at <= when), Sample(0.0, {}, 0))


def jain_by_window(samples: Sequence[Sample], weights: Mapping[str, float]) -> list[float]:
    """Jain's index of each whole minute."""
    count = int(samples[-1].at // WINDOW)
    return [
        jain(cost / weights[each] for each, cost in served(samples, weights, n * WINDOW, (n + 1) * WINDOW).items())
        for n in range(count)
    ]


def slots_used(record: Record, slots: int) -> float:
    """The used share of the slots."""
    end = record.samples[-1].at
    busy = sum(min(end, job.started + job.service) - job.started for job in record.jobs if job.started is not None)
    return busy / (slots * end)


def tokens_used(record: Record, per_second: float, start: float = WINDOW) -> float:
    """The used share of the token limits, after the first minute, which began with full buckets."""
    last = record.samples[-1]
    return (last.tokens - at(record.samples, start).tokens) / (per_second * (last.at - start))
