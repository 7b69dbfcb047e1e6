"""The dependencies of handlers: a few that all of them need, and for each group of handlers its own.

A handler's class names its group (`BaseHandler[PageServices]`), so the type checker knows what it may ask for. It is
given an object of its group, and nothing else of the gateway is within its reach.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from server.accounting.price_reload import PriceReload
from server.accounting.reservations import Reservations
from server.accounting.runtime_config import RuntimeConfig
from server.admin.changes import Changes
from server.admin.commands.courses import CourseCommands
from server.admin.commands.guest_passes import GuestPassCommands
from server.admin.commands.invitations import InvitationCommands
from server.admin.commands.keys import KeyCommands
from server.admin.commands.notifications import NotificationCommands
from server.admin.commands.people import PeopleCommands
from server.admin.commands.people_import import PeopleTable
from server.admin.commands.privacy import PrivacyCommands
from server.admin.commands.tokens import TokenCommands
from server.auth.accounts import Accounts
from server.auth.oidc.client import Oidc
from server.auth.sessions import Sessions, Visit
from server.auth.token_format import budget_id
from server.cluster.changes import ChangeFollower
from server.cluster.face import Face
from server.config.settings import Settings
from server.dispatching import Dispatching
from server.ledger.calendar import Calendar
from server.ledger.limits import Scope
from server.notifications.notifier import Messages
from server.observability.access_log import AccessLog
from server.observability.metrics import Metrics
from server.observability.occupancy_metrics import Occupancy
from server.policy.authority import Authority, Means, authority_of
from server.relay.admission import Admission
from server.relay.everywhere import Everywhere
from server.relay.pipeline import Pipeline
from server.relay.refused import RefusedRequests
from server.status.service import StatusService
from server.store.base import Caller, Store
from server.wire.filters import Origins
from server.wire.own_keys import OwnKeyProvider


class Lifecycle:
    """Whether the gateway is about to stop, and how: `retiring`, it serves on until its connections have gone."""

    draining = retiring = False

    def drain(self) -> None:
        """It stops soon, and serves no new request."""
        self.draining = True

    def retire(self) -> None:
        """Another process has taken its place: each answer from now on is the last one of its connection."""
        self.retiring = True


@dataclass(kw_only=True)
class Services:
    """The dependencies of every handler. `metrics` and `access_log`: None if they are off.

    `follower` lets changes take effect here.
    """

    settings: Settings
    accounts: Accounts
    book: RuntimeConfig
    occupancy: Occupancy
    access_log: AccessLog | None
    metrics: Metrics | None
    clock: Callable[[], float]
    wall: Callable[[], int]
    lifecycle: Lifecycle
    follower: ChangeFollower

    @property
    def draining(self) -> bool:
        """The gateway is about to stop."""
        return self.lifecycle.draining

    def authority(self, caller: Caller) -> Authority:
        """The authority with which a caller acts. While limits are unknown, the token counts as limited."""
        limited = caller.token_id is not None and self._is_limited(caller.token_id)
        return authority_of(
            caller.means,
            admin=caller.admin,
            narrowed=caller.terms.narrow,
            limited=limited,
            ends_at=caller.ends_at,
        )

    def authority_of_visit(self, visit: Visit) -> Authority:
        """With what authority a browser acts: that of its person, and no more than the token's that began its session.

        The token counts as it is now, not as it was at the login.
        """
        token = visit.token
        if token is None:
            return authority_of(Means.SESSION, admin=visit.person.admin)
        return authority_of(
            Means.SESSION,
            admin=visit.person.admin,
            narrowed=token.terms.narrow,
            limited=self._is_limited(token.id),
            ends_at=token.expires_at,
        )

    def _is_limited(self, token_id: str) -> bool:
        return not self.book.known or bool(self.book.limits.of(Scope.TOKEN, budget_id(token_id)))

    async def take_effect(self) -> None:
        """Let what an administrator has changed hold here at once; other gateways follow within a second or two."""
        await self.follower.take_effect()


@dataclass(kw_only=True)
class RelayServices(Services):
    """For requests that are passed on."""

    pipeline: Pipeline
    reservations: Reservations
    origins: Origins
    refused: RefusedRequests


@dataclass(kw_only=True)
class StatusServices(Services):
    """For the public pages, and for machines that watch this one."""

    status_service: StatusService
    dispatcher: Dispatching
    store: Store
    price_reload: PriceReload
    sessions: Sessions
    gateways: Face | None


@dataclass(kw_only=True)
class ManagementServices(Services):
    """For what people see of their own and change, and administrators of all: the commands and the ledger."""

    store: Store
    calendar: Calendar
    dispatcher: Dispatching
    pipeline: Pipeline
    everywhere: Everywhere
    reservations: Reservations
    refused: RefusedRequests
    status_service: StatusService
    sessions: Sessions
    changes: Changes
    courses: CourseCommands
    passes: GuestPassCommands
    people: PeopleCommands
    people_table: PeopleTable
    invitations: InvitationCommands
    tokens: TokenCommands
    keys: KeyCommands
    privacy: PrivacyCommands
    notifications: NotificationCommands
    gateways: Face | None


@dataclass(kw_only=True)
class ApiServices(ManagementServices):
    """For the JSON API."""

    admission: Admission


@dataclass(kw_only=True)
class PageServices(ManagementServices):
    """For the pages behind a login. `oidc`: None where no organisation vouches for people."""

    admission: Admission
    oidc: Oidc | None


@dataclass(kw_only=True)
class CompatServices(Services):
    """For the routes of older projects."""

    store: Store
    dispatcher: Dispatching
    changes: Changes
    people: PeopleCommands
    tokens: TokenCommands


S = TypeVar("S", bound=Services)


@dataclass(kw_only=True)
class GatewayServices(RelayServices, StatusServices, ApiServices, PageServices, CompatServices):
    """All that was built. No handler gets this: each group has its own object of it (`part`).

    `own_keys`: where callers may go with a provider's key, by name; None unless they may.
    """

    own_keys: Mapping[str, OwnKeyProvider] | None
    messages: Messages
    parts: dict[type[Services], Services] = field(default_factory=dict)

    def part(self, group: type[S]) -> S:
        """The dependencies of a group of handlers: the same object each time."""
        found = self.parts.get(group)
        if not isinstance(found, group):
            mine: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(group)}
            found = self.parts[group] = group(**mine)
        return found
