"""Names of tools and ids of calls, as every provider takes them.

Both families allow letters, digits, `_` and `-`; OpenAI no more than 64 of them. Another name is changed into one that
only it is changed into: its beginning, and a digest. Answers have the caller's own names.
"""

from __future__ import annotations

import re
from hashlib import sha256

LONGEST = 64

_SAFE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
_DIGEST = 8  # hexadecimal digits


def safe(name: str) -> str:
    """The name or id as it is sent; most are sent as they are."""
    if _SAFE.fullmatch(name):
        return name
    digest = sha256(name.encode("utf-8", "replace")).hexdigest()[:_DIGEST]
    return f"{_UNSAFE.sub('_', name)[: LONGEST - _DIGEST - 1]}_{digest}"


def named(name: str, names: dict[str, str]) -> str:
    """A tool's name as it is sent. Where it is another than the caller's, `names` gets both."""
    sent = safe(name)
    if sent != name:
        names[sent] = name
    return sent


def spaced(space: str, name: str) -> str:
    """The one name of a tool that stands in a set of tools."""
    return f"{space}__{name}" if space else name
