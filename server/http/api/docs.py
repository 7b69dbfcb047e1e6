"""`/openapi.json`, and the same to read at `/api/docs`."""

from __future__ import annotations

from typing import Any

import orjson

from server.config.openapi import JSON, Description, document
from server.http.api import me as my_api
from server.http.api import operations as admin_api_house
from server.http.api import people as admin_api_people
from server.http.api import policy as admin_api_book
from server.http.api.handler_schemas import DESCRIPTIONS
from server.http.pages.public import HTML, PageHandler
from web import api_page

ALL: tuple[Description, ...] = (
    *DESCRIPTIONS,
    *(
        operation.told
        for table in (my_api, admin_api_people, admin_api_book, admin_api_house)
        for operation in table.OPERATIONS
    ),
)


class OpenApiJson(PageHandler):
    """The document; the same for everybody."""

    def get(self) -> None:
        self.give(orjson.dumps(described(self.services.settings.title)), JSON)


class ApiDocsPage(PageHandler):
    """The document as a page."""

    async def get(self) -> None:
        frame = (await self.services.status_service.status.view(self.base_url())).frame
        self.give(api_page.html(frame, described(self.services.settings.title)), HTML)


def described(title: str) -> dict[str, Any]:
    return document(title, ALL)
