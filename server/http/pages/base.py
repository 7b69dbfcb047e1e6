"""The base of all pages that know their visitor: cookies, sessions, forms, and refusals that are pages.

Nothing here may be kept by a cache.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlencode

from server.auth.sessions import Visit
from server.http.browsed import SESSION
from server.http.pages.public import PageHandler
from server.http.redirects import own_path
from server.http.services import PageServices
from server.policy.authority import Power
from server.store.base import Person, StoreError
from server.wire.errors import (
    AccountingUnavailable,
    AdministratorsOnly,
    InvalidKey,
    InvalidValue,
    PermissionDenied,
    Refusal,
)
from web import render
from web.view import Frame, Visitor
from web.wording import Wording

LARGEST_FORM = 64 << 10  # bytes
MOST_FIELDS = 100


class BrowserHandler(PageHandler[PageServices]):
    """A page for a visitor who may have logged in. If a login is needed, the visitor is sent there and comes back."""

    _visit: Visit | None = None

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")

    @property
    def largest_body(self) -> int:
        return LARGEST_FORM

    def decode_argument(self, value: bytes, name: str | None = None) -> str:
        """Bytes that are no UTF-8 name nothing; tornado would call them a fault of the body."""
        return value.decode("utf-8", "replace")

    # --- the visitor

    async def visit(self) -> Visit | None:
        """The session of this browser, found out once."""
        if self._visit is None:
            self._visit = await self.services.sessions.visit(self.cookie(SESSION))
        return self._visit

    async def insist(self, power: Power) -> None:
        """Raises InvalidKey, PermissionDenied for whose session does not allow this."""
        visit = await self.visit()
        if visit is None:
            raise InvalidKey
        if not self.services.authority_of_visit(visit).may(power):
            raise AdministratorsOnly if power is Power.ADMINISTER else PermissionDenied

    def turn_away(self, refusal: Refusal) -> None:
        """A form is not sent there: when it came back from the login, it would have lost its fields."""
        if not isinstance(refusal, InvalidKey) or self.request.method != "GET":
            raise refusal
        self.redirect("/login?" + urlencode({"next": own_path(self.request.uri or "/")}), status=303)

    async def person(self) -> Person | None:
        """The person who has logged in with this browser."""
        return await self.services.sessions.person_of(self.cookie(SESSION))

    # --- forms

    def xsrf(self) -> str:
        """The token that every form of this session holds in a field named `xsrf`."""
        return self.services.sessions.xsrf(self.cookie(SESSION) or "")

    def form(self, cookie: str = SESSION) -> dict[str, str]:
        """The fields of the form that was sent from our own page. Raises PermissionDenied, InvalidValue."""
        form = self.fields(self.body())
        if not self.services.sessions.check(self.cookie(cookie), form.get("xsrf")):
            raise PermissionDenied
        return form

    def fields(self, body: bytes) -> dict[str, str]:
        """The fields of a body. Raises InvalidValue."""
        try:
            fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
        except ValueError:
            raise InvalidValue("form") from None
        return {name: values[-1] for name, values in fields.items()}

    # --- cookies

    def cookies_of(self, prefix: str) -> list[str]:
        """The names of the cookies that begin so, as a browser sends them: the oldest first."""
        start = self.cookie_name(prefix)
        return [prefix + name.removeprefix(start) for name in self.cookies if name.startswith(start)]

    def keep(self, name: str, value: str, seconds: int) -> None:
        """Let the browser keep a cookie for so long; no script can read it."""
        secure = self.is_secure()
        self.set_cookie(
            self.cookie_name(name), value, max_age=seconds, path="/", secure=secure, httponly=True, samesite="Lax"
        )

    def drop(self, name: str) -> None:
        """Let the browser forget a cookie."""
        self.clear_cookie(self.cookie_name(name), path="/", secure=self.is_secure(), httponly=True, samesite="Lax")

    # --- answers

    def show(self, page: bytes, status: int = 200) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.spoken()
        self.finish(page)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        if isinstance(kwargs.get("exc_info", (None, None, None))[1], StoreError):
            self.refuse(AccountingUnavailable())
        else:
            super().write_error(status_code, **kwargs)

    def log_exception(self, kind: Any, value: BaseException | None, trace: Any) -> None:
        if not isinstance(value, StoreError):
            super().log_exception(kind, value, trace)

    def refuse(self, refusal: Refusal) -> None:
        """A refusal as a page, for a browser; for others as always."""
        if "text/html" not in self.request.headers.get("Accept", ""):
            super().refuse(refusal)
            return
        self.count(refusal)
        for name, value in self.dialect.headers(refusal).items():
            if name.lower() != "content-type":
                self.set_header(name, value)
        self.show(render.error_page(self._frame_of_visitor(), refusal.status, words_of(refusal)), refusal.status)

    def _frame_of_visitor(self) -> Frame:
        """The frame of a refusal: with the visitor, as far as they are known by then."""
        visit, frame = self._visit, self.plain_frame()
        if visit is None:
            return frame
        admin = self.services.authority_of_visit(visit).may(Power.ADMINISTER)
        return replace(frame, visitor=Visitor(visit.person.name, admin))


def words_of(refusal: Refusal) -> str:
    """The words of a refusal, which a page says in its reader's language where they are no more than their template."""
    template = refusal.template().replace("%", "%%").replace("<param>", "%(param)s")
    words = Wording(template, param=refusal.param or "")
    return words if words == refusal.message else refusal.message
