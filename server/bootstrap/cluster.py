"""The gateway among others on the same store: the changes that it follows, and its heartbeat.

Alone on an embedded store a gateway has no heartbeat, and `ChangeFollower` looks at nothing by itself: what is changed
here takes effect at once in any case.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from server.accounting.assembly import Accounting
from server.accounting.minute_rates import MinuteRates
from server.bootstrap import from_settings as wiring
from server.cluster.capacity import SharedCapacity
from server.cluster.changes import ChangeFollower, Remembered
from server.cluster.face import Face, Identity
from server.cluster.heartbeat import Heartbeat
from server.cluster.membership import Membership
from server.cluster.news import SharedNews
from server.cluster.rates import SharedRates, digester
from server.config.parsers import SQLITE
from server.config.settings import Settings
from server.crypto import derived
from server.dispatcher import Dispatcher
from server.status.service import Clocks
from server.store.base import Store, StoreError
from server.tasks import run_until_closed

RATES = "rates"  # what workers announce to each other of the limits per minute


def among_others(settings: Settings) -> bool:
    """Whether other gateways may work on this store."""
    return not settings.store_url.startswith(SQLITE)


async def open_follower(store: Store, remembered: Remembered, stack: AsyncExitStack, *, others: bool) -> ChangeFollower:
    """What is changed here takes effect from now on, and with `others` on this store what is changed elsewhere."""
    follower = ChangeFollower(store.versions, remembered)
    if others:
        with suppress(StoreError):
            await follower.look()  # before a caller is remembered, who would be forgotten by the first look
        run_until_closed(stack, follower.keep())
    return follower


@dataclass(frozen=True, slots=True)
class Member:
    """One life of one gateway. `lives`: whether another one's process is known to live, on this machine; `adopt` takes
    over from those who died here."""

    id: str
    lives: Callable[[str], bool]
    adopt: Callable[[], Awaitable[None]]


def names_of_counters(settings: Settings) -> Callable[[str], str]:
    """By which names the gateways of this installation speak of the counters of limits per minute."""
    return digester(derived(wiring.pepper(settings), RATES))


def share_rates(settings: Settings, member: Member, rates: MinuteRates, clocks: Clocks) -> SharedRates:
    """Let the limits per minute of the only process of a gateway hold over all gateways."""
    shared = SharedRates(member.id, rates.note, clocks.clock)
    rates.name_by(names_of_counters(settings))
    rates.share(shared.took)
    rates.spare(shared.wait)
    return shared


async def open_heartbeat(
    settings: Settings,
    store: Store,
    member: Member,
    dispatcher: Dispatcher,
    rates: SharedRates,
    clocks: Clocks,
    stack: AsyncExitStack,
) -> Face:
    """Be one of the gateways from now on, until the stack is closed: the pool has its part of what all divide."""
    clock, wall = clocks.clock, clocks.wall
    me = Identity(member.id, _version(), f"{socket.gethostname()}:{settings.port}", wall())
    membership = Membership(me.id, member.lives, settings.outage_seconds)
    face = Face(me, membership, dispatcher, clock)
    capacity = SharedCapacity(store, me.id, dispatcher, derived(wiring.pepper(settings), "flows"), clock, wall)
    news = SharedNews(me.id, dispatcher, clock, wall)
    heartbeat = Heartbeat(store, me.id, membership, (face, capacity, news, rates), member.adopt, clock, wall)
    with suppress(StoreError):
        await heartbeat.beat()  # before it nothing is ours, and the first request would wait for it
    stack.push_async_callback(_left, heartbeat)
    run_until_closed(stack, heartbeat.keep())
    return face


async def farewell(store: Store, accounting: Accounting) -> None:
    """The last word of a gateway among others: all that it had is in the store, so it need not be missed."""
    if not accounting.journal.leaves:
        await forget(store, accounting.journal.holder)


async def forget(store: Store, gateway_id: str) -> None:
    """Remove a gateway's record, if the store is there."""
    with suppress(StoreError):
        await store.forget_gateway(gateway_id)


async def _left(heartbeat: Heartbeat) -> None:
    with suppress(StoreError):
        await heartbeat.leave()


def _version() -> str:
    try:
        return version("fairgate")
    except PackageNotFoundError:
        return "unpacked"
