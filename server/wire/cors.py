"""Which web pages may read our answers in a browser: cross-origin resource sharing, as the Fetch standard has it.

A browser sends a page's request to another host with the page's `Origin`, and shows the answer to the page only if the
answer names that origin. Before a request with `Authorization` it asks whether it may (the preflight, `OPTIONS`).
Programs that live in a web view (Obsidian, browser extensions) depend on it.

Cookies are no part of this: nothing here allows credentials, so a page can only use a token that it knows itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

ANY = "*"
METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
EXPOSED = "Retry-After, X-Request-Id, Request-Id, X-Queue-Wait-Ms, X-Queue-Position, *"
REMEMBERED_SECONDS = 600  # how long a browser need not ask again; most allow no more

NEVER = frozenset({"x-user"})  # believed from some networks: a page in a browser there may not use that
LONGEST = 2_000  # characters of the names of headers

_HEADERS = re.compile(r"[A-Za-z0-9_-]+(?: ?, ?[A-Za-z0-9_-]+)*")


@dataclass(frozen=True, slots=True)
class Sharing:
    """The origins that may read: `https://name:port` in lower case, or `*` for all."""

    origins: frozenset[str] = frozenset()

    @classmethod
    def of(cls, origins: Iterable[str]) -> Self:
        return cls(frozenset(origin.lower() for origin in origins))

    def headers(self, origin: str | None) -> Mapping[str, str]:
        """The CORS headers of every answer to a request of this origin."""
        if not self.origins:
            return {}
        varies = {"Vary": "Origin"}  # also where it is not allowed: a cache must not give that answer to others
        if origin is None or not self._allows(origin):
            return varies
        return {**varies, "Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": EXPOSED}

    def preflight(self, origin: str | None, method: str | None, names: str) -> Mapping[str, str] | None:
        """The headers of the answer to a browser that asks first; None if this is no such question, or may not be."""
        if origin is None or method is None or not self._allows(origin):
            return None
        allowed = {"Access-Control-Allow-Methods": METHODS, "Access-Control-Max-Age": str(REMEMBERED_SECONDS)}
        # A star would not stand for Authorization, so the names that were asked for are repeated.
        if len(names) <= LONGEST and _HEADERS.fullmatch(names):
            listed = (name.strip() for name in names.split(","))
            allowed["Access-Control-Allow-Headers"] = ", ".join(name for name in listed if name.lower() not in NEVER)
        return allowed

    def _allows(self, origin: str) -> bool:
        return bool(self.origins) and origin.isascii() and (ANY in self.origins or origin.lower() in self.origins)
