"""`GET /v1/models`: what the caller may use in the dialect in which it was asked, translated or not."""

from __future__ import annotations

from server.http.base import AlsoHead, BaseHandler
from server.http.services import ApiServices
from server.wire.errors import UnknownModel
from server.wire.openai import OPENAI


class ModelsHandler(AlsoHead, BaseHandler[ApiServices]):
    """The list, or one model of it."""

    guests = True

    async def get(self, name: str | None = None) -> None:
        caller = await self.authenticate()
        names = self.services.admission.reached(caller, self.dialect)
        facts, aliases = await self.services.status_service.status.facts(), self.services.book.aliases
        facts = {**facts, **{each: facts[aliases.model(each)] for each in names if aliases.model(each) in facts}}
        self.set_header("Content-Type", "application/json")
        if name is None and self.dialect is OPENAI and "client_version" in self.request.query_arguments:
            self.finish(OPENAI.models_for_codex(names, facts))
        elif name is None:
            self.finish(self.dialect.models(names, facts))
        elif name in names:
            self.finish(self.dialect.model(name, facts))
        else:
            raise UnknownModel
