"""The figures of several processes as those of one: what `/metrics` shows of a machine.

A family is `[name, type, help, [[sample, labels, value], ...]]`, so that it passes through a channel. What was counted
(counters, histograms) is added up, and so is what stands now: connections, bytes, requests under way are parts of a
whole. Shares of something (`..._ratio`) cannot be added, and what is said of all gateways each process says alike: of
these the largest is shown. Figures of the queue and the keys come from the pool process alone.

A counter must never fall, or Prometheus takes it for a restart and counts it twice. So what a process had counted stays
in the sums when it ends (`Departed`): all of it if it ended properly, else what was shown last.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

Family = list[Any]
COUNTED = frozenset({"counter", "histogram"})
OF_ALL = ("fairgate_gateways_", "fairgate_journals_missing_")  # what these begin with is said of all gateways


def families_of(metrics: Iterable[Metric]) -> list[Family]:
    """These metrics as they pass through a channel."""
    return [
        [each.name, each.type, each.documentation, [[it.name, dict(it.labels), it.value] for it in each.samples]]
        for each in metrics
    ]


def total(processes: Iterable[Sequence[Family]]) -> list[Family]:
    """The figures of all these processes, as one's."""
    heads: dict[str, tuple[str, str]] = {}
    values: dict[str, dict[tuple[Any, ...], float]] = {}
    for name, kind, help, samples in (family for families in processes for family in families):
        heads.setdefault(name, (kind, help))
        found = values.setdefault(name, {})
        for sample, labels, value in samples:
            key = (sample, *labels.items())
            before = found.get(key)
            found[key] = value if before is None else _together(name, before, value)
    return [
        [name, *heads[name], [[key[0], dict(key[1:]), value] for key, value in found.items()]]
        for name, found in values.items()
    ]


def _together(name: str, one: float, other: float) -> float:
    return max(one, other) if name.endswith("_ratio") or name.startswith(OF_ALL) else one + other


def text_of(families: Iterable[Family]) -> bytes:
    """Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Given([_metric(family) for family in families]))
    return generate_latest(registry)


def _metric(family: Family) -> Metric:
    name, kind, help, samples = family
    metric = Metric(name, help, kind)
    for sample, labels, value in samples:
        metric.add_sample(sample, labels, value)
    return metric


class _Given(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics


class Departed:
    """What processes that have ended had counted."""

    def __init__(self) -> None:
        self.figures: list[Family] = []

    def add(self, figures: Sequence[Family]) -> None:
        """A process has ended; `figures` are its last ones. How it stood then is nothing any more."""
        counted = [family for family in figures if family[1] in COUNTED]
        self.figures = total((self.figures, counted))
