"""The base of the handlers that ask a provider for a caller: who may do that now."""

from __future__ import annotations

from server.http.base import BaseHandler
from server.http.services import RelayServices
from server.policy.authority import Power
from server.policy.maintenance import maintenance
from server.store.base import Caller
from server.wire.errors import Draining, OriginBlocked


class CallingHandler(BaseHandler[RelayServices]):
    """A handler whose caller authenticates, and is let in while the gateway is open."""

    caller: Caller
    guests = True

    async def enter(self) -> None:
        """Find out who calls. Raises Draining, OriginBlocked, InMaintenance, and what `authenticate` raises."""
        if self.services.draining:
            raise Draining
        self._refuse_blocked_origin()
        self.caller = await self.authenticate()
        self._refuse_in_maintenance()

    def _refuse_blocked_origin(self) -> None:
        headers = self.request.headers
        if self.services.origins.blocked(headers.get("Origin"), headers.get("Referer")):
            raise OriginBlocked(words=self.services.settings.block_message)

    def _refuse_in_maintenance(self) -> None:
        notices = self.services.book.notices
        closed = maintenance(notices, self.services.wall()) if notices else None
        if closed is not None and not self.services.authority(self.caller).may(Power.ADMINISTER):
            raise closed
