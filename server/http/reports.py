"""The base of all handlers that answer from the ledger: the choice of the rows, and the writing of a long answer."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import ClassVar

import orjson
from tornado.iostream import StreamClosedError

from server.http.base import BaseHandler
from server.http.refusals import hang_up
from server.http.services import ApiServices
from server.ledger.export import JSON_TYPE, Fields, Layout
from server.ledger.question import parameters
from server.policy.authority import Power
from server.store.base import Caller, StoreError
from server.wire.errors import AccountingUnavailable, PermissionDenied

NO_PERSON = ""  # the id of no person: the ledger has no rows of it


class ReportHandler(BaseHandler[ApiServices]):
    """A question to the ledger. `known` are the parameters that it may have."""

    known: ClassVar[frozenset[str]] = frozenset()

    async def get(self) -> None:
        caller = await self.authenticate()
        asked = parameters(self.request.query_arguments, self.known)
        self.set_header("Cache-Control", "no-store")
        try:
            await self.answer(caller, asked)
        except StoreError:
            if not self._headers_written:
                raise AccountingUnavailable from None
            hang_up(self)  # what ends properly is taken for the whole
        except (StreamClosedError, TimeoutError):
            hang_up(self)

    @abstractmethod
    async def answer(self, caller: Caller, asked: Mapping[str, str]) -> None:
        """Answer a valid question of an authenticated caller."""

    def tell(self, document: object) -> None:
        """End with a JSON document."""
        self.set_header("Content-Type", JSON_TYPE)
        self.finish(orjson.dumps(document))

    async def stream(self, name: str, layout: Layout, pages: AsyncGenerator[Sequence[Fields], None]) -> None:
        """Write a file page by page, as fast as it is read.

        Nothing has gone out until the first page is there: an outage before it is an error of its own.
        Raises `StreamClosedError` or `TimeoutError` when the client reads no more.
        """
        self.set_header("Content-Type", layout.content_type)
        self.set_header("Content-Disposition", f'attachment; filename="fairgate-{name}.{layout.suffix}"')
        before = layout.head
        async with aclosing(pages):
            async for page in pages:
                self.write(before + layout.page(page))
                before = layout.joint
                async with asyncio.timeout(self.services.settings.write_seconds):
                    await self.flush()
        self.finish(layout.tail if self._headers_written else layout.head + layout.tail)

    async def whose(self, caller: Caller, asked: Mapping[str, str]) -> str | None:
        """The id of the person whose rows are asked for, or None for all people's, which only administrators see.

        Raises PermissionDenied if a caller who is no administrator names another person, known or not.
        """
        name = asked.get("user")
        if not self.sees_all(caller):
            if name not in (None, caller.person_name):
                raise PermissionDenied
            return caller.person_id
        if name is None:
            return None
        person = await self.services.store.person_by_name(name)
        return NO_PERSON if person is None else person.id

    def sees_all(self, caller: Caller) -> bool:
        """Whether the caller sees all people's rows."""
        return self.services.authority(caller).may(Power.ADMINISTER)

    async def names(self, caller: Caller) -> Mapping[str, str]:
        """The names, by id, of those whose rows the caller may see."""
        if not self.sees_all(caller):
            return {caller.person_id: caller.person_name}
        return {person.id: person.name for person in await self.services.store.people()}
