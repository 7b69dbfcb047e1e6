"""The public pages: public figures go in, HTML comes out of `web`."""

from __future__ import annotations

import gzip
import re
from dataclasses import replace
from datetime import tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from server.http.base import AlsoHead
from server.http.browsed import SESSION, Browsed
from server.http.services import S, StatusServices
from server.observability.access_log import Access, unknown_path
from server.policy.authority import Power
from server.relay.context import milliseconds
from server.store.base import StoreError
from server.wire.errors import Refusal, UnknownUrl
from web import render
from web.languages import negotiated
from web.view import Frame, Visitor
from web.wording import Wording

HTML = "text/html; charset=utf-8"
ZONE = "fairgate-zone"  # the cookie in which theme.js notes the browser's time zone
LANGUAGE = "fairgate-language"  # the cookie of a reader's own choice

NOTHING_HERE = Wording("There is nothing at this address.")

SMALL = 1_400  # bytes: what fits into one packet is not made smaller

_ZONE = re.compile(r"[A-Z][A-Za-z0-9_+-]{1,30}(/[A-Za-z0-9_+-]{1,30}){0,2}")
_GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?(?![.\d]))")
_HOST = re.compile(r"[A-Za-z0-9.-]{1,255}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")


@lru_cache(maxsize=128)
def zone_named(name: str) -> tzinfo | None:
    """The time zone of this name; None if there is none."""
    try:
        return ZoneInfo(name) if _ZONE.fullmatch(name) else None
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return None


@lru_cache(maxsize=64)
def _packed(body: bytes) -> bytes:
    """The packed body. All who ask for the same page get the same one, and it is packed once."""
    return gzip.compress(body, 6, mtime=0)


class PageHandler(Browsed[S]):
    """A handler whose answers are for a browser."""

    shared = False

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Content-Security-Policy", render.CONTENT_SECURITY_POLICY)
        self.set_header("Referrer-Policy", "no-referrer")

    def base_url(self) -> str:
        """The address by which the caller has reached us, without a path. A text that is no host is not repeated."""
        settings, host = self.services.settings, self.request.host
        if not _HOST.fullmatch(host):
            host = f"{settings.host}:{settings.port}"
        return settings.public_url or f"{self.request.protocol}://{host}"

    def wants_html(self) -> bool:
        """Whether a browser asks, and not a program."""
        return "text/html" in self.request.headers.get("Accept", "")

    @property
    def languages(self) -> tuple[str, ...]:
        """Those in which there are pages here."""
        return self.services.settings.page_languages

    @property
    def language(self) -> str:
        """The reader's: their own choice, else what their browser wants."""
        chosen = self.get_cookie(LANGUAGE, "")
        if chosen in self.languages:
            return str(chosen)
        return negotiated(self.request.headers.get("Accept-Language", ""), self.languages)

    @property
    def zone(self) -> tzinfo:
        """That of the reader's browser, which its script has noted; else the operator's."""
        return zone_named(self.get_cookie(ZONE) or "") or self.services.settings.timezone

    def plain_frame(self) -> Frame:
        """The frame of a page that knows no visitor."""
        settings = self.services.settings
        path = self.request.path if self.request.method == "GET" else "/"  # without a query, which may hold a secret
        return Frame(
            settings.title,
            self.services.wall(),
            zone=self.zone,
            days=settings.timezone,
            login=True,
            language=self.language,
            languages=self.languages,
            path=path,
        )

    def spoken(self) -> None:
        """Name the language of a page, and what it depends on, for who keeps it."""
        self.set_header("Content-Language", self.language)
        self.add_header("Vary", "Accept-Language, Cookie")

    def give_page(self, body: bytes) -> None:
        """End with a page of ours in the reader's language."""
        self.spoken()
        self.give(body, HTML)

    def give(self, body: bytes, content_type: str) -> None:
        """End with this, packed where that helps. Only for what holds no secret: its length would tell of it."""
        self.set_header("Content-Type", content_type)
        self.add_header("Vary", "Accept-Encoding")
        if len(body) > SMALL and _GZIP.search(self.request.headers.get("Accept-Encoding", "")):
            self.set_header("Content-Encoding", "gzip")
            body = _packed(body)
        self.finish(body)


