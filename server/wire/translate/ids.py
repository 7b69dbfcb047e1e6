"""Ids of answers: each dialect has its own beginning, and what is behind it stays."""

from __future__ import annotations

import re

_BEGINNING = re.compile(r"^(chatcmpl-|cmpl-|msg_|resp_|gen-)")


def tail_of(id: str) -> str:
    """The id without its dialect's beginning."""
    return _BEGINNING.sub("", id)
