"""The gateways on one store, for Prometheus: how many there are, what each has to do, and whose journals are missing.

Figures of other gateways are as old as a heartbeat. A gateway is named by the beginning of its id, which is another one
after each start and says nothing of the machine. The sum over the label is all that waits or runs anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from server.cluster.face import Face, short
from server.observability.pool_metrics import gauge


class GatewayMetrics(Collector):
    """The figures of all gateways. None of them where there is only one."""

    def __init__(self, face: Face | None) -> None:
        self._face = face

    def collect(self) -> Iterator[Metric]:
        if self._face is None:
            return
        gateways, missing = self._face.gateways(), self._face.missing()
        labels, names = ("gateway",), [(short(each.id),) for each in gateways]
        running = list(zip(names, (each.running for each in gateways), strict=True))
        waiting = list(zip(names, (each.waiting for each in gateways), strict=True))
        yield gauge("fairgate_gateways_living_count", "Gateways on this store.", (), [((), len(gateways))])
        yield gauge("fairgate_gateways_running_requests", "Requests that have a key, by gateway.", labels, running)
        yield gauge("fairgate_gateways_waiting_requests", "Requests that wait for one, by gateway.", labels, waiting)
        yield gauge("fairgate_journals_missing_count", "Dead gateways' journals to adopt.", (), [((), len(missing))])
