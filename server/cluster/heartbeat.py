"""The heartbeat of a gateway that is not alone on its store: once a second it writes its record and reads all others'.

What the others learn from the record is put together by `describe`; what this one makes of theirs is done by the
`parts`, each with all records of living gateways. While the store is away nothing changes.

Of a gateway that has died, what others hold in common comes back at once. What it held of budgets and what it has not
written yet stand in its journal: a gateway that keeps its own in the same folder adopts that (`adopt`), and then the
record goes. Where no one can, the record stays, marked as gone: `missing` says so to the operator, until that machine's
next gateway adopts it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from server.cluster.membership import Membership
from server.store.base import GatewayRecord, StoreError
from server.store.patience import in_time

log = logging.getLogger("fairgate")

EVERY_SECONDS = 1.0
PATIENCE = 2.0  # seconds that the store may take for one heartbeat
MISSING_MS = 30 * 86_400_000  # for so long a journal that no one adopts is spoken of


class GatewayStore(Protocol):
    """The part of a store that is needed here. All verbs raise StoreError."""

    def beat(self, gateway: GatewayRecord) -> Awaitable[None]: ...

    def gateways(self) -> Awaitable[list[GatewayRecord]]: ...

    def mark_gone(self, gateway: GatewayRecord, gone_at: int) -> Awaitable[bool]: ...

    def forget_gateway(self, gateway_id: str) -> Awaitable[bool]: ...


class Part(Protocol):
    """Something that gateways have in common."""

    def said(self) -> Mapping[str, Any]:
        """What this gateway's record says about it, as JSON by names of its own."""

    async def look(self) -> None:
        """Read what must be no newer than the records. Raises StoreError."""

    async def heard(self, alive: Sequence[GatewayRecord], since: float) -> None:
        """All living gateways' records, with this one's, which was sent after `since`. Raises StoreError."""

    async def leave(self) -> None:
        """This gateway stops: give back what it had. Raises StoreError."""


class Heartbeat:
    """`me` is the id of this life. `adopt` takes over from those who died on this machine. `clock` is seconds,
    monotonic, `wall` UTC milliseconds; `sleep` waits for seconds."""

    def __init__(
        self,
        store: GatewayStore,
        me: str,
        membership: Membership,
        parts: Sequence[Part],
        adopt: Callable[[], Awaitable[None]],
        clock: Callable[[], float],
        wall: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store, self._me, self._parts, self._adopt = store, me, parts, adopt
        self._clock, self._wall, self._sleep = clock, wall, sleep
        self._beats = 0
        self._noted: set[str] = set()  # gateways whose journals are missing, as the log has it
        self.membership = membership

    async def keep(self) -> None:
        """Beat each second, until cancelled. One heartbeat that fails is not the last."""
        while True:
            begun = self._clock()
            try:
                await self.beat()
            except StoreError:
                log.debug("a heartbeat did not reach the store")
            except Exception as error:
                log.error("a heartbeat failed: %s", type(error).__name__)
            await self._sleep(max(0.1, EVERY_SECONDS - (self._clock() - begun)))

    async def beat(self) -> None:
        """One heartbeat. Raises StoreError; then this gateway goes on as it is."""
        for each in await in_time(self._met, PATIENCE):
            if await self._store.mark_gone(each, self._wall()):
                log.warning("gateway %s has died: what it held in common comes back", each.id)
        if self.membership.doubted:
            await self._adopt()
            await self._look_after_the_gone()

    async def leave(self) -> None:
        """Give back what is common. The record stays: the others still have to hear if anything is left over."""
        for part in self._parts:
            await part.leave()

    async def _met(self) -> list[GatewayRecord]:
        """Write the record, read all, and let the parts hear who lives; returns who has died."""
        self._beats += 1
        body = {name: said for part in self._parts for name, said in part.said().items()}
        since = self._clock()
        await self._store.beat(GatewayRecord(self._me, self._beats, body))
        for part in self._parts:
            await part.look()
        dead = self.membership.looked(await self._store.gateways(), self._clock())
        for part in self._parts:
            await part.heard(self.membership.alive, since)
        return dead

    async def _look_after_the_gone(self) -> None:
        for each in self.membership.gone:
            if each.id not in self._noted:
                self._noted.add(each.id)
                log.warning(
                    "the journal of gateway %s is missing: what it had not written is booked when a gateway starts on "
                    "its machine, and what it held comes back when that expires",
                    each.id,
                )
            if self._wall() - (each.gone_at or 0) > MISSING_MS:
                await self._store.forget_gateway(each.id)
