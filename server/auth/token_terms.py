"""The terms of a token: which make sense, and which a request meets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from server.store.records import Token, TokenTerms
from server.wire.keepalive import CHOICES
from server.wire.trusted import within
from web.wording import Wording

Network = IPv4Network | IPv6Network

NORMAL, SPECIAL, TEMPORARY, GUEST = "normal", "special", "temporary", "guest"
KINDS = (NORMAL, SPECIAL, TEMPORARY)  # of tokens; a guest has a pass

MOST_ADDRESSES = 1_000
MOST_ENTRIES = 100  # models, networks
LONGEST_PATTERN = 256
SIGHT = 64  # bits of an IPv6 address that are looked at: the rest is the household's own, and changes daily


def checked_terms(terms: TokenTerms, expires_at: int | None) -> TokenTerms:
    """The terms as they are kept. `ValueError` says what makes no sense, without repeating it."""
    if terms.kind not in KINDS:
        raise ValueError("kind: expected one of " + ", ".join(KINDS))
    if terms.kind == TEMPORARY and expires_at is None:
        raise ValueError(Wording("a temporary token needs an expiry"))
    if not 0 <= terms.addresses <= MOST_ADDRESSES:
        raise ValueError(
            Wording("addresses: expected a whole number from 0 to %(most_addresses)s", most_addresses=MOST_ADDRESSES)
        )
    if terms.keepalive not in CHOICES:
        raise ValueError("keepalive: expected " + ", ".join(CHOICES[1:]) + " or nothing")
    models, networks = checked_models(terms.models), _checked_networks(terms.networks)
    return replace(terms, models=models, networks=networks)


def checked_models(patterns: Sequence[str]) -> tuple[str, ...]:
    """Models' names or patterns. `ValueError` for what is none."""
    fit = all(1 <= len(each) <= LONGEST_PATTERN and each.isprintable() and each == each.strip() for each in patterns)
    if not fit or len(patterns) > MOST_ENTRIES:
        raise ValueError(Wording("models: expected names of models such as gpt-4*"))
    return tuple(patterns)


def narrowed(token: Token, wanted: Mapping[str, Any], now: int) -> Token:
    """A token with other terms and another end, none of them wider. `ValueError` names what would be.

    `wanted`: any of the fields of `TokenTerms`, and `expires_at` (UTC milliseconds).
    """
    expires_at = wanted.get("expires_at", token.expires_at)
    named = {name: value for name, value in wanted.items() if name != "expires_at"}
    new, old = checked_terms(replace(token.terms, **named), expires_at), token.terms
    if expires_at != token.expires_at and not (expires_at and now < expires_at and _sooner(expires_at, token)):
        raise ValueError(Wording("expires_at: expected a time to come, and none after the end that the token has"))
    if new.kind != old.kind and (new.kind == SPECIAL or (old.kind, new.kind) == (TEMPORARY, NORMAL)):
        raise ValueError(Wording("kind: expected one that is no freer"))
    if old.models and not (new.models and all(_is_among(each, old.models) for each in new.models)):
        raise ValueError(Wording("models: expected some of those that the token has"))
    if old.networks and not (new.networks and all(_is_inside(each, old.networks) for each in new.networks)):
        raise ValueError(Wording("networks: expected parts of those that the token has"))
    if old.addresses and not 0 < new.addresses <= old.addresses:
        raise ValueError(Wording("addresses: expected no more than the token has"))
    return replace(token, terms=new, expires_at=expires_at)


def in_networks(terms: TokenTerms, address: str) -> bool:
    """Whether a request from this address may use the token, by its networks."""
    return not terms.networks or within(address, _parsed(terms.networks))


def place(address: str) -> str:
    """The unit by which addresses are counted: an IPv4 address, or the IPv6 network of one household."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    mapped = found.ipv4_mapped
    return str(mapped) if mapped else str(ip_network((int(found) >> (128 - SIGHT) << (128 - SIGHT), SIGHT)))


def _sooner(expires_at: int, token: Token) -> bool:
    return token.expires_at is None or expires_at <= token.expires_at


def _is_among(pattern: str, patterns: Sequence[str]) -> bool:
    """Whether all that a pattern fits, fits one of these. Where that is not plain to see, it must be the same one.

    A star of the one is a letter like any other for the other, whose stars hold it; a set or a question mark is not.
    """
    if pattern in patterns:
        return True
    plain = [each for each in patterns if not set(each) & set("?[")]
    return "[" not in pattern and any(fnmatchcase(pattern, each) for each in plain)


def _is_inside(network: str, networks: Sequence[str]) -> bool:
    inner = ip_network(network)
    return any(
        inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]  # of one version
        for outer in _parsed(tuple(networks))
    )


def _checked_networks(networks: Sequence[str]) -> tuple[str, ...]:
    if len(networks) > MOST_ENTRIES:
        raise ValueError(Wording("networks: expected at most %(most_entries)s", most_entries=MOST_ENTRIES))
    try:
        return tuple(str(ip_network(each, strict=False)) for each in networks)
    except ValueError:
        raise ValueError(Wording("networks: expected addresses or networks such as 10.0.0.0/8")) from None


@lru_cache(maxsize=4096)
def _parsed(networks: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ip_network(each) for each in networks)
