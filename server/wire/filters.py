"""The operator's filters: forbidden phrases and web sites, and bounds on tokens.

Phrases are patterns of RE2, whatever their case. RE2 knows neither lookaround nor backreferences and needs time in
proportion to the text, whatever the pattern. Python's `re` promises no such thing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

import re2  # type: ignore[import-untyped]  # google-re2 has no stubs


@dataclass(frozen=True, slots=True)
class Phrases:
    """The phrases that no prompt may contain."""

    patterns: tuple[str, ...] = ()
    _any: Any = field(default=None, repr=False, compare=False)  # all patterns in one: a text is read once

    @classmethod
    def of(cls, patterns: Iterable[str]) -> Self:
        """Compile them. `ValueError` names one that cannot be used by its number, from 1, never by its text.

        Thousands of words fit into the 8 MiB that RE2 takes at most.
        """
        given = tuple(patterns)
        for number, pattern in enumerate(given, start=1):
            _check(number, pattern)
        return cls(given, _compiled("|".join(f"(?:{pattern})" for pattern in given)) if given else None)

    def hit(self, texts: Iterable[str]) -> bool:
        """Whether one of the texts holds a phrase.

        A word of a few letters takes some 2 ms a megabyte; hundreds of patterns with wide gaps may take seconds. Other
        threads run meanwhile, so long prompts belong into one.
        """
        return self._any is not None and any(map(self._any.search, texts))


@dataclass(frozen=True, slots=True)
class Origins:
    """Web sites whose pages may not use the gateway: parts of `https://name:port`, in lower case."""

    parts: tuple[str, ...] = ()

    @classmethod
    def of(cls, parts: Iterable[str]) -> Self:
        return cls(tuple(part.lower() for part in parts))

    def blocked(self, *addresses: str | None) -> bool:
        """Whether one of these, the headers Origin and Referer as they came, is of such a site."""
        sites = [_site(address) for address in addresses if address] if self.parts else []
        return any(part in site for site in sites for part in self.parts)


@dataclass(frozen=True, slots=True)
class Caps:
    """The most tokens of a prompt and of an answer; 0 is no bound. `request.capped` holds answers to theirs."""

    context: int = 0
    output: int = 0

    def too_long(self, tokens: int) -> bool:
        """Whether a prompt of so many tokens is refused."""
        return 0 < self.context < tokens


def _site(address: str) -> str:
    """Scheme, name and port; of a text that is no address, all of it."""
    try:
        parts = urlsplit(address.lower())
    except ValueError:
        return address.lower()
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else address.lower()


def _check(number: int, pattern: str) -> None:
    try:
        compiled = _compiled(pattern)
    except ValueError:
        raise ValueError(f"pattern {number}: expected RE2 (no lookaround, no backreference)") from None
    if compiled.search(""):
        raise ValueError(f"pattern {number}: it matches the empty text, so it would reject everything")


def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.never_capture = True
    try:
        return re2.compile(pattern, options)
    except re2.error:
        raise ValueError("expected patterns that RE2 can read, and not too many") from None
