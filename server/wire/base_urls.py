"""Wrong base URLs: the path that a client means whose address has a piece too many.

SDKs put their own path behind the base URL that a person has typed, and people type it with a `/v1` that the SDK adds
itself, with a slash at the end, or with the prefix that another gateway has. Such a path says clearly what is meant, so
it is served. One whose `/v1` is missing is not: then the base URL is wrong for everything else, too, and the 404 says
what it should be.
"""

from __future__ import annotations

import re

_SLASHES = re.compile(r"/{2,}")
_PREFIX = re.compile(r"(?:/proxy)?/(openai|anthropic)(?=/v1/)")
_TWICE = re.compile(r"\A(?:/v1)+(?=/v1/)")


def meant(path: str) -> str | None:
    """The path that is meant by one that leads nowhere; None where there is no such reading.

    meant("/v1/v1/models/")  ->  "/v1/models"
    """
    plain = _SLASHES.sub("/", path).rstrip("/")
    prefix = _PREFIX.match(plain)
    rest = plain if prefix is None else plain[prefix.end() :]
    rest = _TWICE.sub("", rest)
    if not rest.startswith("/v1/"):
        return None
    right = rest if prefix is None else f"/proxy/{prefix[1]}{rest}"
    return None if right == path else right
