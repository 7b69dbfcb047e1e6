"""A worker: it serves HTTP as a gateway does, on sockets that its supervisor holds, with keys of the pool process.

It ends in one of two ways. At a *stop* it drains like a gateway: new requests are refused, running ones may end within
`DRAIN_SECONDS`. It *retires* when another worker has taken its place: it accepts nothing more, and serves what comes
over its connections until the last one has gone. Each answer is the last one of its connection, so a client opens a new
one, at the successor's; one that is silent is closed when its time is over, as always. No request is lost.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Sequence

from server.bootstrap.serve import accepting, drain, first_banner, settle_down, url_of
from server.http.connections import Acceptor
from server.http.services import GatewayServices
from server.workers.channel import Control
from server.workers.role import Role

log = logging.getLogger("fairgate")

LOOK_SECONDS = 0.1  # between two looks whether all connections have gone
Sockets = list[list[socket.socket]]


async def serve_as_worker(services: GatewayServices, role: Role, control: Control) -> int:
    """Serve until the supervisor wants otherwise; returns the exit code."""
    sockets = inherited(role)
    async with accepting(services, ()) as acceptor:
        banner = await first_banner(services, url_of(services.settings, sockets[0])) if role.first else ""
        settle_down(services)
        control.accept_by(lambda places: acceptor.accept_from(of_places(sockets, places)))
        control.ready(banner)
        await first_of(control.ending, control.retiring)
        if not control.ending.is_set():
            await retire(services, control.ending)
        if control.orphaned.is_set():
            close_all(acceptor, sockets)
        await drain(services)
    return 0


def inherited(role: Role) -> Sockets:
    """The sockets of each worker; those that several have are one object."""
    known = {each: socket.socket(fileno=each) for group in role.listening for each in group}
    return [[known[each] for each in group] for group in role.listening]


def of_places(sockets: Sockets, places: Sequence[int]) -> list[socket.socket]:
    """The sockets of these workers, each once."""
    return list(dict.fromkeys(each for place in places for each in sockets[place]))


def close_all(acceptor: Acceptor, sockets: Sockets) -> None:
    """Without a supervisor no one would accept what waits at them: let it be refused, and the port be free."""
    log.error("the supervisor has gone: this process ends what it does, and itself")
    acceptor.accept_from(())
    for each in of_places(sockets, range(len(sockets))):
        each.close()


async def retire(services: GatewayServices, ending: asyncio.Event) -> None:
    """Serve until all connections have gone; ends before that when the supervisor wants it."""
    services.lifecycle.retire()
    await services.status_service.live.close()
    while services.occupancy.connections.open and not ending.is_set():  # noqa: ASYNC110 - a last look is soon enough
        await asyncio.sleep(LOOK_SECONDS)


async def first_of(*events: asyncio.Event) -> None:
    """Wait until one of these is set."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for each in waits:
        each.cancel()
