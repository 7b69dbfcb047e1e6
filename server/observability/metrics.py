"""Figures for Prometheus: `fairgate_<noun>_<verb>_<unit>`, with label values that are known in advance.

Two kinds. Events are counted as they happen: `observe` sees every row that is settled, `refused` every refusal
that a caller gets. The present state is read at the scrape (`pool_metrics.py`, `accounting/metrics.py`), so that it
costs nothing in between and is never stale.

Labels name models, states, outcomes and the like, and never a person, a token or a key, not even by its fingerprint. A
model that the pool does not know is "other": a caller must not be able to make a time series.
"""

from __future__ import annotations

from typing import TypeVar, cast

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.registry import Collector

from server.dispatcher import Dispatcher
from server.ledger.usage import UsageRow
from server.observability.pool_metrics import PoolMetrics

M = TypeVar("M", Counter, Histogram)

CONTENT_TYPE = CONTENT_TYPE_LATEST
OTHER = "other"
KINDS = ("input", "cached", "cache_write", "output", "reasoning")
# Seconds: from "at once" to the longest wait and the longest answer that the settings allow by default.
WAITS = (0.005, 0.05, 0.25, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
LENGTHS = (0.05, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0)


class Metrics:
    """All figures of one gateway: of its pool, and of what `others` collect."""

    def __init__(self, dispatcher: Dispatcher, *others: Collector) -> None:
        # Else the library adds a second series to each, with the moment when it began, which has no use here.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no types there
        self._dispatcher = dispatcher
        self._known: dict[tuple[int, tuple[str, ...]], Counter | Histogram] = {}
        self._registry = CollectorRegistry()
        for collector in (PoolMetrics(dispatcher), *others):
            self._registry.register(collector)
        self._ended = Counter(
            "fairgate_requests_ended",
            "Requests that were sent upstream and have ended.",
            ("model", "outcome", "dialect"),
            registry=self._registry,
        )
        self._tokens = Counter(
            "fairgate_tokens_used",
            "Tokens on the ledger. Input includes cached and cache_write, output includes reasoning.",
            ("model", "kind"),
            registry=self._registry,
        )
        self._cost = Counter(
            "fairgate_cost_micro_usd", "Money on the ledger, in micro-USD.", ("model",), registry=self._registry
        )
        self._refused = Counter(
            "fairgate_requests_rejected",
            "Refusals by their code, of whatever request.",
            ("code",),
            registry=self._registry,
        )
        self._waited = self._histogram("fairgate_queue_waited_seconds", "From arrival to the last key.", WAITS)
        self._begun = self._histogram("fairgate_answer_begun_seconds", "From arrival to the first byte.", LENGTHS)
        self._lasted = self._histogram(
            "fairgate_request_lasted_seconds", "From arrival to the end.", LENGTHS, "outcome"
        )

    def observe(self, row: UsageRow) -> None:
        """Count a request that has ended, or what an attempt of one cost that failed."""
        model = row.model_asked if self._dispatcher.pool.keyring.serving(row.model_asked) else OTHER
        if not row.is_attempt:
            self._ends(row, model)
        if row.cost_micro_usd:
            self._series(self._cost, model).inc(row.cost_micro_usd)
        for kind in KINDS:
            if tokens := getattr(row.usage, kind):
                self._series(self._tokens, model, kind).inc(tokens)

    def _ends(self, row: UsageRow, model: str) -> None:
        self._series(self._ended, model, row.status.value, row.dialect).inc()
        if not row.with_own_key:  # that waits for nothing
            self._series(self._waited, model).observe(row.queue_ms / 1000)
        self._series(self._lasted, model, row.status.value).observe(row.duration_ms / 1000)
        if row.first_byte_ms is not None:
            self._series(self._begun, model).observe(row.first_byte_ms / 1000)

    def refused(self, code: str) -> None:
        """Count a refusal that a caller got. The codes are those of `server/wire/errors.py`."""
        self._series(self._refused, code).inc()

    def text(self) -> bytes:
        """Everything in Prometheus' text format, as it is now."""
        return generate_latest(self._registry)

    def _series(self, metric: M, *labels: str) -> M:
        """One series of a metric. The library looks it up under a lock each time; there are few, so they are kept."""
        found = self._known.get((id(metric), labels))
        if found is None:
            found = self._known[id(metric), labels] = metric.labels(*labels)
        return cast(M, found)

    def _histogram(self, name: str, help: str, buckets: tuple[float, ...], *more: str) -> Histogram:
        return Histogram(name, help, ("model", *more), buckets=buckets, registry=self._registry)
