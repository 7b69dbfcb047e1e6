"""Requests with the caller's own key: `/byo/{provider}/...`, and where old routes are wanted any under `/v1/`.

They go the way of every relayed request. The differences: `X-Fairgate-Token` authenticates the caller, since the
credential beside it is the provider's; any method and any path below the provider's address passes; and the body goes
on as it came.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher

from server.auth.accounts import looks_like_token
from server.config.settings import Settings
from server.config.specs import Secret
from server.http.base import dialect_of
from server.http.relay import RelayHandler
from server.relay.context import Call
from server.store.base import Caller
from server.wire.errors import InvalidKey, UnknownUrl
from server.wire.own_keys import (
    GROUP_HEADER,
    OTHERS,
    REQUEST_HEADERS,
    OwnKey,
    OwnKeyProvider,
    endpoint_of,
    is_known,
    target,
)
from server.wire.request import Request, as_it_came, unread

TOKEN_HEADER = "X-Fairgate-Token"  # noqa: S105 - a header's name


class OwnKeyHandler(RelayHandler):
    """Passes a request through to one of the providers, which stand under their names."""

    def initialize(self, providers: Mapping[str, OwnKeyProvider]) -> None:  # type: ignore[override]  # what its route has
        super().initialize(OTHERS[dialect_of(self.request).name])
        self._providers = providers
        self._upstream = self._url = ""

    async def admit(self) -> None:
        """As for every relayed request, but for any method, after a look at where it goes. No limit counts it."""
        self._look_where()
        await self._admit()

    async def authenticate(self) -> Caller:
        """The caller by their gatekeeper token. One that is meant for us must never go to a provider."""
        if not brings_own_key(self.request, self.services.settings):
            raise InvalidKey
        token = self.request.headers.get(TOKEN_HEADER)
        presented = None if token is None else f"Bearer {token}"
        return await self.known_by(presented, None)

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
        provider = self._providers.get(name)
        url = target(provider.base_url, path, self.request.query) if provider is not None else None
        if provider is None or url is None:
            raise UnknownUrl
        self._upstream, self._url = provider.name, url
        self.endpoint = endpoint_of(path, str(self.request.method), provider.dialect)

    def _understood(self, body: bytes, content_type: str) -> Request:
        """A body that can be read here is read as strictly as every other: else no rule on what is sent would hold."""
        if not is_known(self.endpoint):
            return unread(self.endpoint, body, content_type)
        return as_it_came(super()._understood(body, content_type), body)

    def _call(self, request: Request) -> Call:
        found = self.request.headers
        headers = {name: found[name] for name in REQUEST_HEADERS if name in found}
        if request.content_type:
            headers["content-type"] = request.content_type  # what was read here is read there
        own_key = OwnKey(self._upstream, str(self.request.method), self._url, headers)
        return replace(super()._call(request), own_key=own_key)

    def _named_group(self) -> str | None:
        return self.request.headers.get(GROUP_HEADER)


class ForeignKey(Matcher):
    """The requests under `/v1/` that bring a provider's key, where `LEGACY_ROUTES` and `BYO_KEYS` are both on.

    Only with a token of the caller beside it, or where callers need none: else a mistyped token would go to a provider.
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
