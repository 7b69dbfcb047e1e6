"""Which web pages may read our answers in a browser: cross-origin resource sharing, as the Fetch standard has it.

A browser sends a page's request to another host with the page's `Origin`, and shows the answer to the page only if the
answer names that origin. Before a request with `Authorization` it asks whether it may (the preflight, `OPTIONS`).
Programs that live in a web view (Obsidian, browser extensions) depend on it.

Cookies are no part of this: nothing here allows credentials, so a page can only use a token that it knows itself.
That an origin is allowed opens nothing by itself: what needs no token stays closed to every page of another site
(`sites.py`), and a blocked origin (`BLOCKED_ORIGINS`) is refused, but can read why.

A page of the public web that asks for a private address asks for that, too (Private Network Access); some browsers
have another way for it, and then never ask.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

ANY = "*"
UNDER = "://*."  # in the name of all hosts below one
LONGEST_ORIGIN = 300  # characters: a host has 253 at most
METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
EXPOSED = "Retry-After, X-Request-Id, Request-Id, X-Queue-Wait-Ms, X-Queue-Position, *"
REMEMBERED_SECONDS = 600  # how long a browser need not ask again; most allow no more

NEVER = frozenset({"x-user"})  # believed from some networks: a page in a browser there may not use that
LONGEST = 2_000  # characters of the names of headers

_HEADERS = re.compile(r"[A-Za-z0-9_-]+(?: ?, ?[A-Za-z0-9_-]+)*")


@dataclass(frozen=True, slots=True)
class Sharing:
    """The origins that may read: `https://name:port` in lower case, or `*` for all.

    `below`: ends of hosts with what stands before and behind them, for `https://*.example.edu`.
    """

    origins: frozenset[str] = frozenset()
    below: tuple[re.Pattern[str], ...] = ()

    @classmethod
    def of(cls, origins: Iterable[str]) -> Self:
        named = frozenset(origin.lower() for origin in origins)
        stars = {origin for origin in named if UNDER in origin}
        return cls(named - stars, tuple(map(_hosts_below, sorted(stars))))

    def headers(self, origin: str | None) -> Mapping[str, str]:
        """The CORS headers of every answer to a request of this origin."""
        if not self.origins and not self.below:
            return {}
        varies = {"Vary": "Origin"}  # also where it is not allowed: a cache must not give that answer to others
        if origin is None or not self._allows(origin):
            return varies
        return {**varies, "Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": EXPOSED}

    def preflight(
        self, origin: str | None, method: str | None, names: str, *, private: bool = False
    ) -> Mapping[str, str] | None:
        """The headers of the answer to a browser that asks first; None if this is no such question, or may not be.

        `private`: it asks for a page of the public web, and this is a private address.
        """
        if origin is None or method is None or not self._allows(origin):
            return None
        allowed = {"Access-Control-Allow-Methods": METHODS, "Access-Control-Max-Age": str(REMEMBERED_SECONDS)}
        if private:
            allowed["Access-Control-Allow-Private-Network"] = "true"
        # A star would not stand for Authorization, so the names that were asked for are repeated.
        if len(names) <= LONGEST and _HEADERS.fullmatch(names):
            listed = (name.strip() for name in names.split(","))
            allowed["Access-Control-Allow-Headers"] = ", ".join(name for name in listed if name.lower() not in NEVER)
        return allowed

    def _allows(self, origin: str) -> bool:
        if not origin.isascii() or len(origin) > LONGEST_ORIGIN:
            return False
        name = origin.lower()
        return ANY in self.origins or name in self.origins or any(below.fullmatch(name) for below in self.below)


def _hosts_below(origin: str) -> re.Pattern[str]:
    """What every origin matches that has further names in the place of the star, and is the same otherwise."""
    before, _, behind = origin.partition("*")
    return re.compile(rf"{re.escape(before)}[a-z0-9_-]+(?:\.[a-z0-9_-]+)*{re.escape(behind)}")
