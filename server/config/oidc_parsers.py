"""The texts of the settings about logins. As in `parsers.py`, no mistake repeats what was given."""

from __future__ import annotations

import re

from server.config import parsers

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")

CALLBACK = "/callback"
_SCOPES = re.compile(r"[!#-\[\]-~]+( [!#-\[\]-~]+)*")


def issuer(value: str) -> str:
    """The provider's address, as it stands in its tokens but for a slash at the end."""
    return _secure(value).rstrip("/") if value else ""


def redirect_uris(value: str) -> tuple[str, ...]:
    """A comma list of our addresses as they are registered with the provider."""
    uris = tuple(map(_secure, parsers.words(value)))
    if not all(uri.endswith(CALLBACK) for uri in uris):
        raise ValueError(f"expected addresses that end in {CALLBACK}")
    return uris


def page(value: str) -> str:
    """The address of a page, exactly as it is registered."""
    return _secure(value) if value else ""


def scopes(value: str) -> str:
    if not _SCOPES.fullmatch(value) or "openid" not in value.split():
        raise ValueError("expected scopes with blanks between, and openid among them")
    return value


def algorithms(value: str) -> tuple[str, ...]:
    """Those that sign with a private key. A common secret (HS256) or none at all cannot be asked for."""
    names = parsers.words(value)
    if not names or not set(names) <= set(ALGORITHMS):
        raise ValueError(f"expected algorithms out of {', '.join(ALGORITHMS)}")
    return names


def claim(value: str) -> str:
    if not value.isprintable() or len(value) > 256:
        raise ValueError("expected the name of a claim")
    return value


def _secure(value: str) -> str:
    try:
        parsers.base_url(value)
    except ValueError:
        raise ValueError("expected an address such as https://id.example.org (http only for this machine)") from None
    return value
