"""Traces for OpenTelemetry, where an operator wants them: `pip install .[otel]` and `OTEL_EXPORTER_OTLP_ENDPOINT`.

A request's trace is written when the request is over, from its row on the ledger: the row has every time, and so a
request that runs pays nothing for being traced. Three spans: the whole, its wait in the queue, and from the first try
upstream to the end, with an event where the answer began. Names follow OpenTelemetry's conventions for generative AI. A
person is their id; no text is in a trace.

What was refused before it was sent has no row and no trace; the metrics count it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from server.ledger.usage import Outcome, UsageRow

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.util.types import AttributeValue

log = logging.getLogger("fairgate")

MILLISECOND = 1_000_000  # nanoseconds, in which spans are timed
NEEDED = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
OPERATIONS = {
    "/v1/chat/completions": "chat",
    "/v1/responses": "chat",
    "/v1/messages": "chat",
    "/v1/completions": "text_completion",
    "/v1/embeddings": "embeddings",
}
BAD = frozenset({Outcome.FAILED, Outcome.CUT, Outcome.INTERRUPTED})


class Tracing:
    """Writes the spans of requests that are over to a provider of tracers."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context

        self._provider = provider
        self._tracer = provider.get_tracer("fairgate")
        self._kinds, self._error, self._below = SpanKind, StatusCode.ERROR, set_span_in_context

    def observe(self, row: UsageRow) -> None:
        """Write the spans of a request."""
        began, start = row.started_at * MILLISECOND, self._tracer.start_span
        granted, ended = began + row.queue_ms * MILLISECOND, began + row.duration_ms * MILLISECOND
        operation = OPERATIONS.get(row.endpoint, row.endpoint.rpartition("/")[2])
        whole = start(
            f"{operation} {row.model_asked}",
            kind=self._kinds.SERVER,
            attributes={"gen_ai.operation.name": operation, **_attributes(row)},
            start_time=began,
        )
        below = self._below(whole)
        start("queue", below, start_time=began).end(granted)
        sent = start("upstream", below, kind=self._kinds.CLIENT, attributes=_sent(row), start_time=granted)
        if row.first_byte_ms is not None:
            sent.add_event("first byte", timestamp=began + row.first_byte_ms * MILLISECOND)
        sent.end(ended)
        if row.status in BAD:
            whole.set_status(self._error, row.status)
        whole.end(ended)

    def close(self) -> None:
        """Send what is left. It may take seconds: call it beside the event loop."""
        self._provider.shutdown()


def open_tracing(endpoint: str, service: str, needed: Sequence[str] = NEEDED) -> Tracing | None:
    """Traces to this address, as those of `service`; None if there is none, or what is `needed` is not installed."""
    if not endpoint:
        return None
    if not _installed(needed):
        log.warning("no traces are sent: OTEL_EXPORTER_OTLP_ENDPOINT is set, but `pip install .[otel]` was not done")
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": service}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")))
    return Tracing(provider)


def _installed(packages: Sequence[str]) -> bool:
    try:
        return all(map(find_spec, packages))
    except ModuleNotFoundError:  # not even the package that the needed one is part of
        return False


def _attributes(row: UsageRow) -> dict[str, AttributeValue]:
    used = row.usage
    return {
        "gen_ai.request.model": row.model_asked,
        "gen_ai.response.model": row.model_served,
        "gen_ai.usage.input_tokens": used.input,
        "gen_ai.usage.output_tokens": used.output,
        "fairgate.request": row.request_id,
        "fairgate.person": row.person_id,
        "fairgate.dialect": row.dialect,
        "fairgate.stream": row.streamed,
        "fairgate.outcome": str(row.status),
        "fairgate.cost_micro_usd": row.cost_micro_usd,
    }


def _sent(row: UsageRow) -> dict[str, AttributeValue]:
    return {"fairgate.upstream": row.upstream, "fairgate.key": row.key, "fairgate.attempts": row.attempts}
