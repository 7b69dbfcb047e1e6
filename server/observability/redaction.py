"""One redactor for everything that is logged: what looks like a secret or like a person becomes `***`.

It is the second line of defence. The first is that nothing of the kind is handed to a logger; but the words of a
library's exception, of a driver or of a provider are not ours. All patterns are RE2: whatever a line holds, looking
through it takes time in proportion to its length.

A secret may also come dressed, as part of an address (`%2D` for a dash) or of a header (base64). What undresses to a
secret is masked as a whole.

What the gateway says of its own settings begins with their names, such as `API_KEY: read as OPENAI_KEY`. That is no
value behind a name, and the operator needs it: such a beginning stays. It is made of names only.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote

import re2  # type: ignore[import-untyped]  # google-re2 has no stubs

MASK = "***"

# In this order: a value that a name announces goes as a whole, before its parts are looked at.
_RULES: tuple[tuple[Any, str], ...] = tuple(
    (re2.compile(pattern), put)
    for pattern, put in (
        (r"(?i)(\b[a-z][a-z0-9+.-]*://)[^/\s\"'@]*(?:@[^/\s\"'@]*)*@", rf"\1{MASK}@"),  # mongodb://user:password@host
        (
            r"(?i)\b((?:proxy-)?authorization|x-api-key|api[-_]key|(?:set-)?cookie|password|pepper)"
            r"((?:\\?[\"']?\s*[:=]\s*|\\?[\"'],\s*)(?:b?\\?[\"'])?)[^\r\n\"'\\]+",
            rf"\1\2{MASK}",
        ),
        (r"(?i)\b(bearer)\s+[^\s\"',\\]+", rf"\1 {MASK}"),
        # Keys of the providers, also where a provider has starred out the middle.
        (r"(?i)\b(?:sk|pk|rk|sess|xai|pplx|nvapi|csk)-[\w*.-]{6,}", MASK),
        (r"(?i)\b(?:gsk|hf|r8)_[\w*]{6,}|\bAIza[\w*-]{6,}|\b(?:org-|proj_)[A-Za-z0-9]{12,}", MASK),
        (r"\bfg_[\w-]{6,}", MASK),  # tokens of this gateway
        (r"\beyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)*", MASK),  # a JWT begins with {" in base64
        (r"[\w.%+-]+@[\w-]+(?:\.[\w-]+)+", MASK),  # a mail address
    )
)
_NOTE = re2.compile(r"[A-Z][A-Z0-9_]+(?:, [A-Z][A-Z0-9_]+)*: (?:read as [A-Z][A-Z_]+$|not used, )")
_ADDRESS = re2.compile(r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:[0-9.]{3,})?")
_PERCENT = re2.compile(r"[^\s\"'<>]*%[0-9A-Fa-f]{2}[^\s\"'<>]*")
_BASE64 = re2.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")


def redact(text: str) -> str:
    """The text without secrets, addresses of people and addresses of machines. Twice is the same as once."""
    note = _NOTE.match(text)
    kept = note[0] if note else ""
    text = _plainly(text[len(kept) :])
    text = _PERCENT.sub(_unless_clean(unquote), text)
    return kept + str(_BASE64.sub(_unless_clean(_decoded), text))


def _plainly(text: str) -> str:
    for pattern, put in _RULES:
        text = pattern.sub(put, text)
    return str(_ADDRESS.sub(_masked_address, text))


def _unless_clean(undress: Callable[[str], str]) -> Callable[[Any], str]:
    """A replacement for a word that may be encoded: the word itself, if it hides nothing."""

    def look(found: Any) -> str:
        word = str(found[0])
        inside = undress(word)
        return word if inside == word or _plainly(inside) == inside else MASK

    return look


def _decoded(word: str) -> str:
    """The text of a word in base64, if it is printable; else the word."""
    bare = word.rstrip("=").replace("+", "-").replace("/", "_")
    with suppress(binascii.Error, UnicodeDecodeError):
        said = urlsafe_b64decode(bare + "=" * (-len(bare) % 4)).decode("ascii")
        return said if said.isprintable() else word
    return word


def _masked_address(found: Any) -> str:
    """A machine's address, unless it is no address (a time has colons, too) or says only "this machine"."""
    word = str(found[0])
    with suppress(ValueError):
        address = ip_address(word)
        return word if address.is_loopback or address.is_unspecified else MASK
    return word
