"""The verbs of a store about messages that are on their way. The rules at the top of `base` hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from server.ledger.reports import Cursor
from server.policy.notifications import Delivery


class DeliveryVerbs(Protocol):
    """A delivery is written once, and changed on the condition that it is as it was read."""

    async def add_deliveries(self, deliveries: Sequence[Delivery]) -> int:
        """Write those whose ids are new; how many that were. The others stay as they are."""

    async def due_deliveries(self, now: int, limit: int) -> list[Delivery]:
        """At most `limit` waiting ones that are due, the longest due first."""

    async def swap_delivery(self, before: Delivery, after: Delivery) -> bool:
        """Write a delivery anew; False if it has, or has by now, another state, try or time than `before` says."""

    async def deliveries_before(self, receiver: str | None, cursor: Cursor | None, limit: int) -> list[Delivery]:
        """At most `limit` of all (None) or of one receiver, the newest first, behind the cursor (`at`, id)."""

    async def forget_deliveries_to(self, receiver: str) -> int:
        """Forget those to one receiver; returns how many."""

    async def forget_deliveries(self, now: int) -> int:
        """Forget those that need not be kept any more; returns how many."""
