"""Figures for Prometheus: `fairgate_<noun>_<verb>_<unit>`, with label values that are known in advance.

Two kinds. Events are counted as they happen (`event_metrics.py`): `observe` sees every row that is settled, `refused`
every refusal that a caller gets. The present state is read at the scrape (`pool_metrics.py`, `accounting/metrics.py`),
so that it costs nothing in between and is never stale.

Labels name models, states, outcomes and the like, and never a person, a token or a key, not even by its fingerprint. A
model that the pool does not know is "other": a caller must not be able to make a time series.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from server.dispatching import Dispatching
from server.ledger.usage import UsageRow
from server.observability.event_metrics import EventMetrics
from server.observability.pool_metrics import PoolMetrics
from server.workers.figures import Family, text_of

CONTENT_TYPE = CONTENT_TYPE_LATEST
OTHER = "other"
Ask = Callable[[], Awaitable[list[Family]]]


class Metrics:
    """All figures of one gateway: of its pool, if that is in this process, and of what `others` collect."""

    def __init__(self, dispatcher: Dispatching, *others: Collector, has_pool: bool = True) -> None:
        self._dispatcher = dispatcher
        self._events = EventMetrics()
        self._ask: Ask | None = None
        self._registry = CollectorRegistry()
        for collector in (*([PoolMetrics(dispatcher)] if has_pool else []), *others, self._events):
            self._registry.register(collector)

    def observe(self, row: UsageRow) -> None:
        """Count a request that has ended, or what an attempt of one cost that failed."""
        known = self._dispatcher.keyring.serving(row.model_asked)
        self._events.observe(row, row.model_asked if known else OTHER)

    def refused(self, code: str) -> None:
        """Count a refusal that a caller got. The codes are those of `server/wire/errors.py`."""
        self._events.refused(code)

    def collect(self) -> Iterable[Metric]:
        """Everything as it is now."""
        return self._registry.collect()

    def of_all(self, ask: Ask) -> None:
        """Show on the page what `ask` gives: the figures of all processes of this machine."""
        self._ask = ask

    def text(self) -> bytes:
        """Everything in Prometheus' text format, as it is now."""
        return generate_latest(self._registry)

    async def page(self) -> bytes:
        """The same, of all processes of this machine; of this one alone where the others cannot be asked."""
        if self._ask is not None:
            with suppress(OSError):
                return text_of(await self._ask())
        return self.text()
