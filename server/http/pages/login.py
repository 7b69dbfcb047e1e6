"""In and out: `/login`, `/callback`, `/logout`, and `/user`, which says who one is here."""

from __future__ import annotations

import logging
from dataclasses import replace
from urllib.parse import urlencode

import orjson

from server.auth.oidc.client import LoginRefused, Oidc
from server.auth.oidc.login_state import MOST, SECONDS, name_of
from server.auth.sessions import new_cookie
from server.auth.token_login import login_with_token
from server.http.browsed import SESSION
from server.http.pages.base import BrowserHandler
from server.http.redirects import own_path
from server.policy.authority import Power
from server.single_flight import Away
from server.store.base import Person
from server.wire.errors import InvalidKey, PermissionDenied, UnknownUrl
from web import render
from web.wording import Wording

log = logging.getLogger("fairgate")

ATTEMPT = "fairgate-login-"  # and the name of the attempt
FORM = "fairgate-form"
FORM_SECONDS = 3600
ANSWER = ("code", "state", "error", "iss")  # what is read of the provider's answer
WRONG_TOKEN = Wording("This opens nothing here. Please check that you have copied all of it.")
WRONG_FORM = Wording("This page was open for too long. Please try once more.")
AWAY = Wording("Your organisation’s login cannot be reached at the moment. Please try again soon.")


class LoginHandler(BrowserHandler):
    """A handler of the login, which ends at its page when something does not go well."""

    def show_login(self, path: str, status: int = 200, problem: str = "", answer: str = "") -> None:
        """The page; `answer` is the provider's own word for the problem."""
        cookie = self.cookie(FORM) or new_cookie()
        self.keep(FORM, cookie, FORM_SECONDS)
        provider = _begin(path) if self.services.oidc is not None else None
        here = "/login?" + urlencode({"next": path})
        frame = replace(self.plain_frame(), xsrf=self.services.sessions.xsrf(cookie), path=here)
        page = render.login_page(frame, provider, path, problem, answer)
        self.show(page, status)

    async def enter(self, cookie: str, path: str) -> None:
        """Give the browser its new session in place of any old one, and let it go where it wanted."""
        sessions = self.services.sessions
        await sessions.close(self.cookie(SESSION))
        self.keep(SESSION, cookie, sessions.seconds)
        self.redirect(path, status=303)

    @property
    def oidc(self) -> Oidc:
        """The organisation's login. Raises UnknownUrl if there is none."""
        if self.services.oidc is None:
            raise UnknownUrl
        return self.services.oidc


class LoginPage(LoginHandler):
    """`/login?next=/me`: by the organisation's login, or by a gatekeeper token.

    `return_url` is what fhswf's openai-proxy calls `next`; a browser that comes with it goes straight to the provider,
    as there.
    """

    def get(self) -> None:
        path = self.get_query_argument("return_url", None)
        if path is not None and self.services.oidc is not None:
            self.redirect(_begin(path), status=303)
        else:
            self.show_login(own_path(self.get_query_argument("next", path)))

    async def post(self) -> None:
        """A gatekeeper token, or ADMIN_KEY, from the page's own form."""
        try:
            form = self.form(FORM)
        except PermissionDenied:
            self.show_login("/", 403, WRONG_FORM)
            return
        services, path = self.services, own_path(form.get("next"))
        presented = form.get("token", "").strip()
        try:
            cookie = await login_with_token(
                services.accounts, services.store, services.sessions, presented, self.address()
            )
        except InvalidKey:
            self.show_login(path, 401, WRONG_TOKEN)
            return
        self.drop(FORM)
        await self.enter(cookie, path)


class LoginBegin(LoginHandler):
    """`/login/oidc?next=/me`: off to the provider."""

    async def get(self) -> None:
        path = own_path(self.get_query_argument("next", None))
        try:
            address, name, cookie = await self.oidc.begin(self.origin(), path)
        except Away as error:
            log.warning("the identity provider is away: %s", error)
            self.show_login(path, 503, AWAY)
            return
        for oldest in self.cookies_of(ATTEMPT)[: 1 - MOST]:
            self.drop(oldest)
        self.keep(ATTEMPT + name, cookie, SECONDS)
        self.redirect(address, status=303)


class Callback(LoginHandler):
    """`/callback`: back from the provider."""

    async def get(self) -> None:
        arguments = self.request.query_arguments
        answer = {name: arguments[name][0].decode("utf-8", "replace") for name in ANSWER if name in arguments}
        kept = ATTEMPT + name_of(answer.get("state", ""))
        cookie = self.cookie(kept)
        if cookie is not None:
            self.drop(kept)
        try:
            arrival = await self.oidc.finish(answer, cookie)
        except LoginRefused as error:
            self.show_login("/", 400, error.words, error.answer)
            return
        except Away as error:
            log.warning("the identity provider is away: %s", error)
            self.show_login("/", 503, AWAY)
            return
        await self.enter(await self.services.sessions.open(arrival.person.id, arrival.sealed), arrival.next)


class Logout(BrowserHandler):
    """`/logout`: out, here and at the provider.

    A link on another site must not log people out: a browser that comes from there gets a link of ours.
    """

    async def get(self) -> None:
        if self.request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
            self.show(render.logout_page(self.plain_frame()))
            return
        visit, oidc = await self.visit(), self.services.oidc
        await self.services.sessions.close(self.cookie(SESSION))
        self.drop(SESSION)
        try:
            address = await oidc.farewell(visit.sealed) if oidc is not None and visit is not None else None
        except Away:
            address = None  # here it is over in any case
        self.redirect(address or "/", status=303)


class UserHandler(BrowserHandler):
    """`GET /user`: the person who has logged in, or presents a token, in the words of fhswf's openai-proxy."""

    async def get(self) -> None:
        visit, oidc = await self.visit(), self.services.oidc
        person = visit.person if visit else await self._presented()
        if person is None:
            raise InvalidKey
        described = oidc.described(visit.sealed) if oidc is not None and visit is not None else None
        known = {"name": person.name, "email": person.email, "sub": person.id, "preferred_username": person.name}
        self.set_header("Content-Type", "application/json")
        self.finish(orjson.dumps(described or {**known, "affiliations": {}}))

    async def _presented(self) -> Person | None:
        """The person whose token was presented. Raises PermissionDenied for less, such as a name in a header."""
        caller = self.insist_on(await self.authenticate(), Power.CHANGE_OWN)
        return await self.services.store.person(caller.person_id)


def _begin(path: str) -> str:
    return "/login/oidc?" + urlencode({"next": own_path(path)})
