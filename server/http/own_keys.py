"""Requests with the caller's own key: `/byo/{provider}/...`, and where old routes are wanted any under `/v1/`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher

from server.auth.accounts import looks_like_token
from server.config.settings import Settings
from server.config.specs import Secret
from server.http.base import Services, dialect_of
from server.http.refusals import hang_up
from server.http.relay import RelayHandler
from server.relay.context import ClientLeft
from server.relay.passthrough import (
    REQUEST_HEADERS,
    OwnKeyProvider,
    OwnKeyRelay,
    Passthrough,
    endpoint_of,
    institution,
    target,
)
from server.store.base import Caller
from server.wire.answers import Free
from server.wire.anthropic import ANTHROPIC
from server.wire.dialect import Dialect
from server.wire.endpoints import Endpoint
from server.wire.errors import AccountingUnavailable, InvalidKey, Refusal, UnknownUrl
from server.wire.openai import OPENAI

TOKEN_HEADER = "X-Fairgate-Token"  # noqa: S105 - a header's name
GROUP_HEADER = "X-Institution"


def _other(dialect: Dialect) -> Endpoint:
    """An endpoint of which nothing is known: its body is bounded like an upload."""
    return Endpoint(path="/byo", kind="other", dialect=dialect, meter=Free, required=(), media="multipart")


OTHERS = {dialect.name: _other(dialect) for dialect in (OPENAI, ANTHROPIC)}


class OwnKeyHandler(RelayHandler):
    """Passes a request through. Who asks is told by `X-Fairgate-Token`; the credential beside it is the provider's."""

    def initialize(self, services: Services, own_keys: OwnKeyRelay) -> None:  # type: ignore[override]  # another row
        super().initialize(services, OTHERS[dialect_of(self.request).name])
        self._own_keys = own_keys
        self._provider: OwnKeyProvider | None = None
        self._known: Endpoint | None = None
        self._url = ""

    async def admit(self) -> None:
        """As for every relayed request, but for any method, and after a look at where it goes."""
        self._look_where()
        await self._admit()

    async def authenticate(self) -> Caller:
        """The caller by their gatekeeper token. One that is meant for us must never go to a provider."""
        if not brings_own_key(self.request, self.services.settings):
            raise InvalidKey
        token = self.request.headers.get(TOKEN_HEADER)
        presented = None if token is None else f"Bearer {token}"
        return await self.known_by(presented, None)

    async def post(self) -> None:
        if self.services.reservations.full:
            raise AccountingUnavailable
        body = self.body()
        self._task = asyncio.current_task()
        try:
            row = await self._own_keys.serve(self._passage(body), self)
            self._model = row.model_asked
            if self.services.access_log is not None:
                self.services.access_log.observe(row)  # the gateway tells of rows with its own keys only
        except (asyncio.CancelledError, ClientLeft):
            self._left = True
            hang_up(self)
        except Refusal as refusal:
            await self._break_off(refusal)
        finally:
            self._task = None
            self.on_finish()

    async def get(self) -> None:
        await self.post()

    async def put(self) -> None:
        await self.post()

    async def patch(self) -> None:
        await self.post()

    async def delete(self) -> None:
        await self.post()

    def _look_where(self) -> None:
        """Find the provider and the whole address. Raises UnknownUrl."""
        name, path = where(self.request)
        provider = self._own_keys.providers.get(name)
        url = target(provider.base_url, path, self.request.query) if provider is not None else None
        if provider is None or url is None:
            raise UnknownUrl
        self._provider, self._url = provider, url
        self._known = endpoint_of(path, str(self.request.method))
        self.endpoint = self._known or OTHERS[provider.dialect.name]

    def _passage(self, body: bytes) -> Passthrough:
        assert self._provider is not None, "looked up in prepare"
        headers = self.request.headers
        return Passthrough(
            id=self.request_id,
            caller=self.caller,
            group=self._institution(),
            provider=self._provider,
            method=str(self.request.method),
            url=self._url,
            headers={name: headers[name] for name in REQUEST_HEADERS if name in headers},
            body=body,
            endpoint=self._known,
        )

    def _institution(self) -> str | None:
        """Who has a token names a group of their own; where nobody is asked for one, any that the operator knows."""
        book = self.services.book
        mine = book.rights(self.caller.groups, self.services.wall()).groups
        allowed = book.groups if self.caller.token_id is None else mine
        return institution(self.request.headers.get(GROUP_HEADER), mine, allowed)


class ForeignKey(Matcher):
    """The requests under `/v1/` that bring a provider's key, where `LEGACY_ROUTES` and `BYO_KEYS` are both on.

    Only if the caller is known beside it, or nobody needs to be: else a mistyped token would go to a provider.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        if not request.path.startswith("/v1/") or not brings_own_key(request, self._settings):
            return None
        return {} if TOKEN_HEADER in request.headers or self._settings.gatekeeper == "none" else None


def where(request: HTTPServerRequest) -> tuple[str, str]:
    """The provider's name and the path there, still encoded."""
    if not request.path.startswith("/byo/"):
        return dialect_of(request).name, request.path[1:]
    name, _, path = request.path.removeprefix("/byo/").partition("/")
    return name, path


def brings_own_key(request: HTTPServerRequest, settings: Settings) -> bool:
    """Whether there is a credential, and none of it is a secret of this gateway."""
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    key = request.headers.get("X-Api-Key", "")
    if scheme and (scheme.lower() != "bearer" or not bearer.strip()):
        return False
    presented = [each.strip() for each in (bearer, key) if each.strip()]
    return bool(presented) and not any(map(_ours(settings), presented))


def _ours(settings: Settings) -> Callable[[str], bool]:
    own = [each for each in (settings.admin_key, settings.proxy_key) if each is not None]
    return lambda presented: looks_like_token(presented) or Secret(presented) in own
