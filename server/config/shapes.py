"""The shapes of JSON values: shown to callers as JSON Schema, and read by the same rows.

One declaration is both, so that what the API's document promises is what is accepted. `read` gives the value as the
gateway means it (instants as UTC milliseconds, lists as tuples) and raises ValueError for what does not fit; a `Thing`
names the member that is wrong by InvalidValue or MissingParameter. A member that is unknown is refused, never dropped:
who writes `"role": "admin"` into a form that has no such field shall hear of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from server.ledger.when import instant
from server.wire.errors import InvalidValue, MissingParameter

Schema = dict[str, Any]
Known = dict[str, Schema]  # the schemas that have names of their own

_NAMEABLE = re.compile(r"[a-z_]{1,32}", re.ASCII)
_DIGITS = re.compile(r"\d{1,15}", re.ASCII)


class Shape(Protocol):
    def schema(self, known: Known) -> Schema:
        """JSON Schema (2020-12); schemas with names are put into `known`."""

    def read(self, value: object) -> Any:
        """The value as the gateway means it. ValueError."""


@dataclass(frozen=True)
class Text:
    """Characters that can be printed; `pattern` is a regular expression of the whole. No `longest` is no bound."""

    longest: int | None = 200
    least: int = 1
    pattern: str | None = None

    def schema(self, known: Known) -> Schema:
        bound = {} if self.longest is None else {"maxLength": self.longest}
        pattern = {"pattern": f"^{self.pattern}$"} if self.pattern else {}
        return {"type": "string", "minLength": self.least, **bound, **pattern}

    def read(self, value: object) -> str:
        if not isinstance(value, str) or len(value) < self.least or not value.isprintable():
            raise ValueError("expected a text")
        if self.longest is not None and len(value) > self.longest:
            raise ValueError("expected a shorter text")
        if self.pattern and not re.fullmatch(self.pattern, value, re.ASCII):
            raise ValueError("expected another text")
        return value


@dataclass(frozen=True)
class Whole:
    """A whole number within bounds, both inclusive."""

    low: int = 0
    high: int = 10**15

    def schema(self, known: Known) -> Schema:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}

    def read(self, value: object) -> int:
        number = int(value) if type(value) is float and value.is_integer() else value  # JSON knows one kind of number
        if type(number) is not int or not self.low <= number <= self.high:
            raise ValueError("expected a whole number")
        return number


@dataclass(frozen=True)
class Number:
    """A number within bounds, both inclusive."""

    low: float
    high: float

    def schema(self, known: Known) -> Schema:
        return {"type": "number", "minimum": self.low, "maximum": self.high}

    def read(self, value: object) -> float:
        if type(value) not in (int, float) or not self.low <= float(value) <= self.high:  # type: ignore[arg-type]  # it is a number by now
            raise ValueError("expected a number")
        return float(value)  # type: ignore[arg-type]  # likewise


@dataclass(frozen=True)
class Flag:
    def schema(self, known: Known) -> Schema:
        return {"type": "boolean"}

    def read(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError("expected true or false")
        return value


@dataclass(frozen=True)
class Word:
    """One of a few words."""

    words: tuple[str, ...]

    def schema(self, known: Known) -> Schema:
        return {"type": "string", "enum": list(self.words)}

    def read(self, value: object) -> str:
        if not isinstance(value, str) or value not in self.words:
            raise ValueError("expected one of " + ", ".join(self.words))
        return value


@dataclass(frozen=True)
class Instant:
    """A time with its zone, such as "2026-11-21T06:05:00Z"; inside UTC milliseconds."""

    def schema(self, known: Known) -> Schema:
        return {"type": "string", "format": "date-time", "examples": ["2026-11-21T06:05:00Z"]}

    def read(self, value: object) -> int:
        if not isinstance(value, str):
            raise ValueError("expected a time")
        return instant(value)


@dataclass(frozen=True)
class Maybe:
    """Something, or null."""

    of: Shape

    def schema(self, known: Known) -> Schema:
        return {"anyOf": [self.of.schema(known), {"type": "null"}]}

    def read(self, value: object) -> Any:
        return None if value is None else self.of.read(value)


@dataclass(frozen=True)
class Many:
    """A list; inside a tuple."""

    of: Shape
    most: int = 100

    def schema(self, known: Known) -> Schema:
        return {"type": "array", "items": self.of.schema(known), "maxItems": self.most}

    def read(self, value: object) -> tuple[Any, ...]:
        if not isinstance(value, list) or len(value) > self.most:
            raise ValueError("expected a list")
        return tuple(map(self.of.read, value))


@dataclass(frozen=True)
class Anything:
    """Any JSON value: part of answers, never read from requests."""

    def schema(self, known: Known) -> Schema:
        return {}

    def read(self, value: object) -> Any:
        return value


@dataclass(frozen=True)
class Thing:
    """An object with these members and no others. `name`: how its schema is called, if it is used more than once."""

    members: Mapping[str, Shape]
    optional: Mapping[str, Shape] = field(default_factory=dict)
    name: str = ""
    open: bool = False  # may have other members; for answers only

    def schema(self, known: Known) -> Schema:
        if not self.name:
            return self._schema(known)
        if self.name not in known:
            known[self.name] = {}
            known[self.name] = self._schema(known)
        return {"$ref": f"#/components/schemas/{self.name}"}

    def read(self, value: object) -> dict[str, Any]:
        """Raises InvalidValue, MissingParameter."""
        if not isinstance(value, dict):
            raise ValueError("expected an object")
        shapes = {**self.members, **self.optional}
        for name in value:
            if name not in shapes:
                raise InvalidValue(name if _NAMEABLE.fullmatch(name) else "body")
        for name in self.members:
            if name not in value:
                raise MissingParameter(name)
        return {name: _member(name, shapes[name], each) for name, each in value.items()}

    def _schema(self, known: Known) -> Schema:
        shapes = {**self.members, **self.optional}
        schema: Schema = {"type": "object", "properties": {name: it.schema(known) for name, it in shapes.items()}}
        if self.members:
            schema["required"] = list(self.members)
        return schema if self.open else {**schema, "additionalProperties": False}


def read_text(shape: Shape, name: str, text: str) -> Any:
    """A query parameter. Raises InvalidValue."""
    value: object = int(text) if isinstance(shape, Whole) and _DIGITS.fullmatch(text) else text
    return _member(name, shape, value)


def _member(name: str, shape: Shape, value: object) -> Any:
    try:
        return shape.read(value)
    except ValueError:
        raise InvalidValue(name) from None
