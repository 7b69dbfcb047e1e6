"""The pool and its keys: built in this process, or reached in the pool process of this machine."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from keypool.pool import Pool
from server.bootstrap import from_settings as wiring
from server.cluster.face import Load, Work
from server.config.settings import Settings
from server.dispatcher import Dispatcher
from server.dispatching import Dispatching, LocalPeers, Peers
from server.keys.elsewhere import NoProber, SecretsOnly
from server.keys.encryption import KeyEncryption
from server.keys.prober import Prober, check
from server.keys.registry import UpstreamRegistry
from server.keys.running import Heard, RunningKeys
from server.keys.sync import KeySync
from server.status.snapshot import Progress, nowhere
from server.store.base import Store
from server.upstream import Upstreams
from server.workers.link import Link
from server.workers.remote import RemoteDispatcher
from server.workers.role import Role

POOL_SECONDS = 30.0  # for the pool process to be there when a worker starts


@dataclass(frozen=True, slots=True)
class OpenPool:
    """What gives requests their keys. `progress`: how many keys have been asked about, and how many are to be.

    `sync_keys` asks the store for keys that have come, gone or been paused. `here`: the dispatcher, if its pool is in
    this process. `elsewhere`: what other gateways have to do, as far as the pool process says it.
    """

    dispatcher: Dispatching
    peers: Peers
    progress: Progress
    sync_keys: Callable[[], Awaitable[None]]
    here: Dispatcher | None = None
    elsewhere: Callable[[], Load] = nowhere


class PoolBuilder:
    """`know` and `forget` hear of upstreams whose keys are added at run time; `stack` takes everything down."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        registry: UpstreamRegistry,
        upstreams: Upstreams,
        know: Heard,
        forget: Heard,
        stack: AsyncExitStack,
    ) -> None:
        self._settings, self._store, self._registry, self._upstreams = settings, store, registry, upstreams
        self._know, self._forget, self._stack = know, forget, stack

    def pool(self) -> Pool:
        settings, registry = self._settings, self._registry
        return Pool(wiring.keys(registry), wiring.limits(settings), wiring.costs(registry))

    async def own(self) -> OpenPool:
        """A pool of this process's own."""
        dispatcher = Dispatcher(self.pool(), time.monotonic)
        prober, key_sync = await self.watched(dispatcher, self._settings.keys_poll_seconds)
        return OpenPool(dispatcher, LocalPeers(), prober.progress, key_sync.sync, dispatcher)

    async def watched(self, dispatcher: Dispatcher, poll_seconds: float) -> tuple[Prober, KeySync]:
        """The keys of a pool are kept in step with the store from now on, and what is known of them true."""
        settings, registry, stack = self._settings, self._registry, self._stack
        stack.callback(dispatcher.close)
        keys = RunningKeys(dispatcher, registry, self._know, self._forget)
        asked, interval = partial(check, self._upstreams), settings.probe_interval
        prober = Prober(keys, registry, asked, interval, random.random, time.monotonic)
        key_sync = KeySync(self._store, KeyEncryption(settings.master_keys), keys, prober, registry)
        stack.push_async_callback(prober.close)
        stack.push_async_callback(key_sync.close)
        await key_sync.start(poll_seconds)
        await prober.start()
        dispatcher.report_to(prober.suspect)
        return prober, key_sync

    async def shared(self, role: Role) -> OpenPool:
        """The pool of the pool process. Raises TimeoutError, WrongVersion."""
        settings, stack = self._settings, self._stack
        keys = SecretsOnly(self._registry, self._know, self._forget)
        key_sync = KeySync(self._store, KeyEncryption(settings.master_keys), keys, NoProber(), self._registry)
        stack.push_async_callback(key_sync.close)
        await key_sync.start(settings.keys_poll_seconds)
        remote = RemoteDispatcher(
            partial(Link, role.pool_path), time.monotonic, (role.number, role.life), keys.has, key_sync.sync
        )
        stack.push_async_callback(remote.close)
        await remote.open(POOL_SECONDS)
        return OpenPool(
            remote,
            remote,
            lambda: remote.progress,
            key_sync.sync,
            elsewhere=lambda: {model: Work(*work) for model, work in remote.elsewhere.items()},
        )
