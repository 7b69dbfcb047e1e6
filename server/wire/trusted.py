"""Who is named by a header, where a header may be believed.

Within a closed network another service may authenticate people and pass their names on in `X-User`. Anybody else can
write that header, too. So only the address counts from which the request really came, and the header is believed only
if it stands there once.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

LONGEST_NAME = 64

Networks = Sequence[IPv4Network | IPv6Network]


def trusted_user(named: Sequence[str], address: str, networks: Networks) -> str | None:
    """The person whom a request's `X-User` headers name; None if they do not, or cannot be believed.

    `address` is the socket's, or what our own proxies noted; it must not be taken from anything the caller wrote.
    """
    if len(named) != 1 or not within(address, networks):
        return None
    name = named[0]
    return name if 1 <= len(name) <= LONGEST_NAME and name.isprintable() and name == name.strip() else None


def within(address: str, networks: Networks) -> bool:
    """Whether an address lies in one of the networks. An IPv4 address is the same when it is written as IPv6."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address):
        found = found.ipv4_mapped or found
    return any(found in network for network in networks if network.version == found.version)
