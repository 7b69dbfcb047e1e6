"""Where a request goes: the server and what it is asked for, read from an absolute URL.

An `Origin` (RFC 6454) is what a connection can be shared for: scheme, host and port. Hosts are kept as they are asked
for in DNS: lower case, in ASCII, an IPv6 address without its brackets.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

PORTS = {"http": 80, "https": 443}
_URL = re.compile(r"(https?)://([^/?#@\\\s\x00-\x20\x7f]+)((?:[/?][!\"$-~]*)?)")  # no space, no control, no fragment


class Origin(NamedTuple):
    """A server. `secure`: by TLS."""

    secure: bool
    host: str
    port: int

    @property
    def authority(self) -> str:
        """As the Host header names it: without the scheme's own port."""
        return self.host_in_url if self.port == (443 if self.secure else 80) else self.host_and_port

    @property
    def host_and_port(self) -> str:
        """As CONNECT names it."""
        return f"{self.host_in_url}:{self.port}"

    @property
    def host_in_url(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


class Target(NamedTuple):
    """A server, and path and query on it, encoded."""

    origin: Origin
    path: str


def target_of(url: str) -> Target:
    """Read an absolute, encoded URL of http or https. Raises ValueError; a fragment or a credential in it is one."""
    found = _URL.fullmatch(url)
    if found is None:
        raise ValueError("expected an absolute, encoded URL of http or https")
    scheme, server, path = found.groups()
    return Target(_origin(scheme, server), path if path.startswith("/") else f"/{path}")


@lru_cache(maxsize=256)  # of servers alone: a path or a query may hold what is not to be kept
def _origin(scheme: str, server: str) -> Origin:
    parts = urlsplit(f"{scheme}://{server}")
    if not parts.hostname:
        raise ValueError("expected the name of a server")
    host = parts.hostname if parts.hostname.isascii() else parts.hostname.encode("idna").decode()
    return Origin(scheme == "https", host, parts.port or PORTS[scheme])
