"""Encryption of upstream keys that were added at run time: they are kept encrypted, and only here are they opened.

    MASTER_KEYS=new,old        the first one encrypts, all of them decrypt

A master key is any text of 32 characters or more, taken from a random source: `python -m server key new-master` prints
one. A Fernet key is such a text, too. The 32 bytes that Fernet wants are derived from the text by HKDF-SHA256, which
does not slow down a guess: a sentence out of a book is no master key.

To change it without a pause: put the new one in front and start the gateways anew, one after the other; run
`python -m server key rotate-master`; then take the old one away. A gateway goes on using keys that it has opened.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from server.config.specs import Secret
from server.policy.commands import CommandError
from web.wording import Wording

PURPOSE = b"fairgate: upstream keys"
NO_MASTER = Wording("upstream keys are stored encrypted, and MASTER_KEYS is empty")
MAKE_ONE = "let `python -m server key new-master` make one and put it into .env"


class KeyEncryptionError(CommandError):
    """A key cannot be encrypted or decrypted; the text says what the operator can do."""


class KeyEncryption:
    """Encrypts with the first master key and decrypts with any. Without a master key it refuses both."""

    def __init__(self, master_keys: Sequence[Secret]) -> None:
        self._masters = len(master_keys)
        self._fernet = MultiFernet([_fernet(each) for each in master_keys]) if master_keys else None

    def encrypt(self, secret: Secret) -> bytes:
        """The secret as it may be written to a disk."""
        return self.insist().encrypt(secret.reveal().encode())

    def decrypt(self, encrypted: bytes, fingerprint: str) -> Secret:
        """The secret that was filed under this fingerprint. Raises KeyEncryptionError, also when it is another one."""
        try:
            secret = Secret(self.insist().decrypt(encrypted).decode())
        except InvalidToken:
            raise KeyEncryptionError(_unreadable(fingerprint)) from None
        if secret.fingerprint != fingerprint:
            raise KeyEncryptionError(
                Wording(
                    "key %(fingerprint)s is not what is stored under its name: remove it and add it again",
                    fingerprint=fingerprint,
                )
            )
        return secret

    def reads(self, encrypted: bytes, fingerprint: str) -> bool:
        """Whether a key can be decrypted."""
        try:
            self.decrypt(encrypted, fingerprint)
        except KeyEncryptionError:
            return False
        return True

    def rotate(self, encrypted: bytes, fingerprint: str) -> bytes:
        """The same secret, encrypted with the first master key."""
        return self.encrypt(self.decrypt(encrypted, fingerprint))

    def insist(self) -> MultiFernet:
        """The cipher of the master keys. Raises KeyEncryptionError if there is no master key."""
        if self._fernet is None:
            raise KeyEncryptionError(NO_MASTER, MAKE_ONE)
        return self._fernet

    def __repr__(self) -> str:
        return f"<KeyEncryption with {self._masters} master keys>"


def new_master() -> str:
    """A fresh master key, from the operating system's randomness."""
    return secrets.token_urlsafe(32)


def _fernet(master: Secret) -> Fernet:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=PURPOSE).derive(master.reveal().encode())
    return Fernet(base64.urlsafe_b64encode(derived))


def _unreadable(fingerprint: str) -> str:
    return (
        f"key {fingerprint} cannot be decrypted: MASTER_KEYS lacks the one it was encrypted with, "
        "or the record is damaged; put that one back, or remove the key and add it again"
    )
