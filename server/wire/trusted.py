"""The person whom a header of a trusted proxy names.

Within a closed network another service may authenticate people and pass their names on in `X-User`. Any client can
write that header, too. So only the address counts from which the request really came, and the header is believed only
if it stands there once.

The address is what the outermost of our own proxies noted. Where it noted nothing that can be read the address is
unknown, and no network holds it: the proxy's own address, which is often a trusted one, never takes its place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

LONGEST_NAME = 64

UNKNOWN = "unknown"  # in place of an address
LONGEST_ADDRESS = 64  # characters; an IPv6 zone has no end
_WITH_PORT = re.compile(r"\[([^\]]*)\](?::\d{1,5})?|([\d.]+):\d{1,5}", re.ASCII)

Networks = Sequence[IPv4Network | IPv6Network]


def trusted_user(named: Sequence[str], address: str, networks: Networks) -> str | None:
    """The person whom a request's `X-User` headers name; None if they do not, or cannot be believed.

    `address` is the socket's, or what our own proxies noted; it must not be taken from anything the caller wrote.
    """
    if len(named) != 1 or not within(address, networks):
        return None
    name = named[0]
    return name if 1 <= len(name) <= LONGEST_NAME and name.isprintable() and name == name.strip() else None


def address_of(socket: str, noted: Sequence[str], hops: int) -> str:
    """The caller's address: of `X-Forwarded-For` the `hops`-th entry from the right; the socket's without proxies.

    `noted`: the header's values. Some proxies note a port behind the address. What is missing or unreadable is UNKNOWN.
    """
    if not hops:
        return socket
    entries = ",".join(noted).split(",")
    if len(entries) < hops or len(entry := entries[-hops].strip()) > LONGEST_ADDRESS:
        return UNKNOWN
    match = _WITH_PORT.fullmatch(entry)
    try:
        return str(ip_address(entry if match is None else match[1] or match[2]))
    except ValueError:
        return UNKNOWN


def within(address: str, networks: Networks) -> bool:
    """Whether an address lies in one of the networks. An IPv4 address is the same when it is written as IPv6."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address):
        found = found.ipv4_mapped or found
    return any(found in network for network in networks if network.version == found.version)
