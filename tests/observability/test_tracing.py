"""Traces are written from the ledger's rows, and only where an operator asked for them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from server.ledger.usage import Outcome
from server.observability.tracing import Tracing, open_tracing
from tests.usage.rows import row


def traced(**values: Any) -> dict[str, ReadableSpan]:
    """The spans of a row, by name."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing = Tracing(provider)
    tracing.observe(row(**values))
    tracing.close()
    return {span.name: span for span in exporter.get_finished_spans()}


def milliseconds(span: ReadableSpan, since: ReadableSpan) -> tuple[int, int]:
    """When a span began and ended, after the start of another."""
    assert span.start_time and span.end_time and since.start_time
    return (span.start_time - since.start_time) // 1_000_000, (span.end_time - since.start_time) // 1_000_000


def test_a_request_is_a_span_with_its_wait_and_its_way_upstream_below_it() -> None:
    spans = traced(queue_ms=12, first_byte_ms=345, duration_ms=678)
    whole = spans["chat gpt-5"]
    assert list(spans) == ["queue", "upstream", "chat gpt-5"]
    assert milliseconds(whole, whole) == (0, 678)
    assert milliseconds(spans["queue"], whole) == (0, 12)
    assert milliseconds(spans["upstream"], whole) == (12, 678)
    assert [span.parent == whole.context for span in spans.values()] == [True, True, False]
    (event,) = spans["upstream"].events
    assert (event.name, (event.timestamp - (whole.start_time or 0)) // 1_000_000) == ("first byte", 345)
    assert (whole.kind, spans["upstream"].kind) == (SpanKind.SERVER, SpanKind.CLIENT)


def test_its_attributes_are_named_as_opentelemetry_names_them_and_name_no_person() -> None:
    attributes = dict(traced()["chat gpt-5"].attributes or {})
    assert attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-5",
        "gen_ai.response.model": "gpt-5-2025-08-07",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        "fairgate.request": attributes["fairgate.request"],
        "fairgate.person": "usr_ada",
        "fairgate.dialect": "openai",
        "fairgate.stream": True,
        "fairgate.outcome": "completed",
        "fairgate.cost_micro_usd": 1_250_075,
    }


@pytest.mark.parametrize("outcome", Outcome)
def test_only_what_went_wrong_is_an_error(outcome: Outcome) -> None:
    status = traced(status=outcome)["chat gpt-5"].status.status_code
    bad = outcome in (Outcome.FAILED, Outcome.CUT, Outcome.INTERRUPTED)
    assert status is (StatusCode.ERROR if bad else StatusCode.UNSET)


def test_an_endpoint_that_the_conventions_do_not_know_has_its_own_name() -> None:
    assert "generations gpt-image-1" in traced(endpoint="/v1/images/generations", model_asked="gpt-image-1")


def test_a_request_without_an_answer_has_no_first_byte() -> None:
    assert not traced(first_byte_ms=None, status=Outcome.FAILED)["upstream"].events


def test_without_an_address_there_are_no_traces() -> None:
    assert open_tracing("", "fairgate") is None


def test_without_the_packages_the_gateway_runs_all_the_same_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "fairgate"):
        assert open_tracing("http://127.0.0.1:1", "fairgate", ("no_such_package.at_all",)) is None
    assert "pip install .[otel]" in caplog.text


@pytest.mark.slow
@pytest.mark.gen_test
async def test_the_spans_arrive_at_a_collector_before_the_gateway_has_stopped() -> None:
    bodies: list[bytes] = []
    socket, port = bind_unused_port(address="127.0.0.1")
    server = HTTPServer(Application([("/v1/traces", collector(bodies.append))]))
    server.add_socket(socket)
    tracing = open_tracing(f"http://127.0.0.1:{port}/", "campus")
    assert tracing is not None
    tracing.observe(row())
    await IOLoop.current().run_in_executor(None, tracing.close)
    server.stop()
    (resource,) = ExportTraceServiceRequest.FromString(b"".join(bodies)).resource_spans
    assert "campus" in str(resource.resource)
    assert {span.name for scope in resource.scope_spans for span in scope.spans} == {"queue", "upstream", "chat gpt-5"}


def collector(take: Callable[[bytes], None]) -> type[RequestHandler]:
    class Collector(RequestHandler):
        def post(self) -> None:
            take(self.request.body)
            self.set_header("Content-Type", "application/x-protobuf")

    return Collector
