"""Calls of hosted tools, by name: a mapping to compute with, and one line of text to keep.

    {"web_search": 3, "file_search": 1}      "file_search=1 web_search=3"

The text stands in a usage row, so in the journal, in both stores and in tables, without a column for each tool.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

MOST_CALLS = 1_000_000_000  # no answer calls a tool so often
MOST_NAMES = 32  # in one text; more are none of a provider's
NAME = re.compile(r"[a-z$][a-z0-9_$:.-]{0,63}")


def called(calls: Mapping[str, int]) -> str:
    """The calls as text, names in order; a tool without calls is left out."""
    named = [(name, number) for name, number in sorted(calls.items()) if number > 0 and NAME.fullmatch(name)]
    return " ".join(f"{name}={min(number, MOST_CALLS)}" for name, number in named[:MOST_NAMES])


def calls_of(text: str) -> dict[str, int]:
    """The inverse. What is no such text has no calls."""
    pairs = (word.rpartition("=") for word in text.split()) if text else ()
    return {name: int(number) for name, _, number in pairs if name and number.isdecimal()}


def most_called(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """Each tool as often as the one or the other says, whichever is more: both tell of the same calls."""
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in {**one, **other}}
