"""The composition root: the only place where everything meets.

`open_house` builds a gateway and takes it down again in the reverse order; `listen` opens the door; `serve` is what
`python -m server` runs, with signals and the drain. Tests build their gateways with the same functions.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.netutil import bind_sockets

from keypool.estimates import CostModel
from keypool.keys import Key
from keypool.pool import Limits, Pool
from server.accesslog import AccessLog
from server.accounts import Accounts, pepper_for
from server.banner import banner, first_token
from server.demo import Demo
from server.dispatcher import Dispatcher
from server.gateway import Bounds, Gateway
from server.handlers.base import House
from server.handlers.routes import application
from server.heart import Pulse
from server.housekeeping import keep_house
from server.keyroom import Keyroom
from server.ledger.usage import UsageRow
from server.metrics import Metrics
from server.prober import Prober
from server.running_keys import RunningKeys, key_of
from server.settings import Settings
from server.specs import UpstreamSpec
from server.store import store_for
from server.store.base import Store
from server.tokenizer import Tokenizer
from server.upstream import Patience, Upstreams
from server.vault import Vault

ENOUGH = 1 << 40  # bytes: bodies are bounded by the handlers, which can say so in the caller's dialect
PULSE = Pulse()
LAST_WORDS_SECONDS = 3.0  # to write the in-band errors and settle, after the drain's time is over


async def serve(settings: Settings, announce: Callable[[str], None]) -> int:
    """Run a gateway until SIGTERM or SIGINT; returns the exit code."""
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, _stop_or_exit, stop)
    async with open_house(settings) as house, listen(house) as url:
        token = await first_token(house.accounts) if settings.gatekeeper == "user_token" else None
        models = [model.name for model in house.dispatcher.snapshot().models]
        announce(banner(settings, url, token, models[0] if models else "MODEL"))
        _calm_the_collector()
        await stop.wait()
        await drain(house)
    return 0


def _calm_the_collector() -> None:
    """What is here at the start stays, and requests leave few cycles behind: look less often, and not at everything.

    That is a tenth of a request's time (`make bench`). Cycles still go, after some thousand requests.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


def _stop_or_exit(stop: asyncio.Event) -> None:
    """The first signal drains, the second one does not wait."""
    if stop.is_set():
        raise SystemExit(1)
    stop.set()


