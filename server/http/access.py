"""Who may use which route by which method: declared in one table, enforced before the handler is asked.

A `Route` names a role for each method of its handler. One that is forgotten is an error when the table is made, so that
the gateway does not start: nothing is open by accident. The roles are few:

* PUBLIC: everyone, also without any credential;
* CALLER: who presents a credential of the API (a token, or a guest's pass where the handler takes guests), or is named
  by a header that is trusted;
* PERSON: a person, who may change what is theirs alone;
* ADMIN: an administrator.

Which credential is enough for which role, `server.policy.authority` decides.

The API knows people by the credential that they present, pages by the session of their browser, and neither by the
other's: so no form on another site can make a browser use the API.

A handler that asks by itself does so, because it answers strangers in other words (the relay reads a small
body first, other projects' clients expect texts of theirs). Its roles stand in the table all the same, and the test
that tries every row tries these, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar
from urllib.parse import urlencode

from tornado.routing import Matcher, Rule
from tornado.web import RequestHandler, url

from server.auth.sessions import Visit
from server.http.base import BaseHandler, Services
from server.http.pages.base import BrowserHandler
from server.http.redirects import own_path
from server.policy.authority import Power
from server.store.base import Caller
from server.wire.errors import InvalidKey, MethodNotAllowed, PermissionDenied, Refusal


class Role(StrEnum):
    """What somebody must be."""

    PUBLIC = "public"
    CALLER = "caller"
    PERSON = "person"
    ADMIN = "admin"


# What a credential may do at least. A caller who is a guest is let in where the handler takes guests.
NEEDS = {Role.CALLER: Power.CALL, Role.PERSON: Power.CHANGE_OWN, Role.ADMIN: Power.ADMINISTER}


Roles = Mapping[str, Role]


@dataclass(frozen=True)
class Route:
    """One row of the table. `pattern` is a regular expression of the whole path, or what matches a request.

    `kwargs` are the handler's beside the house. Raises ValueError unless `roles` names each method that there is.
    """

    pattern: str | Matcher
    handler: type[BaseHandler]
    roles: Roles
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    own_door: bool = False

    def __post_init__(self) -> None:
        if set(self.roles) != methods_of(self.handler):
            raise ValueError(f"{self.pattern}: {self.handler.__name__} needs a role for each of its methods")

    def rule(self, services: Services) -> Rule:
        """The row as tornado takes it."""
        kwargs = {"services": services, **self.kwargs}
        if isinstance(self.pattern, Matcher):
            return Rule(self.pattern, self._behind_a_door(), kwargs)
        return url(self.pattern, self._behind_a_door(), kwargs)

    def _behind_a_door(self) -> type[BaseHandler]:
        if self.own_door:
            return self.handler
        door = GuardedPage if issubclass(self.handler, BrowserHandler) else GuardedHandler
        return type(self.handler.__name__, (door, self.handler), {"roles": self.roles})


def methods_of(handler: type[BaseHandler]) -> set[str]:
    """The methods that a handler answers. HEAD is none of its own: it is GET without the body, with the same role."""
    absent = RequestHandler._unimplemented_method
    named = set(handler.SUPPORTED_METHODS) - {"HEAD"}
    return {name for name in named if getattr(handler, name.lower()) is not absent}


class GuardedHandler(BaseHandler):
    """Stands before a handler and asks who comes."""

    roles: ClassVar[Roles]
    _admitted: Caller | None = None

    async def admit(self) -> None:
        method = str(self.request.method).replace("HEAD", "GET")
        role = self.roles.get(method)
        if role is None:
            raise MethodNotAllowed
        if role is not Role.PUBLIC:
            await self.insist(role)
        await super().admit()

    async def insist(self, role: Role) -> None:
        """Raises InvalidKey, PermissionDenied, RateLimited, AccountingUnavailable for who is not what the role says."""
        self.insist_on(await self.authenticate(), NEEDS[role])

    async def authenticate(self) -> Caller:
        if self._admitted is None:
            self._admitted = await super().authenticate()
        return self._admitted


class GuardedPage(GuardedHandler, BrowserHandler):
    """The same before a page: who has not logged in is sent to the login, and comes back."""

    _visit: Visit | None = None

    async def insist(self, role: Role) -> None:
        visit = await self.visit()
        if visit is None:
            raise InvalidKey
        if not self.services.authority_of_visit(visit).may(NEEDS[role]):
            raise PermissionDenied

    async def visit(self) -> Visit | None:
        if self._visit is None:
            self._visit = await super().visit()
        return self._visit

    def turn_away(self, refusal: Refusal) -> None:
        """A form is not sent there: when it came back from the login, it would have lost its fields."""
        if not isinstance(refusal, InvalidKey) or self.request.method != "GET":
            raise refusal
        self.redirect("/login?" + urlencode({"next": own_path(self.request.uri or "/")}), status=303)
