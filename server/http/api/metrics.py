"""`GET /metrics`: figures for Prometheus. Public like the status page, since no person and no key is in them."""

from __future__ import annotations

from server.http.base import BaseHandler
from server.http.services import StatusServices
from server.observability.metrics import CONTENT_TYPE, Metrics


class MetricsHandler(BaseHandler[StatusServices]):
    """All figures, in Prometheus' text format."""

    def initialize(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def get(self) -> None:
        self.set_header("Content-Type", CONTENT_TYPE)
        self.finish(await self._metrics.page())