@asynccontextmanager
async def open_house(settings: Settings, pulse: Pulse = PULSE) -> AsyncIterator[House]:
    """Everything that serves requests, ready to be listened for."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(store_for(settings.store_url))
        housekeeping = asyncio.create_task(keep_house(store, _wall))
        stack.push_async_callback(_end, housekeeping)
        accounts = _accounts(settings, store)
        await accounts.prepare()
        tokenizer = await asyncio.to_thread(Tokenizer.load)
        stack.callback(tokenizer.close)
        specs = list(settings.upstreams)
        if settings.wants_demo:
            demo = Demo()
            stack.push_async_callback(demo.stop)
            specs.append(await demo.start())
        upstreams = Upstreams({spec.name: spec.base_url for spec in specs}, _patience(settings))
        stack.push_async_callback(upstreams.close)
        dispatcher = Dispatcher(Pool(_keys(specs), _limits(settings), _costs(specs)), time.monotonic)
        stack.callback(dispatcher.close)
        prober = await _watched_keys(settings, specs, store, RunningKeys(dispatcher, upstreams), stack)
        dispatcher.suspect = prober.suspect
        metrics = Metrics(dispatcher, lambda: gateway.unsettled) if settings.metrics else None
        observe = metrics.observe if metrics is not None else _unobserved
        bounds = _bounds(settings, pulse)
        gateway = Gateway(dispatcher, upstreams, store, tokenizer, bounds, time.monotonic, _wall, observe)
        house = House(
            settings=settings,
            gateway=gateway,
            accounts=accounts,
            dispatcher=dispatcher,
            store=store,
            access_log=_access_log(settings, stack),
            metrics=metrics,
            clock=time.monotonic,
            wall=_wall,
            started=time.monotonic(),
            demo=settings.wants_demo,
            prober=prober,
        )
        yield house


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _watched_keys(
    settings: Settings, specs: list[UpstreamSpec], store: Store, keys: RunningKeys, stack: AsyncExitStack
) -> Prober:
    """Keep the running keys in step with the store, and what is known of them true."""
    prober = Prober(keys, settings.probe_interval, random.random, time.monotonic)
    keyroom = Keyroom(store, Vault(settings.master_keys), keys, prober, specs)
    stack.push_async_callback(prober.close)
    stack.push_async_callback(keyroom.close)
    await keyroom.start(settings.keys_poll_seconds)
    await prober.start(specs)
    return prober


def _access_log(settings: Settings, stack: AsyncExitStack) -> AccessLog | None:
    if not settings.access_log:
        return None
    access_log = AccessLog(sys.stdout.write)
    stack.callback(access_log.flush)
    return access_log


@asynccontextmanager
async def listen(house: House) -> AsyncIterator[str]:
    """Open the door; gives the address under which this machine reaches it."""
    settings = house.settings
    sockets = bind_sockets(settings.port, settings.host, backlog=1024)
    server = Door(
        application(house),
        max_header_size=settings.max_header_bytes,
        max_body_size=ENOUGH,
        idle_connection_timeout=settings.header_seconds,
        body_timeout=settings.body_seconds,
    )
    server.most = settings.max_connections
    server.add_sockets(sockets)
    try:
        host = "127.0.0.1" if settings.host in ("0.0.0.0", "::", "") else settings.host  # noqa: S104 - asked for
        yield f"http://{f'[{host}]' if ':' in host else host}:{sockets[0].getsockname()[1]}"
    finally:
        server.stop()
        await server.close_all_connections()


async def drain(house: House) -> None:
    """Let running requests end within their time; what is left then ends with an error in its own dialect."""
    house.draining = True
    await house.gateway.quiet(house.settings.drain_seconds)
    house.gateway.stop()
    await house.gateway.quiet(LAST_WORDS_SECONDS)


class Door(HTTPServer):
    """Tornado's server with a bound on connections; it has none of its own."""

    most = 10_000

    def handle_stream(self, stream: IOStream, address: tuple[str, int]) -> None:
        if len(self._connections) >= self.most:
            stream.close()
            return
        super().handle_stream(stream, address)


def _keys(specs: Iterable[UpstreamSpec]) -> list[Key]:
    return [key_of(spec, secret) for spec in specs for secret in spec.keys]


def _costs(specs: Iterable[UpstreamSpec]) -> CostModel:
    """What a request as such is worth: tokens per minute over requests per minute of all keys, where that is known."""
    limited = [spec for spec in specs if spec.rpm and (spec.tpm or spec.itpm)]
    requests = sum((spec.rpm or 0) * len(spec.keys) for spec in limited)
    tokens = sum((spec.tpm or spec.itpm or 0) * len(spec.keys) for spec in limited)
    return CostModel.of_limits(requests, tokens) if requests else CostModel()


def _accounts(settings: Settings, store: Store) -> Accounts:
    proxy_key = settings.proxy_key.reveal() if settings.proxy_key else ""
    configured = settings.token_pepper.reveal() if settings.token_pepper else ""
    return Accounts(
        store,
        settings.gatekeeper,
        proxy_key,
        pepper_for(settings.store_url, configured),
        cache_seconds=settings.token_cache_seconds,
    )


def _patience(settings: Settings) -> Patience:
    return Patience(settings.connect_seconds, settings.first_byte_seconds, settings.idle_seconds)


def _limits(settings: Settings) -> Limits:
    cap = settings.running_per_person or None
    return Limits(settings.queue_total, settings.queue_per_person, cap, settings.headroom_slots)


def _bounds(settings: Settings, pulse: Pulse) -> Bounds:
    return Bounds(settings.queue_seconds, settings.total_seconds, settings.max_answer_bytes, settings.stateful, pulse)


def _unobserved(row: UsageRow) -> None:
    """Without metrics nobody counts."""


def _wall() -> int:
    return time.time_ns() // 1_000_000
