"""The identity of a store: the secrets that its contents depend on, and whether it has ever had real upstreams.

A store and the settings belong together, and either may be lost alone. A start with the wrong ones looks like any
other: tokens stop working, keys cannot be read, or a demo answers over the real ledger. So the store keeps a record of
its last start, and `contradiction` names the difference that does harm:

    the pepper     is another one, while the store holds tokens: none of them would work
    MASTER_KEYS    are other ones, and not one of the added keys can be decrypted
    the upstreams  are gone, and nothing but that starts the demo

A difference that changes nothing for the contents is no contradiction: another pepper before the first token, a new
master key in front of the old one, a demo that becomes real. The record has fingerprints, from which no secret can be
had back: the secrets have a least strength. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from server.crypto import derived

KIND, ID = "identity", "store"  # of the record
PURPOSE = "whose store"

OTHER_PEPPER = (
    "the tokens in this store were made under another pepper and none of them would work: put TOKEN_PEPPER or the file "
    "*.pepper beside the database back as it was; if it is lost, run `python -m server store adopt` and make new tokens"
)
OTHER_MASTER = (
    "this store holds upstream keys, and MASTER_KEYS decrypts none of them: put the old value back, behind a new one "
    "if there is one (MASTER_KEYS=new,old); if it is lost, remove these keys with `python -m server key remove` and "
    "add them anew"
)
NO_UPSTREAM = (
    "this store has served upstreams of yours, and none is named now, so the demo would answer in their place: put "
    "OPENAI_KEY, ANTHROPIC_KEY or UPSTREAMS_FILE back into .env, or say DEMO=on or DEMO=off if this is what you want"
)


class ForeignStoreError(Exception):
    """The settings are not those of this store; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The settings of a store's last start: fingerprints, and whether upstreams were ever named."""

    pepper: str
    masters: tuple[str, ...]
    real: bool


@dataclass(frozen=True, slots=True)
class Holdings:
    """The contents of a store that depend on secrets: whether a token may still work, and its added keys."""

    tokens: bool
    keys: bool
    readable: bool  # at least one of the keys can be decrypted


def fingerprint(secret: bytes) -> str:
    """16 hexadecimal digits that are the same for the same secret."""
    return derived(secret, PURPOSE).hex()[:16]


def contradiction(known: Identity | None, now: Identity, holds: Holdings, *, demo_unasked: bool) -> str | None:
    """The harmful difference, with its remedy, or None. `demo_unasked`: the demo starts for want of upstreams."""
    if known is not None and known.pepper != now.pepper and holds.tokens:
        return OTHER_PEPPER
    if holds.keys and not holds.readable and (known is None or known.masters != now.masters):
        return OTHER_MASTER
    if known is not None and known.real and demo_unasked:
        return NO_UPSTREAM
    return None


def identity_body(identity: Identity) -> dict[str, Any]:
    """The record's body."""
    return {**asdict(identity), "masters": list(identity.masters)}


def identity_of(body: Mapping[str, Any]) -> Identity:
    """The identity of a record. Raises ValueError if the record has none."""
    pepper, masters, real = body.get("pepper"), body.get("masters"), body.get("real")
    if not isinstance(pepper, str) or not isinstance(masters, list | tuple) or not isinstance(real, bool):
        raise ValueError("expected the identity of a store")
    return Identity(pepper, tuple(map(str, masters)), real)
