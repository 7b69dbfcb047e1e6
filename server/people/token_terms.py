"""The terms of a token: which make sense, and which a request meets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from server.store.records import Terms
from server.wire.keepalive import CHOICES
from server.wire.trusted import within

Network = IPv4Network | IPv6Network

NORMAL, SPECIAL, TEMPORARY, GUEST = "normal", "special", "temporary", "guest"
KINDS = (NORMAL, SPECIAL, TEMPORARY)  # of tokens; a guest has a pass

MOST_ADDRESSES = 1_000
MOST_ENTRIES = 100  # models, networks
LONGEST_PATTERN = 256
SIGHT = 64  # bits of an IPv6 address that are looked at: the rest is the household's own, and changes daily


def checked_terms(terms: Terms, expires_at: int | None) -> Terms:
    """The terms as they are kept. `ValueError` says what makes no sense, without repeating it."""
    if terms.kind not in KINDS:
        raise ValueError("kind: expected one of " + ", ".join(KINDS))
    if terms.kind == TEMPORARY and expires_at is None:
        raise ValueError("a temporary token needs an expiry")
    if not 0 <= terms.addresses <= MOST_ADDRESSES:
        raise ValueError(f"addresses: expected a whole number from 0 to {MOST_ADDRESSES}")
    if terms.keepalive not in CHOICES:
        raise ValueError("keepalive: expected " + ", ".join(CHOICES[1:]) + " or nothing")
    models, networks = checked_models(terms.models), _checked_networks(terms.networks)
    return replace(terms, models=models, networks=networks)


def checked_models(patterns: Sequence[str]) -> tuple[str, ...]:
    """Models' names or patterns. `ValueError` for what is none."""
    fit = all(1 <= len(each) <= LONGEST_PATTERN and each.isprintable() and each == each.strip() for each in patterns)
    if not fit or len(patterns) > MOST_ENTRIES:
        raise ValueError("models: expected names of models such as gpt-4*")
    return tuple(patterns)


def in_networks(terms: Terms, address: str) -> bool:
    """Whether a request from this address may use the token, by its networks."""
    return not terms.networks or within(address, _parsed(terms.networks))


def place(address: str) -> str:
    """What is one address for the count of addresses: of IPv6 the network that a household has."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    mapped = found.ipv4_mapped
    return str(mapped) if mapped else str(ip_network((int(found) >> (128 - SIGHT) << (128 - SIGHT), SIGHT)))


def _checked_networks(networks: Sequence[str]) -> tuple[str, ...]:
    if len(networks) > MOST_ENTRIES:
        raise ValueError(f"networks: expected at most {MOST_ENTRIES}")
    try:
        return tuple(str(ip_network(each, strict=False)) for each in networks)
    except ValueError:
        raise ValueError("networks: expected addresses or networks such as 10.0.0.0/8") from None


@lru_cache(maxsize=4096)
def _parsed(networks: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ip_network(each) for each in networks)
