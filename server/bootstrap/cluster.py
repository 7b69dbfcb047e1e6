"""The gateway among others on the same store: the changes that it follows, and its heartbeat.

Alone on an embedded store a gateway has no heartbeat, and `ChangeFollower` looks at nothing by itself: what is changed
here takes effect at once in any case.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack, suppress
from functools import partial
from importlib.metadata import PackageNotFoundError, version

from server.accounting.assembly import Accounting
from server.cluster.changes import ChangeFollower, Remembered
from server.cluster.face import Face, Identity
from server.cluster.heartbeat import Heartbeat
from server.cluster.membership import Membership
from server.config.parsers import SQLITE
from server.config.settings import Settings
from server.dispatching import Dispatching
from server.status.service import Clocks
from server.store.base import Store, StoreError


def among_others(settings: Settings) -> bool:
    """Whether other gateways may work on this store."""
    return not settings.store_url.startswith(SQLITE)


def open_follower(settings: Settings, store: Store, remembered: Remembered, stack: AsyncExitStack) -> ChangeFollower:
    """What is changed here or elsewhere takes effect from now on."""
    follower = ChangeFollower(store.versions, remembered)
    if among_others(settings):
        stack.push_async_callback(_end, asyncio.create_task(follower.keep()))
    return follower


def open_heartbeat(
    settings: Settings,
    store: Store,
    accounting: Accounting,
    dispatcher: Dispatching,
    clocks: Clocks,
    stack: AsyncExitStack,
) -> Face | None:
    """Be one of the gateways from now on, until the stack is closed; None where there is only one."""
    if not among_others(settings):
        return None
    journal = accounting.journal
    me = Identity(journal.holder, _version(), f"{socket.gethostname()}:{settings.port}", clocks.wall())
    membership = Membership(me.id, journal.lives, settings.outage_seconds)
    face = Face(me, membership, dispatcher, clocks.clock)
    adopt = partial(accounting.adopt, store)
    heartbeat = Heartbeat(store, me.id, membership, (face,), adopt, clocks.clock, clocks.wall)
    stack.push_async_callback(_left, heartbeat)
    stack.push_async_callback(_end, asyncio.create_task(heartbeat.keep()))
    return face


async def farewell(store: Store, accounting: Accounting) -> None:
    """The last word of a gateway among others: all that it had is in the store, so it need not be missed."""
    if not accounting.journal.leaves:
        with suppress(StoreError):
            await store.forget_gateway(accounting.journal.holder)


async def _left(heartbeat: Heartbeat) -> None:
    with suppress(StoreError):
        await heartbeat.leave()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _version() -> str:
    try:
        return version("fairgate")
    except PackageNotFoundError:
        return "unpacked"
