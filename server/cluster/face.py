"""What people see of the gateways: how many there are, what each has to do, and whose journals are missing.

Each gateway says it of itself in its record (`said`), and the figures of all are as old as a heartbeat. This gateway's
own are those of this moment. Nothing in them belongs to a person or a key; `requests` does, and is for administrators.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from keypool.live import live
from server.cluster.membership import Membership
from server.cluster.requests import SharedRequests
from server.dispatcher import Dispatcher
from server.store.base import GatewayRecord

SHORT = 8  # digits of an id that people see


class Work(NamedTuple):
    """What a gateway has of one model: requests that run and that wait, and its slots."""

    running: int = 0
    waiting: int = 0
    slots: int = 0


Load = Mapping[str, Work]  # by model


@dataclass(frozen=True, slots=True)
class Identity:
    """This life of this gateway: its version, the address for people, and since when (UTC ms)."""

    id: str
    version: str
    address: str
    since: int


@dataclass(frozen=True, slots=True)
class Gateway:
    """One gateway as others see it. `unheard` is seconds since its last heartbeat was seen here."""

    id: str
    version: str
    address: str
    since: int
    unheard: float
    load: Load

    @property
    def running(self) -> int:
        return sum(each.running for each in self.load.values())

    @property
    def waiting(self) -> int:
        return sum(each.waiting for each in self.load.values())


@dataclass(frozen=True, slots=True)
class Missing:
    """A gateway that died and whose journal no one could read; since when (UTC ms)."""

    id: str
    address: str
    since: int


class Face:
    """A part of the heartbeat. `clock` is seconds, monotonic."""

    def __init__(
        self, me: Identity, membership: Membership, dispatcher: Dispatcher, clock: Callable[[], float]
    ) -> None:
        self._me, self._membership, self._dispatcher, self._clock = me, membership, dispatcher, clock
        self.requests = SharedRequests(me.id, lambda: live(dispatcher.pool, clock()), clock)

    @property
    def me(self) -> str:
        """The id of this gateway."""
        return self._me.id

    def said(self) -> Mapping[str, Any]:
        me = self._me
        own = {"version": me.version, "address": me.address, "since": me.since, "load": dict(self._own())}
        return {**own, **self.requests.said()}

    async def look(self) -> None:
        """Nothing is read."""

    async def heard(self, alive: Sequence[GatewayRecord], since: float) -> None:
        """The records are shown when a person looks; what others wish of the requests here is done now."""
        self.requests.heard(alive)

    async def leave(self) -> None:
        """Nothing is held."""

    def gateways(self) -> list[Gateway]:
        """All that live, this one among them."""
        me, now = self._me, self._clock()
        others = [each for each in self._membership.alive if each.id != me.id]
        own = Gateway(me.id, me.version, me.address, me.since, 0.0, self._own())
        found = [own, *(_gateway(each, self._membership.unmoved(each.id, now)) for each in others)]
        return sorted(found, key=lambda each: (each.since, each.id))

    def elsewhere(self) -> Load:
        """What the other gateways have to do, by model."""
        total: dict[str, Work] = {}
        for gateway in self.gateways():
            if gateway.id != self._me.id:
                for model, work in gateway.load.items():
                    total[model] = Work(*map(sum, zip(total.get(model, Work()), work, strict=True)))
        return total

    def missing(self) -> list[Missing]:
        """The gateways whose journals are missing."""
        gone = self._membership.gone
        return [Missing(each.id, str(each.body.get("address", "")), each.gone_at or 0) for each in gone]

    def _own(self) -> Load:
        models = self._dispatcher.snapshot().models
        return {each.name: Work(each.running, each.waiting, each.slots) for each in models}


def short(gateway_id: str) -> str:
    """A gateway's id as it is shown."""
    return gateway_id[:SHORT]


def _gateway(record: GatewayRecord, unheard: float) -> Gateway:
    """As a record says it, which another version may have written."""
    body = record.body
    load = {str(model): Work(*map(int, work)) for model, work in body.get("load", {}).items()}
    return Gateway(
        record.id, str(body.get("version", "")), str(body.get("address", "")), int(body.get("since", 0)), unheard, load
    )
