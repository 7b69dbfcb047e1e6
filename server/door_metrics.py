"""How full the doors are, for Prometheus: bytes of bodies that are held, and what was refused for their sake.

Read when somebody asks. No label names a person, a token or an address.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from server.body_budget import BOUNDS, BodyBudget
from server.pool_metrics import counter, gauge
from server.spool import Spool


class DoorMetrics(Collector):
    """The figures of what comes in."""

    def __init__(self, bodies: BodyBudget, spool: Spool) -> None:
        self._bodies, self._spool = bodies, spool

    def collect(self) -> Iterator[Metric]:
        yield from self._held()

    def _held(self) -> Iterator[Metric]:
        bodies, spool = self._bodies, self._spool
        yield gauge("fairgate_bodies_held_bytes", "Bodies of requests that are held.", (), [((), bodies.total)])
        refused = [((bound,), bodies.refused[bound]) for bound in BOUNDS]
        yield counter("fairgate_bodies_refused", "Bodies that a bound did not admit.", ("bound",), refused)
        yield gauge("fairgate_bodies_spooled_bytes", "Of these, in files.", (), [((), spool.size)])
        yield counter("fairgate_bodies_spooled", "Bodies that waited in a file.", (), [((), spool.written)])
        yield counter("fairgate_bodies_unspooled", "Bodies that had no room on the disk.", (), [((), spool.failed)])
