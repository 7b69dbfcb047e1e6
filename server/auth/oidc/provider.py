"""The identity provider on the network: what it says of itself, its keys, and two questions about a login.

This is the only module that opens sockets to it: over https (http only within this machine), without redirects,
cookies or compression, at most 256 KiB and five seconds an answer. What it says of itself is kept for an hour, its keys
too; an unknown key makes us ask for them again, at most once in 30 seconds.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlsplit

from server.auth.oidc.provider_keys import KeySet, key_set
from server.config.parsers import is_loopback
from server.config.specs import Secret
from server.httpclient.addresses import target_of
from server.httpclient.egress import DIRECTLY, Egress
from server.single_flight import Away, RefreshedValue

if TYPE_CHECKING:
    import aiohttp

LARGEST = 256 << 10  # bytes of an answer
PATIENCE_SECONDS = 5.0  # for a whole answer
FRESH_SECONDS = 3600.0
KEYS_PAUSE_SECONDS = 30.0
METADATA_PAUSE_SECONDS = 5.0
WELL_KNOWN = "/.well-known/openid-configuration"


class CodeRefused(Exception):
    """The provider does not take the code of a login."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """A provider's metadata (OpenID Connect Discovery 1.0)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    secret_in_body: bool = False  # `client_secret_post`, where `client_secret_basic` is not spoken
    names_itself: bool = False  # in the answer to a login (RFC 9207)


class IdentityProvider:
    """One provider, and us as its client. `secret` None: a public client, which PKCE alone protects."""

    def __init__(
        self,
        issuer: str,
        client_id: str,
        secret: Secret | None,
        clock: Callable[[], float],
        patience: float = PATIENCE_SECONDS,
        egress: Egress = DIRECTLY,
    ) -> None:
        self.issuer, self._client_id, self._secret = issuer, client_id, secret
        self._egress = egress
        # Where there is no provider this library is never read: it is a tenth of a start.
        from aiohttp import ClientTimeout

        self._patience = ClientTimeout(total=patience)
        self.metadata = RefreshedValue(self._metadata, clock, pause=METADATA_PAUSE_SECONDS, fresh=FRESH_SECONDS)
        self.keys = RefreshedValue(self._keys, clock, pause=KEYS_PAUSE_SECONDS, fresh=FRESH_SECONDS)
        self._session: aiohttp.ClientSession | None = None

    async def exchange(self, code: str, verifier: str, redirect_uri: str) -> dict[str, Any]:
        """The tokens for a code. Raises CodeRefused, Away."""
        metadata = await self.metadata.get()
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        form |= {"code_verifier": verifier}
        headers = {}
        if self._secret is None or metadata.secret_in_body:
            form["client_id"] = self._client_id
        if self._secret is not None and metadata.secret_in_body:
            form["client_secret"] = self._secret.reveal()
        elif self._secret is not None:
            # RFC 6749 section 2.3.1: both are form-encoded first.
            pair = f"{quote_plus(self._client_id)}:{quote_plus(self._secret.reveal())}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        status, answer = await self._ask("POST", metadata.token_endpoint, headers, form)
        if 400 <= status < 500:
            raise CodeRefused
        return _document(status, answer, "the token endpoint")

    async def userinfo(self, access_token: str) -> dict[str, Any] | None:
        """The provider's claims of the person of this token; None if it gives none. Raises Away."""
        endpoint = (await self.metadata.get()).userinfo_endpoint
        if endpoint is None:
            return None
        status, answer = await self._ask("GET", endpoint, {"Authorization": f"Bearer {access_token}"})
        return None if 400 <= status < 500 else _document(status, answer, "the userinfo endpoint")

    async def close(self) -> None:
        await self.keys.close()
        await self.metadata.close()
        if self._session is not None:
            await self._session.close()

    async def _metadata(self) -> Metadata:
        status, answer = await self._ask("GET", self.issuer.rstrip("/") + WELL_KNOWN)
        return metadata_of(_document(status, answer, "the discovery document"), self.issuer)

    async def _keys(self) -> KeySet:
        status, answer = await self._ask("GET", (await self.metadata.get()).jwks_uri)
        keys = key_set(_document(status, answer, "the key set"))
        if not keys:
            raise Away("the key set holds no key that can be used")
        return keys

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, form: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and body. The address came from the provider, over https: it may lead wherever the provider says."""
        from aiohttp import ClientError

        plain = {"Accept": "application/json", "Accept-Encoding": "identity", **(headers or {})}
        try:
            asking = self._client().request(
                method, url, headers=plain, data=form, allow_redirects=False, ssl=self._egress.tls, **self._proxy(url)
            )
            async with asking as answer:
                body = bytearray()
                async for piece in answer.content.iter_any():
                    body += piece
                    if len(body) > LARGEST:
                        raise Away("an answer is too large")
                return answer.status, bytes(body)
        except TimeoutError:
            raise Away("it did not answer in time") from None
        except (ClientError, OSError, ValueError) as error:
            raise Away(f"it cannot be reached: {type(error).__name__}") from None

    def _proxy(self, url: str) -> dict[str, Any]:
        """What aiohttp is to know of the proxy, where there is one."""
        proxy = self._egress.proxies.of(target_of(url).origin)
        if proxy is None:
            return {}
        credential = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
        return {"proxy": proxy.url, "proxy_headers": credential}

    def _client(self) -> aiohttp.ClientSession:
        from aiohttp import ClientSession, DummyCookieJar

        if self._session is None:
            self._session = ClientSession(timeout=self._patience, cookie_jar=DummyCookieJar(), auto_decompress=False)
        return self._session


def metadata_of(document: Mapping[str, Any], issuer: str) -> Metadata:
    """Read a discovery document. Raises Away if it is another issuer's, or lacks what a login needs."""
    said = document.get("issuer")
    if not isinstance(said, str) or said.rstrip("/") != issuer.rstrip("/"):
        raise Away("the discovery document is of another issuer than OIDC_ISSUER")
    urls = {name: url for name, url in document.items() if _is_safe(url)}
    if not urls.keys() >= {"authorization_endpoint", "token_endpoint", "jwks_uri"}:
        raise Away("the discovery document lacks an endpoint, or names one without https")
    methods = document.get("token_endpoint_auth_methods_supported")
    return Metadata(
        issuer=said,
        authorization_endpoint=urls["authorization_endpoint"],
        token_endpoint=urls["token_endpoint"],
        jwks_uri=urls["jwks_uri"],
        userinfo_endpoint=urls.get("userinfo_endpoint"),
        end_session_endpoint=urls.get("end_session_endpoint"),
        secret_in_body=isinstance(methods, list)
        and "client_secret_basic" not in methods
        and "client_secret_post" in methods,
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _is_safe(url: object) -> bool:
    """Whether this is an https address, or one within this machine."""
    if not isinstance(url, str) or not url.isprintable():
        return False
    try:
        parts = urlsplit(url)
        _ = parts.port  # reading it checks it
    except ValueError:
        return False
    host = parts.hostname or ""
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))


def _document(status: int, body: bytes, what: str) -> dict[str, Any]:
    if status != 200:
        raise Away(f"{what} has the status {status}")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise Away(f"{what} is no JSON object")
    return document
