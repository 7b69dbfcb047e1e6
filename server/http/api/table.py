"""The JSON API as a table of operations: a description, and the function that does it.

The handler reads what was sent as the description says, asks the function, and writes what it gives. So nothing is
accepted that the document does not tell, and an operation is nothing but what it does.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from server.admin.makers import Maker
from server.config.openapi import JSON, Description
from server.config.shapes import Thing, read_text
from server.http.access import Role, Route
from server.http.base import BaseHandler
from server.http.services import ApiServices
from server.http.streaming import stream
from server.ledger.question import parameters
from server.policy.authority import Authority, Power
from server.policy.commands import AlreadyThere, CommandError, NotThere
from server.store.base import Caller, Person, StoreError
from server.wire.dialect import Dialect
from server.wire.errors import (
    AccountingUnavailable,
    InOwnWords,
    InvalidJson,
    PermissionDenied,
    UnknownId,
    UnsupportedMedia,
)
from server.wire.openai import OPENAI
from server.wire.strict import loads

LARGEST = {JSON: 64 << 10}
LARGEST_FILE = 2 << 20  # bytes


class NotPossible(InOwnWords):
    """This cannot be done."""

    status = 409
    code = "not_possible"
    retriable = False


class AlreadyExists(NotPossible):
    """There is already a thing of this name."""

    code = "already_exists"


@dataclass(frozen=True, slots=True)
class Asking:
    """The call of an operation, and its caller. `ids` are those in the path, `text` is a body that is no JSON.

    `own`: the operation is about what belongs to the caller, and reaches nothing else.
    """

    services: ApiServices
    caller: Caller
    ids: tuple[str, ...]
    query: Mapping[str, Any]
    body: Mapping[str, Any]
    text: str
    address: str
    own: bool

    @property
    def actor(self) -> str:
        """The id that the audit log notes as the actor."""
        return self.caller.person_id

    @property
    def authority(self) -> Authority:
        """The authority of the caller."""
        return self.services.authority(self.caller)

    @property
    def maker(self) -> Maker:
        """The credential that asks, where it makes another one."""
        return Maker(self.authority, self.caller.token_id)

    @property
    def id(self) -> str:
        """The id in the path, where it has one."""
        return self.ids[0]

    async def person(self) -> Person:
        """The caller as a person. Raises PermissionDenied for one who is none."""
        person = await self.services.store.person(self.caller.person_id)
        if person is None:
            raise PermissionDenied
        return replace(person, admin=self.authority.may(Power.ADMINISTER))  # who holds ADMIN_KEY is one by that alone


@dataclass(frozen=True, slots=True)
class File:
    """An answer to keep: a name for it, and its pieces."""

    name: str
    content_type: str
    pieces: AsyncGenerator[bytes, None]


@dataclass(frozen=True, slots=True)
class Operation:
    """One row. `run` gives what JSON can say, a File, or None for an empty answer."""

    description: Description
    run: Callable[[Asking], Awaitable[object]]


class ApiHandler(BaseHandler[ApiServices]):
    """Answers all operations of one path, which its route names by their methods."""

    def initialize(self, operations: Mapping[str, Operation]) -> None:
        self.operations = operations

    @classmethod
    def answers(cls, row: Mapping[str, Any]) -> set[str]:
        return set(row["operations"])

    @property
    def dialect(self) -> Dialect:
        return OPENAI

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")

    @property
    def largest_body(self) -> int:
        operation = self.operations.get(str(self.request.method))
        return LARGEST.get(operation.description.takes if operation else JSON, LARGEST_FILE)

    def decode_argument(self, value: bytes, name: str | None = None) -> str:
        """Bytes that are no UTF-8 name nothing; tornado would call them a fault of the body."""
        return value.decode("utf-8", "replace")

    async def answer(self, *ids: str) -> None:
        """Do what is asked. Raises Refusal, of which NotPossible is the commands' own words."""
        operation = self.operations[str(self.request.method)]
        description = operation.description
        asked = parameters(self.request.query_arguments, description.query)
        query = {name: read_text(description.query[name], name, text) for name, text in asked.items()}
        body, text = self._read(description)
        own, caller = description.role == Role.PERSON, await self.authenticate()
        asking = Asking(self.services, caller, ids, query, body, text, self.address(), own)
        try:
            found = await operation.run(asking)
            if description.method != "GET":
                await self.services.take_effect()
        except CommandError as error:
            raise _refusal(error) from None
        except StoreError:
            raise AccountingUnavailable from None
        await self._give(description, found)

    get = post = put = patch = delete = answer

    def _read(self, description: Description) -> tuple[dict[str, Any], str]:
        """The body: as a document, or as text. Raises UnsupportedMedia, InvalidJson, InvalidValue, ..."""
        if not description.has_body:
            return {}, ""
        media = self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if media != description.takes.partition(";")[0] or "Content-Encoding" in self.request.headers:
            raise UnsupportedMedia
        content = self.body()
        if description.body is not None:
            return _document(description.body, content), ""
        try:
            return {}, content.decode()
        except ValueError:
            raise InvalidJson from None

    async def _give(self, description: Description, found: object) -> None:
        self.set_status(description.status)
        if isinstance(found, File):
            self.set_header("Content-Type", found.content_type)
            self.set_header("Content-Disposition", f'attachment; filename="{found.name}"')
            try:
                await stream(self, found.pieces)
            except StoreError:
                raise AccountingUnavailable from None
        elif found is None:
            self.clear_header("Content-Type")
            self.finish()
        else:
            self.set_header("Content-Type", JSON)
            self.finish(orjson.dumps(found))


def routes_of(operations: Iterable[Operation]) -> list[Route[ApiServices]]:
    """The routes of a table of operations: one for each path."""
    paths: dict[str, dict[str, Operation]] = {}
    for each in operations:
        paths.setdefault(each.description.path, {})[each.description.method] = each
    return [Route(_pattern(path), ApiHandler, _roles(mine), {"operations": mine}) for path, mine in paths.items()]


def _pattern(path: str) -> str:
    return re.sub(r"\\\{\w+\\\}", "([^/]{1,600})", re.escape(path))


def _roles(operations: Mapping[str, Operation]) -> dict[str, Role]:
    return {method: Role(each.description.role) for method, each in operations.items()}


def _document(shape: Thing, content: bytes) -> dict[str, Any]:
    """Raises InvalidJson, TooComplex, InvalidValue, MissingParameter."""
    return shape.read(loads(content))


def _refusal(error: CommandError) -> NotPossible | UnknownId:
    """The error of a command: a thing that does not exist, or the reason of a refusal. Neither repeats the input."""
    if isinstance(error, NotThere):
        return UnknownId()
    kind = AlreadyExists if isinstance(error, AlreadyThere) else NotPossible
    return kind(words=f"{error.words[:1].upper()}{error.words[1:]}.")