class VisitedPage(PageHandler[StatusServices]):
    """A public page, which is made once for all who look. Its visitor stands at its head and foot."""

    async def give_visited(self, page: bytes) -> None:
        """End with this page. With a visitor on it no cache may keep it."""
        visitor = await self.visitor()
        if visitor is None:
            self.give_page(page)
            return
        self.spoken()
        self.set_header("Cache-Control", "no-store")
        self.set_header("Content-Type", HTML)
        self.finish(render.personal(page, replace(self.plain_frame(), visitor=visitor)))

    async def visitor(self) -> Visitor | None:
        """The person of this browser's session. While the store is away there is none: these pages need no store."""
        cookie = self.cookie(SESSION)
        try:
            visit = await self.services.sessions.visit(cookie) if cookie else None
        except StoreError:
            return None
        if visit is None:
            return None
        return Visitor(visit.person.name, self.services.authority_of_visit(visit).may(Power.ADMINISTER))


class FrontPage(AlsoHead, VisitedPage):
    """`/`: the operator's own page, if there is one, else the status page."""

    async def get(self) -> None:
        own, base_url = self.services.status_service.own_page, self.base_url()
        if own is None:
            await self.give_visited(await self.services.status_service.status.page(base_url, self.language))
        else:
            self.set_header("Content-Security-Policy", own.policy)
            self.give(await own.page(base_url), HTML)


class StatusJson(AlsoHead, VisitedPage):
    """`/status.json`"""

    async def get(self) -> None:
        self.give(await self.services.status_service.status.json(self.base_url()), "application/json")


class StatusPage(StatusJson):
    """`/status`: the page for a browser; the same as JSON for programs, as the OAI Reverse Proxy has it."""

    async def get(self) -> None:
        self.set_header("Vary", "Accept")
        if self.wants_html():
            await self.give_visited(await self.services.status_service.status.page(self.base_url(), self.language))
        else:
            await super().get()


class DocsPage(VisitedPage):
    """`/docs`: how to use this installation, with its own address."""

    async def get(self) -> None:
        await self.give_visited(await self.services.status_service.docs(self.base_url(), self.language))


class StaticFile(PageHandler[StatusServices]):
    """`/static/…`: files that were read once, at the start. No path of this machine is ever built from a request."""

    def get(self, name: str) -> None:
        found = render.static(name)
        if found is None:
            raise UnknownUrl
        body, content_type, etag = found
        self.set_header("Content-Type", content_type)
        self.set_header("ETag", etag)
        self.set_header("Cache-Control", "no-cache")
        if self.check_etag_header():
            self.set_status(304)
            self.finish()
        else:
            self.give(body, content_type)


class NoSuchPage(VisitedPage):
    """Every route that does not exist: a page for a browser, a refusal in its dialect for other clients.

    A script on an allowed page reads that refusal, so that it does not look like a broken connection.
    """

    shared = True
    _visitor: Visitor | None = None

    async def admit(self) -> None:
        if self.request.method == "GET" and self.wants_html():
            self._visitor = await self.visitor()
        raise UnknownUrl

    def turn_away(self, refusal: Refusal) -> None:
        if self.request.method != "GET" or not self.wants_html():
            raise refusal
        self.set_status(404)
        if self._visitor is not None:
            self.set_header("Cache-Control", "no-store")
        self.give_page(render.error_page(replace(self.plain_frame(), visitor=self._visitor), 404, NOTHING_HERE))

    def on_finish(self) -> None:
        """Note the request in the access log: a mistyped address, or a search for a hole."""
        super().on_finish()
        if self.services.access_log is not None:
            self.services.access_log.note(
                Access(
                    request_id=self.request_id,
                    at=self.services.wall(),
                    endpoint=unknown_path(self.request.path),
                    dialect=self.dialect.name,
                    http=self.get_status(),
                    duration_ms=milliseconds(self.request.request_time()),
                    error=UnknownUrl.code,
                )
            )
