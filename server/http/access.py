"""The roles that routes require for each method: declared in one table, enforced before the handler is asked.

A `Route` names a role for each method of its handler. One that is forgotten is an error when the table is made, so that
the gateway does not start: nothing is open by accident. The roles are few:

* PUBLIC: all callers, also without any credential;
* CALLER: a caller who presents a credential of the API (a token, or a guest's pass where the handler takes guests), or
  whom a trusted header names;
* PERSON: a person, who may change what is theirs alone;
* ADMIN: an administrator.

`server.policy.authority` decides which credential is enough for which role.

The API knows people by the credential that they present, pages by the session of their browser, and neither by the
other's: so no form on another site can make a browser use the API. The one exception is the chat of a person's own page
(`server/http/chat.py`), which asks for more than the session.

A handler that asks by itself does so, because it answers strangers in other words (the relay reads a small
body first, other projects' clients expect texts of theirs). Its roles stand in the table all the same, and the test
that tries every row tries these, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Generic

from tornado.routing import Matcher, Rule
from tornado.web import url

from server.http.base import BaseHandler
from server.http.services import S
from server.policy.authority import Power


class Role(StrEnum):
    """The role that a caller needs."""

    PUBLIC = "public"
    CALLER = "caller"
    PERSON = "person"
    ADMIN = "admin"


# The power that a credential needs; None where no credential is needed. A handler that takes guests lets guests in.
NEEDS = {Role.PUBLIC: None, Role.CALLER: Power.CALL, Role.PERSON: Power.CHANGE_OWN, Role.ADMIN: Power.ADMINISTER}


Roles = Mapping[str, Role]


@dataclass(frozen=True)
class Route(Generic[S]):
    """One row of the table. `pattern` is a regular expression of the whole path, or what matches a request.

    `kwargs` are the handler's beside the services, which are those of its group. `own_door`: the handler
    authenticates by itself. Raises ValueError unless `roles` names each method that there is.
    """

    pattern: str | Matcher
    handler: type[BaseHandler[S]]
    roles: Roles
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    own_door: bool = False
    services: S | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if set(self.roles) != self.handler.answers(self.kwargs):
            raise ValueError(f"{self.pattern}: {self.handler.__name__} needs a role for each of its methods")

    def of(self, services: S) -> Route[S]:
        """The same row with what its handler may use."""
        return replace(self, services=services)

    def rule(self) -> Rule:
        """The row as tornado takes it."""
        assert self.services is not None, "a row of the table has services"
        needs = None if self.own_door else {method: NEEDS[role] for method, role in self.roles.items()}
        kwargs = {"services": self.services, "needs": needs, **self.kwargs}
        if isinstance(self.pattern, Matcher):
            return Rule(self.pattern, self.handler, kwargs)
        return url(self.pattern, self.handler, kwargs)
