"""What a request asks the provider to keep, and what kept object it builds on.

A provider keeps answers for the account behind a key, and here many people share a key. So an object is somebody's only
if the gateway knows who made it; and it can be built upon only with the key that made it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from server.wire.errors import InvalidValue

_ID = re.compile(r"[!-~]{1,256}")


def id_in(document: dict[str, Any]) -> str | None:
    """Return the id of an object that can be asked for later, None if it has none."""
    value = document.get("id")
    return value if type(value) is str and _ID.fullmatch(value) else None


def asks_to_keep(document: dict[str, Any], fields: Iterable[str]) -> str | None:
    """Return the first of these fields which asks the provider to keep something. Raises InvalidValue."""
    asking = [name for name in fields if _asks(name, document.get(name))]
    return asking[0] if asking else None


def builds_on(document: dict[str, Any], fields: Iterable[str]) -> str | None:
    """Return the id of the kept object that a request continues. Raises InvalidValue."""
    found: str | None = None
    for name in fields:
        value = document.get(name)
        if value is None:
            continue
        if found is not None:  # the provider allows one of them
            raise InvalidValue(name)
        found = id_in(value if type(value) is dict else {"id": value})
        if found is None:
            raise InvalidValue(name)
    return found


def _asks(name: str, value: Any) -> bool:
    if name != "conversation" and value is not None and type(value) is not bool:
        raise InvalidValue(name)
    return value is not None and value is not False
