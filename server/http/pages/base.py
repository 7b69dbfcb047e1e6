"""What all pages share that know who is looking: cookies, sessions, forms, and refusals that are pages.

Cookies are `__Host-` and Secure, but on this machine without https, where a browser would not send them back.
Nothing here may be kept by a cache.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from server.auth.sessions import Visit
from server.config.parsers import is_loopback
from server.http.base import Services
from server.http.pages.public import PageHandler
from server.http.redirects import own_path
from server.store.base import Person, StoreError
from server.wire.errors import AccountingUnavailable, InvalidValue, PermissionDenied, Refusal, TooLarge
from web import render

SESSION = "fairgate-session"
LARGEST_FORM = 64 << 10  # bytes
MOST_FIELDS = 100


class BrowserHandler(PageHandler):
    """A page for somebody who may have logged in."""

    def initialize(self, services: Services) -> None:
        super().initialize(services)
        self._pieces: list[bytes] = []
        self._length = 0

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")

    def data_received(self, chunk: bytes) -> None:
        self._length += len(chunk)
        if self._length <= LARGEST_FORM:
            self._pieces.append(chunk)
        elif not self._finished:
            self._pieces.clear()
            self.refuse(TooLarge())

    def decode_argument(self, value: bytes, name: str | None = None) -> str:
        """What is no text names nothing; tornado would call it a fault of the body."""
        return value.decode("utf-8", "replace")

    # --- who is looking

    async def visit(self) -> Visit | None:
        """The session of this browser."""
        return await self.services.sessions.visit(self.cookie(SESSION))

    async def person(self) -> Person | None:
        """Who has logged in with this browser."""
        return await self.services.sessions.person_of(self.cookie(SESSION))

    async def insist_on_person(self) -> Person | None:
        """Who has logged in; None if nobody has, and then they are on their way to the login."""
        person = await self.person()
        if person is None:
            self.redirect("/login?" + urlencode({"next": own_path(self.request.uri or "/")}), status=303)
        return person

    # --- forms

    def xsrf(self) -> str:
        """What every form of this session holds in a field named `xsrf`."""
        return self.services.sessions.xsrf(self.cookie(SESSION) or "")

    def form(self, cookie: str = SESSION) -> dict[str, str]:
        """The fields of the form that was sent from our own page. Raises PermissionDenied, InvalidValue."""
        try:
            text = b"".join(self._pieces).decode()
            fields = parse_qs(text, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
        except ValueError:
            raise InvalidValue("form") from None
        form = {name: values[-1] for name, values in fields.items()}
        if not self.services.sessions.check(self.cookie(cookie), form.get("xsrf")):
            raise PermissionDenied
        return form

    # --- cookies

    def cookie(self, name: str) -> str | None:
        return self.get_cookie(self._cookie_name(name))

    def cookies_of(self, prefix: str) -> list[str]:
        """The names of the cookies that begin so, as a browser sends them: the oldest first."""
        start = self._cookie_name(prefix)
        return [prefix + name.removeprefix(start) for name in self.cookies if name.startswith(start)]

    def keep(self, name: str, value: str, seconds: int) -> None:
        """Let the browser keep a cookie for so long; no script can read it."""
        secure = self._is_secure()
        self.set_cookie(
            self._cookie_name(name), value, max_age=seconds, path="/", secure=secure, httponly=True, samesite="Lax"
        )

    def drop(self, name: str) -> None:
        """Let the browser forget a cookie."""
        self.clear_cookie(self._cookie_name(name), path="/", secure=self._is_secure(), httponly=True, samesite="Lax")

    def origin(self) -> str:
        """Under which address the browser came here: `https://host`. Proxies are believed as far as they are ours."""
        scheme, host = self.request.protocol, self.request.host
        if hops := self.services.settings.trusted_proxy_hops:
            scheme = self._noted("X-Forwarded-Proto", hops) or scheme
            host = self._noted("X-Forwarded-Host", hops) or host
        return f"{'https' if scheme == 'https' else 'http'}://{host}"

    def _noted(self, header: str, hops: int) -> str:
        """What the outermost of our proxies noted."""
        noted = ",".join(self.request.headers.get_list(header)).split(",")
        return noted[-min(hops, len(noted))].strip()

    def _is_secure(self) -> bool:
        address = urlsplit(self.services.settings.public_url or self.origin())
        return address.scheme == "https" or not is_loopback(address.hostname or "")

    def _cookie_name(self, name: str) -> str:
        return f"__Host-{name}" if self._is_secure() else name

    # --- answers

    def show(self, page: bytes, status: int = 200) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "text/html; charset=utf-8")
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
        if not self.request._body_future.done():
            self.set_header("Connection", "close")
        self.show(render.error_page(refusal.status, refusal.message), refusal.status)
