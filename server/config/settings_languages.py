"""The setting of the pages' languages. It stands among the others in front of "The queue"."""

from __future__ import annotations

from dataclasses import dataclass

from server.config.parsers import words
from server.config.setting import row
from server.config.settings_bounds import Bounds
from web.languages import NAMES


def languages(value: str) -> tuple[str, ...]:
    """Names of languages that there are pages in, each once; at least one."""
    names = tuple(dict.fromkeys(words(value)))
    if not names or not set(names) <= set(NAMES):
        raise ValueError(f"expected some of {', '.join(NAMES)}, with commas between")
    return names


@dataclass(frozen=True, kw_only=True)
class LanguageRows(Bounds):
    """Which one a reader gets: what they chose, or their browser wants, or the first (`docs/languages.md`)."""

    page_languages: tuple[str, ...] = row(
        "en,de", languages, "The languages of the pages; the first is for browsers that want none of them.",
        example="de,en", section="Languages",
    )  # fmt: skip
