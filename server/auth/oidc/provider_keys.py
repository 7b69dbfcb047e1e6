"""The public keys with which a provider signs (RFC 7517).

What is no public key for a signature is left out: symmetric keys, private ones, keys for encryption, RSA below 2048
bits. A key is used with the algorithms of its own kind only, so that no token can turn a public key into a password.
`kid` is a key of a dictionary and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import InvalidKeyError, PyJWKError

from server.config.oidc_parsers import ALGORITHMS

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey
MOST = 100  # keys of a provider that are looked at
RSA_BITS = range(2048, 16_385)
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_OF_RSA = frozenset(name for name in ALGORITHMS if name[:2] in ("RS", "PS"))


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key, its name at the provider, and the algorithms that it may be used with."""

    kid: str | None
    algorithms: frozenset[str]
    key: PublicKey


class KeySet:
    """All keys of a provider."""

    def __init__(self, keys: Sequence[SigningKey]) -> None:
        self._keys = keys

    def __len__(self) -> int:
        return len(self._keys)

    def fitting(self, kid: str | None, algorithm: str) -> PublicKey | None:
        """The key of this name; without a name the only one there is for the algorithm."""
        usable = [each for each in self._keys if algorithm in each.algorithms and kid in (None, each.kid)]
        return usable[0].key if len(usable) == 1 else None


def key_set(document: Mapping[str, Any]) -> KeySet:
    """Read a key set as a provider publishes it; what cannot be used in it is left out."""
    entries = document.get("keys")
    read = [_signing_key(entry) for entry in entries[:MOST]] if isinstance(entries, list) else []
    return KeySet([each for each in read if each])


def _signing_key(entry: object) -> SigningKey | None:
    if not isinstance(entry, dict) or entry.get("kty") not in ("RSA", "EC", "OKP") or entry.get("use", "sig") != "sig":
        return None
    try:
        key = PyJWK(entry).key
    except (InvalidKeyError, PyJWKError, KeyError, TypeError, ValueError):  # a malformed key raises any of these
        return None
    kid, said = entry.get("kid"), entry.get("alg")
    algorithms = _algorithms_of(key) & ({said} if isinstance(said, str) else frozenset(ALGORITHMS))
    return SigningKey(kid if isinstance(kid, str) else None, algorithms, key) if algorithms else None


def _algorithms_of(key: object) -> frozenset[str]:
    """Those of the key's kind; none of what is no public key."""
    if isinstance(key, RSAPublicKey):
        return _OF_RSA if key.key_size in RSA_BITS else frozenset()
    if isinstance(key, EllipticCurvePublicKey):
        return frozenset(_CURVES.get(key.curve.name, "").split())
    return frozenset({"EdDSA"}) if isinstance(key, (Ed25519PublicKey, Ed448PublicKey)) else frozenset()
