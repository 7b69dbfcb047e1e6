"""`X-Fairgate-Fallback`: a caller's consent to another model, if their own would let them wait too long.

    X-Fairgate-Fallback: gpt-5-mini; wait=20

"If my model would wait longer than 20 seconds, take gpt-5-mini." A group may consent for its members in the same words;
then `off` is a caller's word that it shall be their own model. Without any of it no request is served by another model
than the one that it names.
"""

from __future__ import annotations

import re
from math import inf
from typing import NamedTuple

from server.wire.errors import InvalidValue

HEADER = "X-Fairgate-Fallback"
_VALUE = re.compile(
    r"(?P<model>(?!.*\.\.)[A-Za-z0-9._:/@+\[\]()~,#*!-]{1,256})[ \t]*;[ \t]*wait=(?P<wait>\d{1,6}(?:\.\d{1,3})?)"
)


class Fallback(NamedTuple):
    """The other model, and the seconds of waiting from which on it is taken."""

    model: str
    wait: float


NONE = Fallback("", inf)


def fallback_of(text: str | None) -> Fallback | None:
    """Read the header; None if there is none. Raises InvalidValue."""
    if text is None:
        return None
    if text.strip().lower() == "off":
        return NONE
    found = _VALUE.fullmatch(text.strip())
    if found is None:
        raise InvalidValue(HEADER)
    return Fallback(found["model"], float(found["wait"]))
