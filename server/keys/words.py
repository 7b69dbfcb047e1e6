"""A provider's own words about a key, as its operator may read them.

An error may repeat what its caller wrote, and a stranger's prompt is none of an operator's business. So the message of
an answer to a request is repeated only where the provider's codes, or the status alone, say that the key, its money or
its rate is meant; of all others the code is. A free check has no caller, so its message may always be repeated. What
looks like a secret, an account or a person is masked in all of them.
"""

from __future__ import annotations

from keypool.codes import CODES, VAGUE, Fault
from keypool.complaint import error_of, words_in
from server.observability.redaction import redact
from server.wire.dialect import scrub

LONGEST = 240  # characters
ABOUT_KEYS = frozenset({Fault.KEY, Fault.MONEY, Fault.RATE})


def words_about_key(status: int, body: bytes) -> str:
    """The words of an error that came in answer to a caller's request."""
    faults = {CODES[word].fault for word in _codes(body) if word in CODES}
    meant = faults <= ABOUT_KEYS if faults else status in (401, 402)
    return words_of(body) if meant else ", ".join(_codes(body))


def words_of(body: bytes) -> str:
    """The words of an error that no caller of ours has caused: its message, else its codes. Never raises."""
    error = error_of(body) or {}
    message = error.get("message")
    return _plain(message) if isinstance(message, str) and message.strip() else ", ".join(_codes(body))


def _codes(body: bytes) -> list[str]:
    """Its codes, as far as they are those of providers: any other word may be a caller's."""
    return list(dict.fromkeys(word for word in words_in(error_of(body) or {}) if word in CODES or word in VAGUE))


def _plain(message: str) -> str:
    """One line, masked and bounded."""
    line = " ".join(message.encode("utf-8", "replace").decode().split())
    bare = "".join(sign for sign in line if sign.isprintable())[: 4 * LONGEST]
    masked = redact(scrub(bare.encode()).decode("utf-8", "replace"))
    return masked if len(masked) <= LONGEST else f"{masked[: LONGEST - 1]}…"
