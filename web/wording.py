"""Texts of ours that a page says in its reader's language, wherever they were made.

A `Wording` *is* its English sentence, for logs, the command line and programs. It remembers its template and values, so
that a page, which knows its reader, says it anew. What stands in it is data: a value is never a template.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from web.languages import ENGLISH, catalogue, reader, reading
from web.locale import locale


class Phrase(str):
    """An English text that can be said in other languages."""

    __slots__ = ()

    def said(self) -> str:
        """The same in the language of the page that is being written."""
        return str(self)


class Wording(Phrase):
    """A sentence of ours: `Wording("“%(field)s” is a whole number.", field="days")`.

    A value may be a Phrase itself; an int is written in groups of three digits. Without values nothing is filled in,
    and a per cent sign is one.
    """

    __slots__ = ("_template", "_values")

    _template: str
    _values: dict[str, Any]

    def __new__(cls, template: str, /, **values: Any) -> Wording:
        with reading(ENGLISH):
            self = super().__new__(cls, _filled(template, values))
        self._template, self._values = template, values
        return self

    def said(self) -> str:
        return _filled(catalogue(reader()).message(self._template), self._values)


class Plural(Phrase):
    """A sentence about a number of things: `Plural("%(count)s token ends.", "%(count)s tokens end.", 3)`."""

    __slots__ = ("_count", "_many", "_one", "_values")

    _one: str
    _many: str
    _count: int
    _values: dict[str, Any]

    def __new__(cls, one: str, many: str, count: int, /, **values: Any) -> Plural:
        with reading(ENGLISH):
            self = super().__new__(cls, _filled(one if count == 1 else many, {"count": count, **values}))
        self._one, self._many, self._count, self._values = one, many, count, values
        return self

    def said(self) -> str:
        message = catalogue(reader()).counted(self._one, self._many, self._count)
        return _filled(message, {"count": self._count, **self._values})


class Written(Phrase):
    """A number, an amount or a time, as a function of `formatting` writes it: `Written(words.money, 1_500_000)`."""

    __slots__ = ("_arguments", "_write")

    _write: Callable[..., str]
    _arguments: tuple[Any, ...]

    def __new__(cls, write: Callable[..., str], /, *arguments: Any) -> Written:
        with reading(ENGLISH):
            self = super().__new__(cls, write(*arguments))
        self._write, self._arguments = write, arguments
        return self

    def said(self) -> str:
        return self._write(*self._arguments)


def said(value: object) -> object:
    """A value as a page writes it: a Phrase in its reader's language, all else as it is."""
    return value.said() if isinstance(value, Phrase) else value


def written(value: object) -> object:
    """A value within a text: likewise, and a whole number in groups of three digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        return locale().grouped(value)
    return said(value)


def _filled(template: str, values: dict[str, Any]) -> str:
    return template % {name: written(value) for name, value in values.items()} if values else template
