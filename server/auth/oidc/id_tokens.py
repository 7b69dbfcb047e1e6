"""Whether a token is the provider's and meant for us (OpenID Connect Core 1.0, section 3.1.3.7).

The algorithms are the configured ones, never what a token asks for; the keys are the provider's published ones, never
what a token brings. Needed are exp, iat, iss, aud and sub; clocks may differ by 30 seconds. A signature that no known
key has made is reason to ask for the keys anew, and then to look once more: so keys that were exchanged are found,
with or without a name.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from typing import Any

import jwt
from jwt.types import Options

from server.auth.oidc.provider import IdentityProvider
from server.auth.oidc.provider_keys import PublicKey

LONGEST = 16 << 10  # characters of a token
LEEWAY_SECONDS = 30.0
LAST_SECOND = 1e12  # since 1970: a later time makes no sense, and below it no number breaks a comparison
LONGEST_SUBJECT = 255  # characters; what OpenID Connect allows
_OPTIONS: Options = {
    "require": ["exp", "iat", "iss", "aud", "sub"],
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
}
_ONLY_IN_ID_TOKENS = ("nonce", "at_hash", "c_hash")

Claims = Mapping[str, Any]


class TokenRefused(Exception):
    """A token is not to be believed; the text says why, without a word of the token."""


class Verifier:
    """Judges tokens of one provider for one client. `now` is seconds since 1970.

    All verbs raise TokenRefused, and Away if the provider's keys are not known.
    """

    def __init__(self, provider: IdentityProvider, client_id: str, algorithms: Sequence[str]) -> None:
        self._provider, self._client_id, self._algorithms = provider, client_id, tuple(algorithms)

    async def id_token(self, token: str, nonce: str, now: float) -> Claims:
        """The claims of an id token that came from a login which we began with this nonce."""
        claims = await self.verify(token, now)
        self._check_audience(claims)
        said = claims.get("nonce")
        if not isinstance(said, str) or not hmac.compare_digest(said.encode("utf-8", "replace"), nonce.encode()):
            raise TokenRefused("it belongs to another login")
        return claims

    async def bearer(self, token: str, now: float) -> Claims:
        """The claims of an id token, or of an access token, that a program presents."""
        claims = await self.verify(token, now)
        if is_id_token(claims) or (self._client_id not in _audiences(claims) and claims.get("azp") != self._client_id):
            self._check_audience(claims)
        return claims

    async def completed(self, claims: Claims, access_token: str) -> Claims:
        """The claims, and behind them what the userinfo endpoint says of the same person."""
        more = await self._provider.userinfo(access_token)
        if more is None:
            return claims
        if more.get("sub") != claims["sub"]:
            raise TokenRefused("the userinfo belongs to another person")
        return {**more, **claims}

    async def verify(self, token: str, now: float) -> Claims:
        """The claims, signed by the provider and of this time; for whom they are meant is not looked at."""
        header = _header(token)
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in self._algorithms or not isinstance(kid, (str, type(None))):
            raise TokenRefused("its algorithm is not among OIDC_ALGORITHMS")
        issuer = (await self._provider.metadata.get()).issuer
        for keys in (self._provider.keys.get, self._provider.keys.renewed):
            key = (await keys()).fitting(kid, algorithm)
            claims = _signed(token, key, algorithm, issuer) if key is not None else None
            if claims is not None:
                _check_times(claims, now)
                return claims
        raise TokenRefused("no key of the provider has signed it")

    def _check_audience(self, claims: Claims) -> None:
        audiences, azp = _audiences(claims), claims.get("azp")
        if self._client_id not in audiences:
            raise TokenRefused("it is meant for another client")
        if azp != self._client_id and (azp is not None or len(audiences) > 1):
            raise TokenRefused("it was issued to another client")


def _header(token: str) -> Mapping[str, Any]:
    if len(token) > LONGEST or not token.isascii():
        raise TokenRefused("it is too long, or no token at all")
    try:
        return jwt.get_unverified_header(token)
    except jwt.PyJWTError:
        raise TokenRefused("it is no signed token") from None


def _signed(token: str, key: PublicKey, algorithm: str, issuer: str) -> Claims | None:
    """The claims; None if this key has not signed them. Times are looked at by `_check_times`, at a time we know."""
    try:
        claims = jwt.decode(token, key, algorithms=[algorithm], issuer=issuer, options=_OPTIONS)
    except jwt.InvalidSignatureError:
        return None
    except jwt.PyJWTError as error:
        raise TokenRefused(f"its claims are not in order: {type(error).__name__}") from None
    subject = claims["sub"]
    if not 1 <= len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
        raise TokenRefused("its subject is no name")
    return claims


def _check_times(claims: Claims, now: float) -> None:
    expires, issued, begins = (_time(claims, name) for name in ("exp", "iat", "nbf"))
    if expires is None or issued is None or (begins is None and "nbf" in claims):
        raise TokenRefused("one of its times is no number")
    if now >= expires + LEEWAY_SECONDS:
        raise TokenRefused("it has expired")
    if issued > now + LEEWAY_SECONDS or (begins is not None and begins > now + LEEWAY_SECONDS):
        raise TokenRefused("it is of the future")


def _time(claims: Claims, name: str) -> float | None:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < LAST_SECOND:
        return None
    return float(value)


def is_id_token(claims: Claims) -> bool:
    """Keycloak says it; elsewhere it shows by what only a login brings. Its older access tokens have a nonce, too."""
    kind = claims.get("typ")
    return kind == "ID" or (kind != "Bearer" and any(name in claims for name in _ONLY_IN_ID_TOKENS))


def _audiences(claims: Claims) -> list[object]:
    audience = claims["aud"]
    return audience if isinstance(audience, list) else [audience]
