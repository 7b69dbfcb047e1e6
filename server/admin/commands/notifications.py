"""Commands about messages: what was sent lately, a test, and whether a person wants mails."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable

from server.admin.changes import Changes
from server.notifications.outbox import Outbox
from server.policy.commands import CommandError
from server.policy.notifications import Delivery, Event, EventKind
from server.store import acts
from server.store.base import Store
from web.wording import Wording

LATEST = 100  # messages of a list


class NotificationCommands:
    """The verbs. Both raise StoreError. `outbox`: None if nothing can be sent; `wall`: UTC milliseconds."""

    def __init__(self, store: Store, changes: Changes, outbox: Outbox | None, wall: Callable[[], int]) -> None:
        self._store, self._changes, self._outbox, self._wall = store, changes, outbox, wall

    async def latest(self, limit: int = LATEST) -> list[Delivery]:
        """At most so many messages, the newest first."""
        return await self._store.deliveries_before(None, None, limit)

    async def test(self, actor: str) -> list[Delivery]:
        """Send a message to the operator by every way, now; how each stands after a try. Raises CommandError."""
        if self._outbox is None:
            raise CommandError(Wording("nothing can be sent: set SMTP_URL and OPERATOR_MAIL, or NOTIFY_WEBHOOK_URL"))
        now = self._wall()
        deliveries = self._outbox.addressed(Event(secrets.token_hex(8), EventKind.TEST, now, {}, now))
        if not deliveries:
            raise CommandError(Wording("there is no receiver: set OPERATOR_MAIL or NOTIFY_WEBHOOK_URL"))
        after = {"channels": [str(each.channel) for each in deliveries]}
        await self._changes.change(actor, "message.test", "operator", None, after, acts.add_deliveries(deliveries))
        tried = await asyncio.gather(*map(self._outbox.attempt, deliveries))
        # What another gateway has taken meanwhile is on its way there.
        return [found or each for found, each in zip(tried, deliveries, strict=True)]
