"""`/openapi.json`, and the same to read at `/api/docs`."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import orjson

from server.config.openapi import JSON, Description, document
from server.http.access import Role, Route
from server.http.api import aliases as aliases_api
from server.http.api import bill as bill_api
from server.http.api import closing as closing_api
from server.http.api import contents as contents_api
from server.http.api import me as my_api
from server.http.api import notifications as notifications_api
from server.http.api import operations as admin_api_house
from server.http.api import people as admin_api_people
from server.http.api import policy as admin_api_book
from server.http.api import repricing as repricing_api
from server.http.api.handler_schemas import DESCRIPTIONS
from server.http.pages.public import PageHandler, VisitedPage
from server.http.services import StatusServices
from server.single_flight import SingleFlight
from server.status.service import SLOW_SECONDS
from web import api_page

ALL: tuple[Description, ...] = (
    *DESCRIPTIONS,
    *(
        operation.description
        for table in (
            my_api,
            bill_api,
            contents_api,
            admin_api_people,
            admin_api_book,
            closing_api,
            aliases_api,
            notifications_api,
            repricing_api,
            admin_api_house,
        )
        for operation in table.OPERATIONS
    ),
)


class OpenApiJson(PageHandler[StatusServices]):
    """The document; the same for all callers."""

    def get(self) -> None:
        self.give(document_json(self.services.settings.title), JSON)


class ApiDocsPage(VisitedPage):
    """The document as a page, which is long: it is made once in a while for all who look."""

    def initialize(self, pages: SingleFlight[str, bytes]) -> None:
        self._pages = pages

    async def get(self) -> None:
        await self.give_visited(await self._pages.get(self.language))


def api_docs_route(services: StatusServices) -> Route[StatusServices]:
    """`/api/docs`"""

    async def page(language: str) -> bytes:
        view = await services.status_service.status.view()
        frame = replace(view.frame, language=language, path="/api/docs")
        return api_page.html(frame, described(services.settings.title))

    return Route(
        "/api/docs", ApiDocsPage, {"GET": Role.PUBLIC}, {"pages": SingleFlight(page, SLOW_SECONDS, services.clock)}
    )


@lru_cache(maxsize=4)
def document_json(title: str) -> bytes:
    """The document of an installation of this title, as JSON."""
    return orjson.dumps(described(title))


def described(title: str) -> dict[str, Any]:
    return document(title, ALL)
