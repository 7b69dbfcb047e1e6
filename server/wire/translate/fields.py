"""ONE table of all fields of the three requests: what becomes of each in another dialect.

A field is *carried*; or *noted*: it is left out, does no harm, and is named to the caller; or *refused*, with a 400
that names it. A field that the table does not know is refused: what it means cannot be known, so nothing is lost in
silence. What is null says nothing, and some values say no more than their absence (`harmless`).

The rows stand in `fields_of_chat.py`, `fields_of_messages.py` and `fields_of_responses.py`. A *place* is a kind of
object: the body, or an object within it, by the type that it says it has (`chat.part.image_url`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from server.wire.errors import InvalidValue, Untranslatable

Fate = Literal["carried", "noted", "refused"]


class Row(NamedTuple):
    """What becomes of a field. `why`: in words, where it is not carried."""

    fate: Fate
    why: str = ""
    harmless: tuple[Any, ...] = ()


Rows = Mapping[str, Row]

CARRIED = Row("carried")
_SPEAKABLE = re.compile(r"[A-Za-z0-9_\[\].-]{1,120}")  # what a refusal may repeat of a caller's own name for a field


def carried(*names: str) -> dict[str, Row]:
    return dict.fromkeys(names, CARRIED)


def noted(why: str, *names: str, harmless: tuple[Any, ...] = ()) -> dict[str, Row]:
    return dict.fromkeys(names, Row("noted", why, harmless))


def refused(why: str, *names: str, harmless: tuple[Any, ...] = ()) -> dict[str, Row]:
    return dict.fromkeys(names, Row("refused", why, harmless))


class Notes:
    """What was left out of one request, or changed, and why: the first reason for each field."""

    def __init__(self, table: Mapping[str, Rows]) -> None:
        self._table = table
        self._found: dict[str, str] = {}

    def add(self, field: str, why: str) -> None:
        self._found.setdefault(field, why)

    def all(self) -> tuple[tuple[str, str], ...]:
        return tuple(self._found.items())

    def check(self, place: str, value: Any, where: str = "") -> dict[str, Any]:
        """Return an object of this place without what is noted. Raises InvalidValue, Untranslatable."""
        if type(value) is not dict:
            raise InvalidValue(where or place)
        rows, kept = self._table[place], {}
        for name, member in value.items():
            if member is None:
                continue
            row = rows.get(name)
            if row is None:
                raise Untranslatable(_spoken(f"{where}.{name}" if where else name), why="this gateway does not know it")
            if row.fate == "carried":
                kept[name] = member
            elif not _says_nothing(member, row.harmless):
                if row.fate == "refused":
                    raise Untranslatable(f"{where}.{name}" if where else name, why=row.why)
                self.add(name, row.why)
        return kept

    def typed(self, family: str, value: Any, where: str, default: str = "") -> tuple[str, dict[str, Any]]:
        """Return the type of an object that says it, and the object. Raises InvalidValue, Untranslatable."""
        if type(value) is not dict:
            raise InvalidValue(where)
        kind = value.get("type", default)
        place = f"{family}.{kind}"
        if type(kind) is not str:
            raise InvalidValue(f"{where}.type")
        if place not in self._table:
            raise Untranslatable(f"{where}.type", why="the other dialect has nothing of this type")
        return kind, self.check(place, value, where)


def _says_nothing(value: Any, harmless: tuple[Any, ...]) -> bool:
    return value in ([], {}, "") or any(value == each and type(value) is type(each) for each in harmless)


def _spoken(where: str) -> str:
    return where if _SPEAKABLE.fullmatch(where) else where.rpartition(".")[0] or "an unknown field"
