"""Gatekeeper tokens as texts, and their ids.

A token is `fg_`, 32 random bytes in base64url (43 characters) and a checksum of 6 characters, so that a secret scanner
finds it by `TOKEN_PATTERN` and tells a real one from a look-alike without asking us. The checksum is no secret: it only
spares the store the look-up of what cannot be a token.

A token that is rotated leaves its place to one of the next id: `tok_1f2e`, `tok_1f2e-2`, `tok_1f2e-3`. Budgets and the
addresses that were seen belong to the first id of such a line. Else a new secret would be a new budget.
"""

from __future__ import annotations

import base64
import re
import secrets
import zlib

PREFIX = "fg_"
TOKEN_PATTERN = r"fg_[A-Za-z0-9_-]{49}"  # noqa: S105 - a pattern for secret scanners, not a secret
_TOKEN = re.compile(TOKEN_PATTERN)


def new_token() -> str:
    """A fresh token, from the operating system's randomness."""
    body = PREFIX + _base64url(secrets.token_bytes(32))
    return body + _checksum(body)


def looks_like_token(text: str) -> bool:
    """Whether this has a token's shape and checksum. It says nothing about whether it is known."""
    return _TOKEN.fullmatch(text) is not None and _checksum(text[:-6]) == text[-6:]


def hint(token: str) -> str:
    """The hint by which people recognise a token: its prefix and its last four characters."""
    return f"{PREFIX}…{token[-4:]}"


def new_id() -> str:
    """The id of a token that follows no other one."""
    return f"tok_{secrets.token_hex(8)}"


def next_id(token_id: str) -> str:
    """The id of the token that takes this one's place."""
    root, _, number = token_id.partition("-")
    return f"{root}-{int(number or 1) + 1}"


def budget_id(token_id: str) -> str:
    """The id by which the budgets of a token, and of all that took its place, are counted."""
    return token_id.partition("-")[0]


def _checksum(body: str) -> str:
    return _base64url(zlib.crc32(body.encode()).to_bytes(4, "big"))


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
