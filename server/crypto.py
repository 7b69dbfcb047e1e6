"""Encryption of the texts that a browser or the store keeps for us and may neither read nor change.

All keys here are derived from the pepper, one for each purpose: a text that is sealed for one opens for no other.
"""

from __future__ import annotations

import base64

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def derived(pepper: bytes, purpose: str) -> bytes:
    """32 bytes for one purpose."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"fairgate: {purpose}".encode()).derive(pepper)


class Seal:
    """Encrypts and signs (Fernet: AES-128-CBC and HMAC-SHA256). Times are UTC milliseconds."""

    def __init__(self, pepper: bytes, purpose: str) -> None:
        self._fernet = Fernet(base64.urlsafe_b64encode(derived(pepper, purpose)))

    def close(self, content: bytes, now: int) -> bytes:
        """The content as ASCII that a cookie may hold."""
        return self._fernet.encrypt_at_time(content, now // 1000)

    def open(self, sealed: bytes, now: int, seconds: int) -> bytes | None:
        """The content, unless it was changed, sealed elsewhere or is older than `seconds`."""
        try:
            return self._fernet.decrypt_at_time(sealed, seconds, now // 1000)
        except InvalidToken:
            return None
