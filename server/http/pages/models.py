"""`/models`: what can be asked for here, at what price and how well. Public, as the status page is.

For a browser, that is: for a program the address is a route of an older project (`compat/java.py`), and stays it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher

from server.http.pages.base import BrowserHandler
from server.wire.errors import InvalidValue
from web import render
from web.listing import Listing, arranged
from web.view import Visitor
from web.view_models import ModelRow, ModelsView


class ForBrowsers(Matcher):
    """Matches a path where a page is wanted."""

    def __init__(self, path: str) -> None:
        self.path = path

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        wanted = request.path == self.path and "text/html" in request.headers.get("Accept", "")
        return {} if wanted else None


COLUMNS: dict[str, Callable[[ModelRow], Any]] = {
    "name": lambda row: row.name,
    "wait": lambda row: row.model.wait_seconds if row.model.answers else None,
    "speed": lambda row: row.speed,
    "uptime": lambda row: row.uptime,
    "in": lambda row: row.micro_usd_in,
    "out": lambda row: row.micro_usd_out,
    "context": lambda row: row.window,
}


class ModelsPage(BrowserHandler):
    """`/models?q=&reads=&sort=`"""

    async def get(self) -> None:
        status = self.services.status_service.status
        rows, frame, person = await status.rows(), (await status.view()).frame, await self.person()
        query, reads, sort = (self.get_query_argument(name, "") for name in ("q", "reads", "sort"))
        if sort and sort.removeprefix("-") not in COLUMNS:
            raise InvalidValue("sort")
        visitor = Visitor(person.name, person.admin) if person else None
        chosen = [row for row in rows if _fits(row, query.strip().lower(), reads)]
        view = ModelsView(
            frame=replace(frame, visitor=visitor, zone=self.zone, language=self.language, path=str(self.request.uri)),
            rows=tuple(arranged(chosen, sort, COLUMNS)),
            listing=Listing("/models", {"q": query, "reads": reads}, sort),
            kinds=tuple(sorted({kind for row in rows for kind in row.reads})),
        )
        self.spoken()
        self.add_header("Vary", "Accept")
        self.show(render.models_html(view))


def _fits(row: ModelRow, query: str, reads: str) -> bool:
    return query in row.name.lower() and (not reads or reads in row.reads)
