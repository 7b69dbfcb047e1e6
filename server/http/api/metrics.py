"""`GET /metrics`: figures for Prometheus. Public like the status page, since no person and no key is in them."""

from __future__ import annotations

from server.http.base import BaseHandler, Services
from server.observability.metrics import CONTENT_TYPE, Metrics


class MetricsHandler(BaseHandler):
    """All figures, in Prometheus' text format."""

    def initialize(self, services: Services, metrics: Metrics) -> None:  # type: ignore[override]  # a row more
        self.services, self._metrics = services, metrics

    def get(self) -> None:
        self.set_header("Content-Type", CONTENT_TYPE)
        self.finish(self._metrics.text())
