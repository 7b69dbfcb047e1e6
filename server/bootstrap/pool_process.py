"""The pool process of a machine with several workers: the queues, and how the keys stand, as one.

It serves no HTTP and keeps no accounts. It follows the store for the keys, asks about them as a gateway does, and gives
them to the requests of the workers (`server/workers`).
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial

from prometheus_client import CollectorRegistry

from server.accounting.store_startup import StoreStartup
from server.bootstrap import from_settings as wiring
from server.bootstrap.cluster import RATES, Member, among_others, forget, open_heartbeat
from server.bootstrap.keys import PoolBuilder
from server.bootstrap.ownership import confirm
from server.cluster.face import Face
from server.cluster.rates import SharedRates
from server.config.settings import Settings
from server.config.specs import UpstreamSpec
from server.dispatching import END
from server.keys.registry import UpstreamRegistry
from server.observability.pool_metrics import PoolMetrics
from server.status.service import Clocks
from server.store import store_for
from server.store.base import Store
from server.tasks import end
from server.upstream import Upstreams
from server.workers.channel import Control
from server.workers.figures import families_of
from server.workers.pool_server import PoolServer
from server.workers.role import Role

LAST_SECONDS = 5.0  # for workers that drain, beyond their time
FOLLOW_SECONDS = 1.0  # between two questions to the store whether keys have changed: workers change them
LOOK_SECONDS = 0.1  # between two looks whether they have left


@asynccontextmanager
async def open_pool(settings: Settings) -> AsyncIterator[PoolServer]:
    """A pool that can be served: its keys are known."""
    async with AsyncExitStack() as stack:
        store = store_for(settings.store_url, settings.store_driver)
        opening = StoreStartup(store, patient=not settings.store_url.startswith("sqlite:"))
        stack.push_async_callback(opening.close)
        await opening.begin((partial(confirm, store, settings),))
        registry = UpstreamRegistry(settings.upstreams)
        upstreams = Upstreams(registry.route, wiring.patience(settings), wiring.egress(settings))
        stack.push_async_callback(upstreams.close)
        builder = PoolBuilder(settings, store, registry, upstreams, _unpriced, _unpriced, stack)
        server = PoolServer(builder.pool(), time.monotonic)
        prober, _ = await builder.watched(server.dispatcher, min(FOLLOW_SECONDS, settings.keys_poll_seconds))
        server.progress = prober.progress
        if among_others(settings):
            await _join(settings, store, server, stack)
        yield server


async def _join(settings: Settings, store: Store, server: PoolServer, stack: AsyncExitStack) -> None:
    """Be one gateway among others, for all workers of this machine. They keep the journals."""
    member = Member(secrets.token_hex(8), lambda other: False, _nothing)
    stack.push_async_callback(forget, store, member.id)
    clocks = Clocks(time.monotonic, lambda: time.time_ns() // 1_000_000, time.monotonic())
    rates = SharedRates(member.id, lambda *one: server.announce(RATES, [_taking(*one)]), clocks.clock)
    server.hub.hears(RATES, partial(_took, rates))
    face = await open_heartbeat(settings, store, member, server.dispatcher, rates, clocks, stack)
    face.requests.ends_by(lambda request_id: server.announce(END, request_id))
    server.hub.among(OtherGateways(face))


class OtherGateways:
    """What the workers of this machine see of the other gateways (`hub.Beyond`)."""

    def __init__(self, face: Face) -> None:
        self._face = face
        self.known, self.end = face.requests.known, face.requests.end

    def load(self) -> dict[str, list[int]]:
        """By model."""
        return {model: list(work) for model, work in self._face.elsewhere().items()}


async def serve_pool(settings: Settings, role: Role, control: Control) -> int:
    """Serve the workers until the supervisor wants it to end; returns the exit code.

    If the supervisor has gone, it goes on until the last worker has left, which drains.
    """
    async with open_pool(settings) as server:
        figures = CollectorRegistry()
        figures.register(PoolMetrics(server.dispatcher))
        control.show(lambda: families_of(figures.collect()))
        control.ready()
        workers = await control.served()
        if control.ending.is_set():
            return 0
        listening = socket.socket(fileno=role.listening[0][0])
        serving = asyncio.create_task(server.serve(listening, workers))
        await control.ending.wait()
        if control.orphaned.is_set():
            await _deserted(server, settings.drain_seconds + LAST_SECONDS)
        control.part()
        await end(serving)
    return 0


async def _deserted(server: PoolServer, seconds: float) -> None:
    """Wait until the last worker has left, at most so long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while server.members:  # noqa: ASYNC110 - a last look is soon enough
                await asyncio.sleep(LOOK_SECONDS)


def _took(rates: SharedRates, takings: list[tuple[str, int, float, float]]) -> None:
    for counter, by, _, at in takings:
        rates.took(counter, by, at)


def _taking(counter: str, by: int, at: float) -> tuple[str, int, float, float]:
    return counter, by, at, at


async def _nothing() -> None:
    """No journal is kept here."""


def _unpriced(spec: UpstreamSpec) -> None:
    """Prices are the workers'."""
