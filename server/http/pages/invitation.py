"""`/invitation?code=`: a person without an organisation's login comes in for the first time."""

from __future__ import annotations

from dataclasses import replace

from server.auth.sessions import new_cookie
from server.http.browsed import SESSION
from server.http.pages.forms import sentence
from server.http.pages.login import FORM, FORM_SECONDS, WRONG_FORM, LoginHandler
from server.policy.commands import CommandError
from server.wire.errors import PermissionDenied
from web import render
from web.view_public import InvitationView


class InvitationPage(LoginHandler):
    """To look at it uses nothing up: mail programs look at links, too. Its form does, and shows the first token."""

    async def get(self) -> None:
        await self._ask(self.get_query_argument("code", ""))

    async def post(self) -> None:
        services = self.services
        try:
            form = self.form(FORM)
        except PermissionDenied:
            self._show(InvitationView(self.plain_frame(), problem=WRONG_FORM), 403)
            return
        try:
            person, _, secret = await services.invitations.accept(form.get("code", ""), self.address())
        except CommandError as error:
            self._show(InvitationView(self.plain_frame(), problem=sentence(error)), 400)
            return
        await services.sessions.close(self.cookie(SESSION))
        self.keep(SESSION, await services.sessions.open(person.id), services.sessions.seconds)
        self.drop(FORM)
        self._show(InvitationView(self.plain_frame(), person.name, secret=secret, base_url=f"{self.base_url()}/v1"))

    async def _ask(self, code: str) -> None:
        """Whom the link invites, and the one button."""
        try:
            person = await self.services.invitations.look(code, self.address())
        except CommandError as error:
            self._show(InvitationView(self.plain_frame(), problem=sentence(error)), 400)
            return
        cookie = self.cookie(FORM) or new_cookie()
        self.keep(FORM, cookie, FORM_SECONDS)
        frame = replace(self.plain_frame(), xsrf=self.services.sessions.xsrf(cookie))
        self._show(InvitationView(frame, person.name, code))

    def _show(self, view: InvitationView, status: int = 200) -> None:
        self.show(render.invitation_html(view), status)
