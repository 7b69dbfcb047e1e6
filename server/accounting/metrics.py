"""The accounting, for Prometheus: the store's breaker, what waits to be written, what is held, what was refused.

Like the pool's figures these are read at the scrape. No label names a person, a token or a key.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from server.accounting.assembly import Accounting
from server.ledger.limits import Scope, Unit
from server.observability.pool_metrics import counter, gauge
from server.store.breaker import BreakerState


class AccountingMetrics(Collector):
    """The figures of the accounting."""

    def __init__(self, accounting: Accounting) -> None:
        self._accounting = accounting

    def collect(self) -> Iterator[Metric]:
        yield from self._store()
        yield from self._writing()
        yield from self._money()

    def _store(self) -> Iterator[Metric]:
        guard = self._accounting.guard
        states = [((state.value,), float(guard.state is state)) for state in BreakerState]
        yield gauge("fairgate_store_standing_count", "1 for the state of the store's breaker.", ("state",), states)
        calls = guard.counts
        yield _sum(
            "fairgate_store_calls_failed", "Calls before an answer that failed or took too long.", calls.failures
        )
        yield _sum("fairgate_store_calls_delayed", "Of these, the ones that took too long.", calls.slow)
        yield _sum("fairgate_store_calls_rejected", "Calls that were not made, to give it a rest.", calls.rejected)
        yield _sum("fairgate_store_breaker_opened", "How often the store was left alone.", calls.opened)

    def _writing(self) -> Iterator[Metric]:
        settlement_writer, journal = self._accounting.settlement_writer, self._accounting.journal
        posts = settlement_writer.counts
        yield _now("fairgate_rows_waiting_count", "What the store does not have yet.", settlement_writer.backlog)
        yield _sum("fairgate_rows_written", "Rows that the store took.", posts.written)
        yield _sum("fairgate_rows_repeated", "Rows that it had already.", posts.repeated)
        yield _sum("fairgate_rows_unsettled", "Rows that the store did not take.", posts.refused)
        yield _sum("fairgate_holds_released", "Holds of requests that were never sent.", posts.released)
        yield _sum("fairgate_posts_failed", "Attempts to write of which nothing arrived.", posts.outages)
        yield _now("fairgate_journal_waiting_count", "Settled in the journal, not in the store.", journal.backlog)
        yield _now("fairgate_journal_damaged_lines", "Of the dead, at the start: not readable.", journal.damaged)

    def _money(self) -> Iterator[Metric]:
        reservations = self._accounting.reservations
        yield _now("fairgate_reservations_held_count", "Requests under way that hold budget.", reservations.holding)
        yield _now("fairgate_escrow_live_count", "Budgets of which something is in escrow.", reservations.in_escrow)
        exceeded = [((scope.value, unit.value), reservations.exceeded[scope, unit]) for scope in Scope for unit in Unit]
        yield counter("fairgate_budgets_exceeded", "Budgets that had no room.", ("scope", "unit"), exceeded)


def _now(name: str, help: str, figure: float) -> Metric:
    return gauge(name, help, (), [((), figure)])


def _sum(name: str, help: str, figure: float) -> Metric:
    return counter(name, help, (), [((), figure)])
