"""The pool process of a machine with several workers: the queues, and how the keys stand, as one.

It serves no HTTP and keeps no accounts. It follows the store for the keys, asks about them as a gateway does, and gives
them to the requests of the workers (`server/workers`).
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from server.accounting.store_startup import StoreStartup
from server.bootstrap import from_settings as wiring
from server.bootstrap.keys import PoolBuilder
from server.bootstrap.ownership import confirm
from server.config.settings import Settings
from server.config.specs import UpstreamSpec
from server.keys.registry import UpstreamRegistry
from server.store import store_for
from server.upstream import Upstreams
from server.workers.pool_server import PoolServer


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
        server.progress = await builder.watched(server.dispatcher)
        yield server


def _unpriced(spec: UpstreamSpec) -> None:
    """Prices are the workers'."""
