"""How full the gateway is, for Prometheus: connections, bytes of bodies that are held, and what was refused for them.

Read at the scrape. No label names a person, a token or an address.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from server.address_rate import AddressRate
from server.body_budget import BOUNDS, BodyBudget
from server.connection_budget import ConnectionBudget
from server.observability.pool_metrics import counter, gauge
from server.spool import Spool


@dataclass(frozen=True, slots=True)
class Occupancy:
    """The bytes and connections that are held at this moment, and their bounds."""

    bodies: BodyBudget
    spool: Spool
    connections: ConnectionBudget
    requests: AddressRate


class OccupancyMetrics(Collector):
    """The figures of it."""

    def __init__(self, occupancy: Occupancy) -> None:
        self._occupancy = occupancy

    def collect(self) -> Iterator[Metric]:
        yield from self._held()
        yield from self._connected()

    def _held(self) -> Iterator[Metric]:
        bodies, spool = self._occupancy.bodies, self._occupancy.spool
        yield gauge("fairgate_bodies_held_bytes", "Bodies of requests that are held.", (), [((), bodies.total)])
        refused = [((bound,), bodies.refused[bound]) for bound in BOUNDS]
        yield counter("fairgate_bodies_refused", "Bodies that a bound did not admit.", ("bound",), refused)
        yield gauge("fairgate_bodies_spooled_bytes", "Of these, in files.", (), [((), spool.size)])
        yield counter("fairgate_bodies_spooled", "Bodies that waited in a file.", (), [((), spool.written)])
        yield counter("fairgate_bodies_unspooled", "Bodies that had no room on the disk.", (), [((), spool.failed)])

    def _connected(self) -> Iterator[Metric]:
        open_ = self._occupancy.connections
        yield gauge("fairgate_connections_open_count", "Connections of clients.", (), [((), open_.open)])
        yield gauge("fairgate_connections_allowed_count", "How many there may be.", (), [((), open_.most)])
        yield counter("fairgate_connections_refused", "Of addresses that had enough.", (), [((), open_.refused)])
        limited = self._occupancy.requests.refused
        yield counter("fairgate_requests_limited", "Of addresses that had used up their minute.", (), [((), limited)])
        stopped = [(("bound",), open_.full_times), (("files",), open_.short_times)]
        yield counter("fairgate_connections_paused", "How often accepting has stopped, and why.", ("cause",), stopped)
