"""The base of all handlers: authentication and rights of the caller, and refusals in the caller's dialect."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Mapping
from functools import lru_cache
from itertools import count
from typing import Any, Generic

from tornado.httputil import HTTPServerRequest, format_timestamp
from tornado.web import Application, HTTPError, RequestHandler

from server.auth.accounts import EVERYONE
from server.http.receiving import ReceivingHandler
from server.http.services import S
from server.http.transport.headers import Headers
from server.policy.authority import Power
from server.store.base import Caller, StoreError
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
from server.wire.openai import OPENAI
from server.wire.sites import is_from_elsewhere, is_own_name
from server.wire.trusted import address_of, trusted_user

log = logging.getLogger("fairgate")

CREDENTIALS = ("Authorization", "X-Api-Key", "Api-Key")

PRIVATE = "Access-Control-Request-Private-Network"
# A request's id names it and opens nothing, so it need not be guessed at random each time: a start's own, and a number.
_START = secrets.token_hex(8)
_NUMBERS = count(1)


class BaseHandler(ReceivingHandler, Generic[S]):
    """A handler of a group. Refusals are raised anywhere and written here, in the dialect of the route.

    `needs`: the power that a credential needs, for each method that the route has; None for a public one.
    Where `needs` itself is None, the handler authenticates by itself.
    """

    services: S
    request_id: str
    guests = False  # whether a caller with a guest pass may use this
    shared = True  # with the web pages of ALLOWED_ORIGINS
    _headers: Headers
    _admitted: Caller | None = None
    _address: str | None = None

    def __init__(
        self,
        application: Application,
        request: HTTPServerRequest,
        *,
        services: S,
        needs: Mapping[str, Power | None] | None = None,
        **row: Any,
    ) -> None:
        self.services, self.needs = services, needs
        super().__init__(application, request, **row)

    @classmethod
    def answers(cls, row: Mapping[str, Any]) -> set[str]:
        """The methods that a route of this handler answers. `row`: what the route gives it beside its services.

        HEAD is none of its own: it is GET without the body.
        """
        absent = RequestHandler._unimplemented_method
        return {name for name in cls.SUPPORTED_METHODS if name != "HEAD" and getattr(cls, name.lower()) is not absent}

    async def admit(self) -> None:
        """Authenticate the caller, as the table of routes wants it.

        Raises InvalidKey, PermissionDenied, RateLimited, AccountingUnavailable, MethodNotAllowed.
        """
        if self.needs is None:
            return
        method = str(self.request.method).replace("HEAD", "GET")
        if method not in self.needs:
            raise MethodNotAllowed
        if (power := self.needs[method]) is not None:
            await self.insist(power)

    async def insist(self, power: Power) -> None:
        """Raises InvalidKey, PermissionDenied, RateLimited, AccountingUnavailable for a caller who may not do this."""
        self.insist_on(await self.authenticate(), power)

    def clear(self) -> None:
        """As in Tornado, which makes headers of its own and spells the date anew for each answer."""
        # Called at each request's start and again before an error is written: the id must stay the same.
        if not hasattr(self, "request_id"):
            self.request_id = f"req_{_START}{next(_NUMBERS):08x}"
        self._headers = Headers(
            {
                "Content-Type": ["text/html; charset=UTF-8"],
                "Date": [_date(int(time.time()))],
                "X-Request-Id": [self.request_id],  # where OpenAI's SDK looks for it
                "Request-Id": [self.request_id],  # and Anthropic's
                "X-Content-Type-Options": ["nosniff"],
            }
        )
        if self.services.lifecycle.retiring:
            self._headers["Connection"] = "close"
        self.set_default_headers()
        self._write_buffer: list[bytes] = []
        self._status_code, self._reason = 200, "OK"

    def set_default_headers(self) -> None:
        if self.shared:
            for name, value in self._sharing.headers(self.request.headers.get("Origin")).items():
                self.set_header(name, value)

    @property
    def _sharing(self) -> Sharing:
        """The one object of the application."""
        sharing = self.settings["sharing"]
        assert isinstance(sharing, Sharing), "set where the application is made"
        return sharing

    def preflight(self) -> bool:
        """Answer a browser that asks whether a page may use this; False if there is no such question."""
        headers = self.request.headers
        if self.request.method != "OPTIONS" or not self.shared:
            return False
        asked = headers.get("Access-Control-Request-Headers", "")
        method, private = headers.get("Access-Control-Request-Method"), PRIVATE in headers
        sharing = self._sharing.preflight(headers.get("Origin"), method, asked, private=private)
        if sharing is None:
            return False
        self.set_status(204)
        for name, value in sharing.items():
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
        """Count a refusal that is answered."""
        if self.services.metrics is not None:
            self.services.metrics.refused(refusal.code)

    def allowed(self) -> list[str]:
        """The methods that this handler answers."""
        absent = RequestHandler._unimplemented_method
        named = [name for name in self.SUPPORTED_METHODS if getattr(type(self), name.lower()) is not absent]
        return [name for name in named if self.needs is None or name.replace("HEAD", "GET") in self.needs]

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
        """The caller's address, or a word for "unknown". A request's head does not change, so it is found out once."""
        if self._address is None:
            noted = self.request.headers.get_list("X-Forwarded-For")
            hops = self.services.settings.trusted_proxy_hops
            self._address = address_of(str(self.request.remote_ip), noted, hops)
        return self._address

    async def authenticate(self) -> Caller:
        """The caller, found once. A name in `X-User` counts where that is trusted, and only without a credential.

        A person's own data is not shown to their guests. Raises InvalidKey, RateLimited, PermissionDenied.
        """
        if self._admitted is None:
            self._admitted = await self._recognised()
        return self._admitted

    async def _recognised(self) -> Caller:
        headers, networks = self.request.headers, self.services.settings.user_header_networks
        if networks and not is_credited(headers):
            name = trusted_user(headers.get_list("X-User"), self.address(), networks)
            if name is not None:
                self.insist_on_own_site()
                return self.insist_on(await self.services.accounts.person_named(name), self.needed)
        return await self.known_by(*presented(headers))

    async def known_by(self, authorization: str | None, api_key: str | None) -> Caller:
        """The caller who presents these two headers, if that is enough here. Raises as `authenticate`."""
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
        """The power that a credential needs here."""
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
        """The refusal for this caller where only administrators may go."""
        return self.services.accounts.denial(caller, *presented(self.request.headers), self.address())


def is_credited(headers: Mapping[str, str]) -> bool:
    """Whether a request presents a credential, good or bad."""
    return any(name in headers for name in CREDENTIALS)


def presented(headers: Mapping[str, str]) -> tuple[str | None, str | None]:
    """The whole `Authorization`, and the key of a header of its own: Anthropic's name for it, or Azure's.

    Where the two names say different keys, none of them counts: the first is then empty, which is no bearer.
    """
    key, azure = headers.get("X-Api-Key"), headers.get("Api-Key")
    if key is not None and azure is not None and key != azure:
        return "", None
    return headers.get("Authorization"), azure if key is None else key


@lru_cache(1)
def _date(second: int) -> str:
    """Hundreds of answers have the same one."""
    return format_timestamp(second)


class AlsoHead(RequestHandler):
    """A handler that answers HEAD as it answers GET; tornado leaves the body out."""

    def head(self, *path: str) -> Any:
        return self.get(*path)


def dialect_of(request: HTTPServerRequest) -> Dialect:
    """Anthropic's on its own routes and to its SDKs, else OpenAI's."""
    path = request.path
    messages = "/messages" in path and "/threads/" not in path  # OpenAI's threads have messages, too
    anthropic = messages or "/anthropic/" in path or "anthropic-version" in request.headers
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
