"""The composition root: the only place where everything meets.

`open_services` builds a gateway and takes it down again in the reverse order; `listen` opens the sockets; `serve` is
what `python -m server` runs, with signals and the drain. Tests build their gateways with the same functions.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from tornado.netutil import bind_sockets
from tornado.web import Application

from server.bootstrap.banner import FIRST_PERSON, banner, first_token, python_of_the_shell
from server.bootstrap.example import Example, cheapest
from server.bootstrap.services import ServicesBuilder
from server.config.settings import Settings
from server.connection_budget import raise_open_files
from server.http.connections import Acceptor, BoundedHTTPServer
from server.http.routes import application
from server.http.services import GatewayServices
from server.http.transport.server import ConnectionBounds, TransportServer
from server.observability import logs
from server.relay.keepalive import KeepaliveTiming
from server.store.base import Caller, StoreError
from server.wire.anthropic import ANTHROPIC
from server.wire.openai import OPENAI
from server.workers.role import Role

log = logging.getLogger("fairgate")

ENOUGH = 1 << 40  # bytes: bodies are bounded by the handlers, which can say so in the caller's dialect
PULSE = KeepaliveTiming()
NO_RELOAD = "SIGHUP changes nothing in a gateway of one process: restart it, or run several (WORKERS)"
ONE_PROCESS = "WORKERS is not used: the demo is one process; name an upstream, or set DEMO=off"
LAST_WORDS_SECONDS = 3.0  # to write the in-band errors and settle, after the drain's time is over


async def serve(settings: Settings, announce: Callable[[str], None]) -> int:
    """Run a gateway until SIGTERM or SIGINT; returns the exit code."""
    logs.configure(settings)
    raise_open_files()
    for note in settings.notes:
        log.info("%s", note)
    for slip in settings.slips:
        log.warning("%s", slip)
    if settings.workers > 1:
        log.warning("%s", ONE_PROCESS)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, _stop_or_exit, stop)
    if sys.stdin is None or not sys.stdin.isatty():  # else it says that the terminal has gone
        loop.add_signal_handler(signal.SIGHUP, log.warning, "%s", NO_RELOAD)
    async with open_services(settings) as services, listen(services) as url:
        announce(await first_banner(services, url))
        settle_down(services)
        await stop.wait()
        await drain(services)
    return 0


async def first_banner(services: GatewayServices, url: str) -> str:
    """The banner: at the first start of a store with a token in it, and with the store's trouble, if it has any."""
    settings, token, trouble = services.settings, None, ""
    if settings.gatekeeper == "user_token":
        try:
            token = await first_token(services.accounts)
        except StoreError as error:
            trouble = str(error)
    return banner(settings, url, token, example(services), trouble=trouble, python=python_of_the_shell())


def settle_down(services: GatewayServices) -> None:
    """The start is over."""
    most = services.occupancy.connections.most
    if most < services.settings.max_connections:
        log.warning("%d connections at a time: the system allows no more open files", most)
    _calm_the_collector()


def example(services: GatewayServices) -> Example | None:
    """The model of the banner's example, as the first person may ask it; None if there is none."""
    anyone, now = Caller(FIRST_PERSON, FIRST_PERSON, None), services.wall()
    prices = services.book.prices
    for dialect in (OPENAI, ANTHROPIC):
        names = services.admission.models(anyone, dialect)
        model = cheapest((name, price) for name in names if (price := prices.of(name, now)) is not None)
        if model is not None:
            return Example(model, dialect.name)
    return None


def _calm_the_collector() -> None:
    """Make the garbage collector look less often, and never at the objects of the start: they stay, and requests leave
    few cycles behind.

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
async def open_services(
    settings: Settings, timing: KeepaliveTiming = PULSE, role: Role | None = None
) -> AsyncIterator[GatewayServices]:
    """Everything that serves requests, ready to be listened for. `role`: of one of several workers."""
    async with AsyncExitStack() as stack:
        yield await ServicesBuilder(settings, stack, role).services(timing)


@asynccontextmanager
async def listen(services: GatewayServices) -> AsyncIterator[str]:
    """Open the sockets; gives the address under which this machine reaches it."""
    settings = services.settings
    sockets = bind_sockets(settings.port, settings.host, backlog=1024)
    async with accepting(services, sockets):
        yield url_of(settings, sockets)


@asynccontextmanager
async def accepting(services: GatewayServices, sockets: Sequence[socket.socket]) -> AsyncIterator[Acceptor]:
    """Accept connections from these sockets, which are closed at the end."""
    server = carrier(application(services), services.settings)
    acceptor = Acceptor(sockets, server, services.occupancy.connections)
    acceptor.start()
    try:
        yield acceptor
    finally:
        acceptor.close()
        await server.close_all_connections()


def url_of(settings: Settings, sockets: Sequence[socket.socket]) -> str:
    """The address under which this machine reaches these sockets."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::", "") else settings.host  # noqa: S104 - asked for
    return f"http://{f'[{host}]' if ':' in host else host}:{sockets[0].getsockname()[1]}"


def carrier(served: Application, settings: Settings) -> BoundedHTTPServer | TransportServer:
    """The server that speaks HTTP with the clients; both kinds keep the same bounds."""
    if settings.transport == "own":
        bounds = ConnectionBounds(
            most_header=settings.max_header_bytes,
            most_body=ENOUGH,
            header_seconds=settings.header_seconds,
            kept_seconds=settings.keep_alive_seconds,
            body_seconds=settings.body_seconds,
            write_seconds=settings.write_seconds,
        )
        return TransportServer(served, bounds)
    server = BoundedHTTPServer(
        served,
        max_header_size=settings.max_header_bytes,
        max_body_size=ENOUGH,
        idle_connection_timeout=settings.header_seconds,
        body_timeout=settings.body_seconds,
    )
    server.kept_seconds = settings.keep_alive_seconds
    return server


async def drain(services: GatewayServices) -> None:
    """Let running requests end within their time; what is left then ends with an error in its own dialect."""
    services.lifecycle.drain()
    await services.status_service.drain()
    await services.pipeline.quiet(services.settings.drain_seconds)
    services.pipeline.stop()
    await services.pipeline.quiet(LAST_WORDS_SECONDS)
