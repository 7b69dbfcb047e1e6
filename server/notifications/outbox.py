"""The outbox: events become deliveries in the store, each once, and go out from there.

Of several gateways one takes a delivery, by a conditional write, and the others leave it alone (`policy/notifications`
has the states). How each one ended stands in the audit log, in one step with its state. A delivery that was sent, and
whose end the store did not take, is written when the store is back: it is not sent again by this process.

While the store is away nothing can be taken once by all, so events wait here. One does not: that the store is away. It
goes out at once, from each gateway that sees it, with the same id everywhere.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from server.policy.notifications import (
    Cause,
    Channel,
    Delivery,
    DeliveryState,
    Event,
    EventKind,
    Failure,
    after,
    begun,
)
from server.store import acts
from server.store.acts import Outdated
from server.store.audited import GATEWAY, AuditedStore
from server.store.base import Store, StoreError

log = logging.getLogger("fairgate")

AT_ONCE = 10  # deliveries
ATTEMPT_SECONDS = 60.0  # shorter than the lease of a delivery
ASK_MS = 60_000  # how often the store is asked for what is due, where nothing is known to be
MOST_KNOWN = 50_000  # ids
MOST_WAITING = 1_000  # deliveries that wait for the store; what is beyond is seen again by another look
ENDED = frozenset({DeliveryState.SENT, DeliveryState.FAILED})


class Sender(Protocol):
    """One way out. None if the receiver has it."""

    async def send(self, delivery: Delivery, now: int) -> Failure | None: ...


class Outbox:
    """`addressed`: the deliveries of an event. `wall`: UTC milliseconds."""

    def __init__(
        self,
        store: Store,
        senders: Mapping[Channel, Sender],
        addressed: Callable[[Event], Sequence[Delivery]],
        wall: Callable[[], int],
    ) -> None:
        self._store, self._senders, self.addressed, self._wall = store, senders, addressed, wall
        self._audited = AuditedStore(store, wall)
        self._known: set[str] = set()  # deliveries that are in the store
        self._waiting: dict[str, Delivery] = {}  # for the store
        self._unwritten: dict[str, tuple[Delivery | None, Delivery]] = {}  # as they were in the store, and as they are
        self._ask_at = 0
        self.reached = True  # the store, at the last attempt

    async def add(self, events: Iterable[Event]) -> None:
        """Take these events, each once. What the store does not take now it takes later."""
        for event in events:
            for each in self.addressed(event):
                if each.id not in self._known and each.id not in self._unwritten and len(self._waiting) < MOST_WAITING:
                    self._waiting.setdefault(each.id, each)
        if not self._waiting:
            return
        taken = list(self._waiting.values())
        try:
            await self._store.add_deliveries(taken)
        except StoreError:
            await self._send_without_store([each for each in taken if each.kind is EventKind.STORE])
            return
        self._note(taken)

    async def send_due(self) -> None:
        """Send what is due, by whichever gateway it was found. Raises StoreError."""
        self.reached = False
        await self._send_due()
        self.reached = True

    async def _send_due(self) -> None:
        await self._write_ends()
        while self._ask_at <= (now := self._wall()):
            due = await self._store.due_deliveries(now, AT_ONCE)
            await asyncio.gather(*map(self.attempt, due))
            if len(due) < AT_ONCE:
                self._ask_at = now + ASK_MS

    async def attempt(self, delivery: Delivery) -> Delivery | None:
        """Try one delivery; how it stands then, None if another one has taken it. Raises StoreError."""
        taken = begun(delivery, self._wall())
        if not await self._store.swap_delivery(delivery, taken):
            return None
        now_so = await self._tried(taken)
        self._unwritten[taken.id] = taken, now_so
        await self._write_end(taken, now_so)
        return now_so

    async def _tried(self, taken: Delivery) -> Delivery:
        sender = self._senders.get(taken.channel)
        if sender is None:
            return after(taken, Failure(Cause.NO_WAY), self._wall())
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                failure = await sender.send(taken, self._wall())
        except TimeoutError:
            failure = Failure(Cause.UNREACHED)
        except StoreError:
            raise
        except Exception as error:
            log.error("a message could not be written or sent: %s", type(error).__name__)
            failure = Failure(Cause.UNUSABLE)
        return after(taken, failure, self._wall())

    async def _send_without_store(self, deliveries: Iterable[Delivery]) -> None:
        """What cannot wait. The store learns of it when it is back."""
        for each in deliveries:
            del self._waiting[each.id]
            self._unwritten[each.id] = None, await self._tried(begun(each, self._wall()))

    async def _write_ends(self) -> None:
        for before, now_so in list(self._unwritten.values()):
            await self._write_end(before, now_so)

    async def _write_end(self, before: Delivery | None, now_so: Delivery) -> None:
        """Write how a delivery stands; if another gateway has written it meanwhile, that stays. Raises StoreError."""
        act = acts.add_deliveries([now_so]) if before is None else acts.swap_delivery(before, now_so)
        if now_so.state in ENDED:
            with suppress(Outdated):
                await self._audited.change(GATEWAY, f"message.{now_so.state}", now_so.id, None, _facts(now_so), act)
        elif before is None:
            await self._store.add_deliveries([now_so])
        else:
            await self._store.swap_delivery(before, now_so)
        del self._unwritten[now_so.id]
        self._note([now_so])

    def _note(self, deliveries: Iterable[Delivery]) -> None:
        """These are in the store, and are tried when they are due."""
        if len(self._known) > MOST_KNOWN:
            self._known.clear()
        for each in deliveries:
            self._known.add(each.id)
            self._waiting.pop(each.id, None)
            if each.state is DeliveryState.WAITING:
                self._ask_at = min(self._ask_at, each.due_at)


def _facts(delivery: Delivery) -> dict[str, Any]:
    """What the audit log says of it."""
    facts = {"kind": str(delivery.kind), "channel": str(delivery.channel), "receiver": delivery.receiver}
    return {**facts, "tries": delivery.tries, **({"failure": delivery.failure} if delivery.failure else {})}
