"""Tornado's headers, without checking each line once more than it must be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from tornado.httputil import HTTPHeaders, HTTPInputError

TCHARS = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
KEPT_NAME = 64  # characters: a longer name is not remembered
_NAME = re.compile(TCHARS)
_SAFE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class Headers(HTTPHeaders):
    """Header fields whose names are spelled as Tornado spells them, and whose lines are checked elsewhere.

    Those of a request were read by `head.read_head`, which takes nothing that Tornado would refuse. Those of an answer
    go out by `answer_head`, which lets no line break out.
    """

    def __init__(self, fields: dict[str, list[str]]) -> None:
        """`fields`: the values by name."""
        self._as_list = fields
        self._combined_cache = {}

    def get(self, name: str, default: Any = None) -> Any:
        """As Tornado's; it would join, keep and look up the values first."""
        values = self._as_list.get(spelled(name))
        if values is None:
            return default
        return values[0] if len(values) == 1 else ",".join(values)

    def __getitem__(self, name: str) -> str:
        values = self._as_list[spelled(name)]
        return values[0] if len(values) == 1 else ",".join(values)

    def __setitem__(self, name: str, value: str) -> None:
        self._as_list[spelled(name)] = [value]

    def take(self, fields: Mapping[str, str]) -> None:
        """Set all of these. Raises ValueError for a value that Tornado's `set_header` would refuse."""
        if _SAFE.fullmatch("".join(fields.values())) is None:
            raise ValueError("an unsafe value of a header")
        mine = self._as_list
        for name, value in fields.items():
            mine[spelled(name)] = [value]

    def lines(self) -> list[str]:
        """The lines as they go out."""
        return [f"{name}: {value}" for name, values in self._as_list.items() for value in values]


@lru_cache(1024)
def spelled(name: str) -> str:
    """A header's name as Tornado spells it. Raises HTTPInputError."""
    if _NAME.fullmatch(name) is None:
        raise HTTPInputError("not a header's name")
    return "-".join([word.capitalize() for word in name.split("-")])
