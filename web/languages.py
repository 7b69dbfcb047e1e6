"""The languages of the pages: which one a reader gets, and what a message is in it.

English is the language of the code: a message is its own English text, with `%(name)s` where a value goes. Each other
language has a catalogue, `locales/<language>.po`, read when it is wanted for the first time. A message that it does
not have stays English. `make languages` brings the catalogues up to date (docs/languages.md).

`en-XA` is the usual name of a language for tests: each message stands in brackets, so that what is not marked is seen.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

ENGLISH = "en"
BRACKETS = "en-XA"
NAMES = {ENGLISH: "English", "de": "Deutsch", BRACKETS: "[Brackets]"}
"""What a language is called by those who speak it."""

_READER: ContextVar[str] = ContextVar("reader", default=ENGLISH)


@dataclass(frozen=True, slots=True)
class Translations:
    """The messages of one language: of one that counts, both forms. English and German have the same two."""

    messages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def message(self, english: str) -> str:
        """The message in this language."""
        return self.messages.get(english, ("",))[0] or english

    def counted(self, one: str, many: str, count: int) -> str:
        """The form of the message that goes with this number."""
        forms = self.messages.get(one, ())
        return (forms[count != 1] if len(forms) == 2 else "") or (one if count == 1 else many)


class Brackets(Translations):
    """Every message in brackets."""

    def message(self, english: str) -> str:
        return f"⟦{english}⟧"

    def counted(self, one: str, many: str, count: int) -> str:
        return f"⟦{one if count == 1 else many}⟧"


@contextmanager
def reading(language: str) -> Iterator[None]:
    """A page is written for a reader of this language. Nothing may be awaited meanwhile."""
    before = _READER.set(language)
    try:
        yield
    finally:
        _READER.reset(before)


def reader() -> str:
    """The language of whose page is being written."""
    return _READER.get()


@cache
def catalogue(language: str) -> Translations:
    """The messages of a language; none for English, and for one that is not ours."""
    if language == BRACKETS:
        return Brackets()
    if language == ENGLISH or language not in NAMES:
        return Translations()
    from babel.messages.pofile import read_po  # 10 MiB with its data: only for a reader of another language

    read = read_po(io.BytesIO((files("web") / "locales" / f"{language}.po").read_bytes()), locale=language)
    messages = {
        message.id if isinstance(message.id, str) else message.id[0]: _forms(message.string)
        for message in read
        if message.id and not message.fuzzy
    }
    return Translations(messages)


def negotiated(wanted: str, offered: Sequence[str]) -> str:
    """The one of the languages `offered` that an Accept-Language header wants most (RFC 9110, section 12.5.4).

    What it does not name it does not want; `de-AT` is served by `de`. The first that is offered is for all others.
    """
    best, most = offered[0], 0.0
    for part in wanted.split(",")[:_MOST_WANTED]:
        name, _, parameter = part.partition(";")
        quality = _quality(parameter)
        found = offered[0] if name.strip() == "*" else _offer(name.strip().lower(), offered)
        if found is not None and quality > most:
            best, most = found, quality
    return best


_MOST_WANTED = 20  # languages of one header


def _offer(name: str, offered: Sequence[str]) -> str | None:
    return next((each for each in offered if name == each.lower() or name.startswith(f"{each.lower()}-")), None)


def _quality(parameter: str) -> float:
    """The weight of one choice: 1 where none is given, 0 where it is no number from 0 to 1."""
    name, _, value = parameter.strip().partition("=")
    if not name:
        return 1.0
    try:
        quality = float(value)
    except ValueError:
        return 0.0
    return quality if name.strip().lower() == "q" and 0 <= quality <= 1 else 0.0


def _forms(translated: str | Sequence[str] | None) -> tuple[str, ...]:
    return (translated,) if isinstance(translated, str) else tuple(translated or ())
