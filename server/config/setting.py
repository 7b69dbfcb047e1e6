"""One setting: how it is read, what it is without a word, and what its help says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

from server.config.parsers import Parser

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Setting:
    """One row as the documentation sees it. `default` is text, as it would stand in `.env`."""

    name: str
    section: str
    parse: Parser[Any]
    default: str
    help: str
    secret: bool
    example: str


def row(
    default: str, parse: Parser[T], help: str, *, section: str = "", secret: bool = False, example: str = ""
) -> T:  # fmt: skip
    """A setting. A `section` opens a new group of rows."""
    metadata = {
        "section": section, "parse": parse, "default": default, "help": help, "secret": secret, "example": example,
    }  # fmt: skip
    return field(default=parse(default), metadata=metadata, repr=not secret)
