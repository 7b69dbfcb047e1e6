"""What all handlers share: the services, refusals in the caller's dialect, one line in the access log."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from tornado.httputil import HTTPServerRequest
from tornado.web import HTTPError, RequestHandler

from server.accounting.price_reload import PriceReload
from server.accounting.reservations import Reservations
from server.accounting.runtime_config import RuntimeConfig
from server.admin.changes import Changes
from server.admin.commands.courses import CourseCommands
from server.admin.commands.guest_passes import GuestPassCommands
from server.admin.commands.keys import KeyCommands
from server.admin.commands.people import PeopleCommands
from server.admin.commands.people_import import PeopleTable
from server.admin.commands.privacy import PrivacyCommands
from server.admin.commands.tokens import TokenCommands
from server.auth.accounts import EVERYONE, Accounts
from server.auth.oidc.client import Oidc
from server.auth.sessions import Sessions, Visit
from server.auth.token_format import budget_id
from server.config.settings import Settings
from server.dispatcher import Dispatcher
from server.http.receiving import ReceivingHandler
from server.keys.prober import Prober
from server.keys.wishes import KeyWishes
from server.ledger.calendar import Calendar
from server.ledger.limits import Scope
from server.observability.access_log import AccessLog
from server.observability.metrics import Metrics
from server.observability.occupancy_metrics import Occupancy
from server.policy.authority import Authority, Means, Power, authority_of
from server.relay.admission import Admission
from server.relay.pipeline import Pipeline
from server.status.service import StatusService
from server.store.base import Caller, Store, StoreError
from server.wire.anthropic import ANTHROPIC
from server.wire.cors import Sharing
from server.wire.dialect import Dialect
from server.wire.errors import (
    AccountingUnavailable,
    InternalError,
    InvalidJson,
    MethodNotAllowed,
    OriginBlocked,
    PermissionDenied,
    Refusal,
    UnknownHost,
    UnknownUrl,
)
from server.wire.filters import Origins
from server.wire.openai import OPENAI
from server.wire.own_keys import OwnKeyProvider
from server.wire.sites import is_from_elsewhere, is_own_name
from server.wire.trusted import address_of, trusted_user

log = logging.getLogger("fairgate")

# A request's id names it and opens nothing, so it need not be guessed at random each time: a start's own, and a number.
_START = secrets.token_hex(8)
_NUMBERS = count(1)

NO_ORIGINS = Origins()


@dataclass(slots=True)
class Services:
    """Everything that a handler may use. `metrics`: None if they are off. `draining`: the gateway is about to stop."""

    settings: Settings
    pipeline: Pipeline
    admission: Admission
    accounts: Accounts
    dispatcher: Dispatcher
    store: Store
    book: RuntimeConfig
    reservations: Reservations
    calendar: Calendar
    access_log: AccessLog | None
    metrics: Metrics | None
    clock: Callable[[], float]
    wall: Callable[[], int]
    started: float
    prober: Prober
    price_reload: PriceReload
    sessions: Sessions
    changes: Changes
    key_wishes: KeyWishes
    courses: CourseCommands
    passes: GuestPassCommands
    people: PeopleCommands
    people_table: PeopleTable
    tokens: TokenCommands
    keys: KeyCommands
    privacy: PrivacyCommands
    status_service: StatusService
    occupancy: Occupancy
    oidc: Oidc | None = None
    own_keys: Mapping[str, OwnKeyProvider] | None = None
    origins: Origins = NO_ORIGINS
    demo: bool = False
    draining: bool = False

    def authority(self, caller: Caller) -> Authority:
        """With what authority a caller acts. What cannot be known yet counts as a limit."""
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
        """Let what an administrator has changed hold here at once; other gateways read it within seconds."""
        self.accounts.forget()
        await self.book.sync()


class BaseHandler(ReceivingHandler):
    """A handler. Refusals are raised anywhere and written here, in the dialect of the route."""

    services: Services
    request_id: str
    guests = False  # whether who comes with a guest pass may use this
    shared = True  # with the web pages of ALLOWED_ORIGINS

    def initialize(self, services: Services) -> None:
        self.services = services

    def set_default_headers(self) -> None:
        # Called at each request's start and again before an error is written: the id must stay the same.
        if not hasattr(self, "request_id"):
            self.request_id = f"req_{_START}{next(_NUMBERS):08x}"
        self.clear_header("Server")
        self.set_header("X-Request-Id", self.request_id)  # where OpenAI's SDK looks for it
        self.set_header("Request-Id", self.request_id)  # and Anthropic's
        self.set_header("X-Content-Type-Options", "nosniff")
        if self.shared:
            for name, value in self._sharing.headers(self.request.headers.get("Origin")).items():
                self.set_header(name, value)

    @property
    def _sharing(self) -> Sharing:
        """What the application holds: this is needed before the handler has its services."""
        sharing = self.settings["sharing"]
        assert isinstance(sharing, Sharing), "set where the application is made"
        return sharing

    def preflight(self) -> bool:
        """Answer a browser that asks whether a page may use this; False if there is no such question."""
        headers = self.request.headers
        if self.request.method != "OPTIONS" or not self.shared:
            return False
        asked = headers.get("Access-Control-Request-Headers", "")
        told = self._sharing.preflight(headers.get("Origin"), headers.get("Access-Control-Request-Method"), asked)
        if told is None:
            return False
        self.set_status(204)
        for name, value in told.items():
            self.set_header(name, value)
        self.finish()
        return True

    @property
    def dialect(self) -> Dialect:
        """The dialect to speak with this caller."""
        return dialect_of(self.request)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Write whatever was raised as a refusal; tornado calls this before anything has gone out."""
        self.refuse(_refusal_of(status_code, kwargs.get("exc_info", (None, None, None))[1]))

    def refuse(self, refusal: Refusal) -> None:
        self.count(refusal)
        dialect = self.dialect
        self.set_status(dialect.status(refusal))
        for name, value in dialect.headers(refusal).items():
            self.set_header(name, value)
        if isinstance(refusal, MethodNotAllowed):
            self.set_header("Allow", ", ".join(self.allowed()))
        self.finish(dialect.body(refusal, self.request_id))

    def count(self, refusal: Refusal) -> None:
        """Count a refusal that is told."""
        if self.services.metrics is not None:
            self.services.metrics.refused(refusal.code)

    def allowed(self) -> list[str]:
        """The methods that this handler answers."""
        absent = RequestHandler._unimplemented_method
        return [name for name in self.SUPPORTED_METHODS if getattr(type(self), name.lower()) is not absent]

    def log_exception(self, kind: Any, value: BaseException | None, trace: Any) -> None:
        """Log our own faults only, and of those the place but not the text: it may quote what was sent."""
        if isinstance(value, (Refusal, HTTPError, StoreError)):
            return
        frames, last = [], trace
        while last is not None:
            frames.append(f"{last.tb_frame.f_code.co_filename}:{last.tb_lineno}")
            last = last.tb_next
        log.error(
            "request %s: %s at %s", self.request_id, getattr(kind, "__name__", kind), " < ".join(frames[-4:][::-1])
        )

    def address(self) -> str:
        """The caller's address, or a word for "unknown"."""
        noted = self.request.headers.get_list("X-Forwarded-For")
        return address_of(str(self.request.remote_ip), noted, self.services.settings.trusted_proxy_hops)

    async def authenticate(self) -> Caller:
        """Who asks. A name in `X-User` counts where that is trusted, and only without any other credential.

        What belongs to a person is not shown to their guests. Raises InvalidKey, RateLimited, PermissionDenied.
        """
        headers, networks = self.request.headers, self.services.settings.user_header_networks
        if networks and "Authorization" not in headers and "X-Api-Key" not in headers:
            name = trusted_user(headers.get_list("X-User"), self.address(), networks)
            if name is not None:
                self.insist_on_own_site()
                return self.insist_on(await self.services.accounts.person_named(name), self.needed)
        return await self.known_by(headers.get("Authorization"), headers.get("X-Api-Key"))

    async def known_by(self, authorization: str | None, api_key: str | None) -> Caller:
        """Who presents these two headers, if that is enough here. Raises as `authenticate`."""
        caller = await self.services.accounts.authenticate(authorization, api_key, self.address())
        if caller is EVERYONE:
            self.insist_on_own_site()
        return self.insist_on(caller, self.needed)

    def insist_on_own_site(self) -> None:
        """Raises OriginBlocked, UnknownHost for what a page of another site may have sent, where no credential counts.

        A browser adds a credential to a request only for a page that has it.
        """
        headers, host, public_url = self.request.headers, self.request.host, self.services.settings.public_url
        if not is_own_name(host, self.services.settings.own_names):
            raise UnknownHost
        if is_from_elsewhere(headers.get("Sec-Fetch-Site"), headers.get("Origin"), host, public_url):
            raise OriginBlocked

    @property
    def needed(self) -> Power:
        """What a credential may do at least that is let in here."""
        return Power.CALL if self.guests else Power.READ_OWN

    def insist_on(self, caller: Caller, power: Power) -> Caller:
        """The caller, whose credential may do this. Raises PermissionDenied, or what else a guess at a key hears."""
        if self.services.authority(caller).may(power):
            return caller
        raise self.denial(caller) if power is Power.ADMINISTER else PermissionDenied()

    async def authenticate_admin(self) -> Caller:
        """The caller, if they may change things for others. Raises InvalidKey, RateLimited, PermissionDenied."""
        return self.insist_on(await self.authenticate(), Power.ADMINISTER)

    def denial(self, caller: Caller) -> Refusal:
        """What this caller hears where only administrators may go."""
        headers = self.request.headers
        presented = headers.get("Authorization"), headers.get("X-Api-Key")
        return self.services.accounts.denial(caller, *presented, self.address())


class AlsoHead(RequestHandler):
    """A handler that answers HEAD as it answers GET; tornado leaves the body out."""

    def head(self, *path: str) -> Any:
        return self.get(*path)


def dialect_of(request: HTTPServerRequest) -> Dialect:
    """Anthropic's on its own routes and to its SDKs, else OpenAI's."""
    anthropic = "/messages" in request.path or "/anthropic/" in request.path or "anthropic-version" in request.headers
    return ANTHROPIC if anthropic else OPENAI


def _refusal_of(status: int, error: BaseException | None) -> Refusal:
    if isinstance(error, Refusal):
        return error
    if isinstance(error, StoreError):
        return AccountingUnavailable()
    if status == 405:
        return MethodNotAllowed()
    if status == 404:
        return UnknownUrl()
    return InvalidJson() if 400 <= status < 500 else InternalError()
