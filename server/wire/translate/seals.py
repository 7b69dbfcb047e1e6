"""Thoughts of a model of Anthropic's dialect, in the one field of a response that clients keep and never read.

A response's `reasoning` item has its text in a summary and all else in `encrypted_content`. What stands there is not
encrypted by us: its provider has signed it already, and checks that.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable

import orjson

from server.wire.translate.terms import Thought

_OURS = "fairgate-thoughts-"


def closed(thoughts: Iterable[Thought]) -> str:
    """The thoughts as one text."""
    plain = orjson.dumps([[each.text, each.signature, each.sealed] for each in thoughts])
    return _OURS + b64encode(plain).decode()


def opened(content: str) -> list[Thought] | None:
    """The thoughts that `closed` has written; None if it has not."""
    if not content.startswith(_OURS):
        return None
    try:
        thoughts = [Thought(*map(str, each)) for each in orjson.loads(b64decode(content[len(_OURS) :], validate=True))]
    except (ValueError, TypeError):
        return None
    return thoughts
