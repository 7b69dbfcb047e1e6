"""What has happened, counted in plain integers as it happens, and put into Prometheus' words when it is asked for.

The library's own counters take a lock for each figure, a dozen a request. All of this is on the event loop alone.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from server.ledger.usage import UsageRow
from server.observability.pool_metrics import counter

KINDS = ("input", "cached", "cache_write", "output", "reasoning")
# Milliseconds: from "at once" to the longest wait and the longest answer that the settings allow by default.
WAITS = (5, 50, 250, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000)
LENGTHS = (50, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 900_000)


class Times:
    """How many of some times were how long. All in milliseconds."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[int]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0

    def add(self, milliseconds: int) -> None:
        self._counts[bisect_left(self._bounds, milliseconds)] += 1
        self._sum += milliseconds

    def buckets(self) -> tuple[list[tuple[str, float]], float]:
        """As Prometheus has them, in seconds: of each bound how many were no longer; and the sum."""
        found, so_far = [], 0
        for bound, count in zip((*self._bounds, None), self._counts, strict=True):
            so_far += count
            name = "+Inf" if bound is None else floatToGoString(bound / 1000)  # type: ignore[no-untyped-call]
            found.append((name, float(so_far)))
        return found, self._sum / 1000


class OfModel:
    """What has happened to the requests for one model."""

    __slots__ = ("begun", "cost", "ended", "lasted", "tokens", "waited")

    def __init__(self) -> None:
        self.ended: dict[tuple[str, str], int] = {}  # by outcome and dialect
        self.lasted: dict[str, Times] = {}  # by outcome
        self.waited, self.begun = Times(WAITS), Times(LENGTHS)
        self.cost = 0
        self.tokens = [0] * len(KINDS)

    def ends(self, row: UsageRow) -> None:
        """A request has ended."""
        outcome = row.status.value
        ended = outcome, row.dialect
        self.ended[ended] = self.ended.get(ended, 0) + 1
        if (lasted := self.lasted.get(outcome)) is None:
            lasted = self.lasted[outcome] = Times(LENGTHS)
        lasted.add(row.duration_ms)
        if not row.with_own_key:  # that waits for nothing
            self.waited.add(row.queue_ms)
        if row.first_byte_ms is not None:
            self.begun.add(row.first_byte_ms)

    def used(self, row: UsageRow) -> None:
        """A request, or an attempt of one, has cost something."""
        usage, tokens = row.usage, self.tokens
        self.cost += row.cost_micro_usd
        tokens[0] += usage.input
        tokens[1] += usage.cached
        tokens[2] += usage.cache_write
        tokens[3] += usage.output
        tokens[4] += usage.reasoning


class EventMetrics(Collector):
    """All that has happened in this process. A series is there once it is not zero."""

    def __init__(self) -> None:
        self._models: dict[str, OfModel] = {}
        self._refused: Counter[str] = Counter()

    def observe(self, row: UsageRow, model: str) -> None:
        """A row was settled; `model` as its series are called."""
        if (found := self._models.get(model)) is None:
            found = self._models[model] = OfModel()
        if not row.is_attempt:
            found.ends(row)
        found.used(row)

    def refused(self, code: str) -> None:
        self._refused[code] += 1

    def collect(self) -> Iterator[Metric]:
        models = self._models
        ended = [((model, *how), count) for model, each in models.items() for how, count in each.ended.items()]
        yield counter(
            "fairgate_requests_ended",
            "Requests that were sent upstream and have ended.",
            ("model", "outcome", "dialect"),
            ended,
        )
        yield counter(
            "fairgate_tokens_used",
            "Tokens on the ledger. Input includes cached and cache_write, output includes reasoning.",
            ("model", "kind"),
            [((m, kind), n) for m, each in models.items() for kind, n in zip(KINDS, each.tokens, strict=True) if n],
        )
        cost = [((model,), each.cost) for model, each in models.items() if each.cost]
        yield counter("fairgate_cost_micro_usd", "Money on the ledger, in micro-USD.", ("model",), cost)
        refused = [((code,), count) for code, count in self._refused.items()]
        yield counter("fairgate_requests_rejected", "Refusals by their code, of whatever request.", ("code",), refused)
        yield from self._times(models)

    def _times(self, models: Mapping[str, OfModel]) -> Iterator[Metric]:
        one, two = ("model",), ("model", "outcome")
        waited = [((model,), each.waited) for model, each in models.items()]
        yield _histogram("fairgate_queue_waited_seconds", "From arrival to the last key.", one, waited)
        begun = [((model,), each.begun) for model, each in models.items()]
        yield _histogram("fairgate_answer_begun_seconds", "From arrival to the first byte.", one, begun)
        lasted = [((model, how), times) for model, each in models.items() for how, times in each.lasted.items()]
        yield _histogram("fairgate_request_lasted_seconds", "From arrival to the end.", two, lasted)


def _histogram(
    name: str, help: str, labels: Sequence[str], rows: Iterable[tuple[Sequence[str], Times]]
) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, help, labels=labels)
    for values, times in rows:
        buckets, total = times.buckets()
        if buckets[-1][1]:
            family.add_metric(values, buckets, total)
    return family
