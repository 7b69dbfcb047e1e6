"""`POST /me/chat`: the chat of one's own page, which is `/v1/chat/completions` with the authority of a session.

A session relays from our own page only. Three things must hold, and each is enough against another site:

* the session's cookie, which a browser sends to no form or script of another site (`SameSite=Lax`);
* the session's XSRF token in a header of its own: another page can neither read it nor send that header here, because
  no answer of this route takes part in cross-origin sharing;
* the browser's word that the page is ours (`Sec-Fetch-Site`), or where it gives none the page's `Origin`.

The routes of the API go on knowing credentials only. From here on everything is as for any other request: rights,
limits, queue, keys and ledger. A session that a token began asks with that token's terms, budgets and networks.
"""

from __future__ import annotations

from server.auth.sessions import Sessions
from server.http.browsed import SESSION, Browsed
from server.http.relay import RelayHandler
from server.http.services import RelayServices
from server.store.base import Caller
from server.wire.endpoints import Endpoint
from server.wire.errors import InvalidKey, OriginBlocked, PermissionDenied
from server.wire.sites import is_of_page

XSRF_HEADER = "X-Fairgate-Xsrf"


class ChatHandler(RelayHandler, Browsed[RelayServices]):
    """A request of the chat on `/me`."""

    shared = False

    def initialize(self, endpoint: Endpoint, sessions: Sessions) -> None:  # type: ignore[override]  # one more
        super().initialize(endpoint)
        self.sessions = sessions

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")

    async def _recognised(self) -> Caller:
        """The person of the session. Raises OriginBlocked, InvalidKey, PermissionDenied, AccountingUnavailable."""
        headers, sessions, cookie = self.request.headers, self.sessions, self.cookie(SESSION)
        ours = (self.origin(), self.services.settings.public_url)
        if not is_of_page(headers.get("Sec-Fetch-Site"), headers.get("Origin"), ours):
            raise OriginBlocked
        visit = await sessions.visit(cookie)
        if visit is None:
            raise InvalidKey
        if not sessions.check(cookie, headers.get(XSRF_HEADER)):
            raise PermissionDenied
        caller = await self.services.accounts.in_session(visit.person, visit.token, self.address())
        return self.insist_on(caller, self.needed)
