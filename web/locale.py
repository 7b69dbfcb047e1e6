"""How numbers, amounts and times are written in a language.

English is written as the code writes it. For each other language the marks, the names of months and the patterns are
those of Unicode's Common Locale Data Repository, which Babel carries.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from functools import cache

from web.languages import BRACKETS, ENGLISH, reader


@dataclass(frozen=True, slots=True)
class Locale:
    """English, and what the others differ from. `marked` takes a number as Python writes it: "1,204.50"."""

    language: str = ENGLISH

    def marked(self, number: str) -> str:
        """The number with this language's marks."""
        return number

    def grouped(self, number: int) -> str:
        """All digits, in threes."""
        return self.marked(f"{number:,}")

    def dollars(self, amount: str) -> str:
        """An amount of dollars, as Python writes the number, with the currency's sign."""
        return f"${amount}"

    def day(self, at: date) -> str:
        """Such as "21 Sep"."""
        return f"{at.day} {at:%b}"

    def since(self, at: date) -> str:
        """Such as "21 Sep 2026"."""
        return f"{at.day} {at:%b %Y}"

    def moment(self, at: datetime) -> str:
        """Such as "21 Sep 2026, 14:13"."""
        return f"{self.since(at)}, {at:%H:%M}"

    def clock(self, at: datetime) -> str:
        """Such as "14:13:20 UTC"."""
        return f"{at:%H:%M:%S %Z}"


@dataclass(frozen=True, slots=True)
class BabelLocale(Locale):
    """Another language, in Babel's words."""

    decimal: str = "."
    group: str = ","
    behind: bool = False  # whether the currency's sign stands behind the amount

    def marked(self, number: str) -> str:
        return number.translate({ord(","): self.group, ord("."): self.decimal})

    def dollars(self, amount: str) -> str:
        return f"{self.marked(amount)}\N{NO-BREAK SPACE}$" if self.behind else f"${self.marked(amount)}"

    def day(self, at: date) -> str:
        return self._skeleton("Md", at)

    def since(self, at: date) -> str:
        from babel.dates import format_date

        return format_date(at, "medium", locale=self.language)

    def clock(self, at: datetime) -> str:
        from babel.dates import format_datetime

        return format_datetime(at, "HH:mm:ss z", locale=self.language)

    def _skeleton(self, name: str, at: date) -> str:
        from babel.dates import format_skeleton

        return format_skeleton(name, at, locale=self.language)


def locale() -> Locale:
    """That of the reader for whom a page is being written."""
    return _of(reader())


@cache
def _of(language: str) -> Locale:
    if language in (ENGLISH, BRACKETS):
        return Locale()
    from babel.core import Locale as Data

    data = Data.parse(language)
    marks = data.number_symbols["latn"]
    pattern = data.currency_formats["standard"].pattern
    return BabelLocale(language, marks["decimal"], marks["group"], pattern.rstrip("\u200e ").endswith("¤"))
