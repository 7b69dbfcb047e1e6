"""Sentences name who acts: "the caller", "each person", "all people", "no key"; some words never do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# The folders whose code, texts and comments are free of the words. `docs` is the topic pages.
CLEAN = (
    "bench",
    "docs",
    "keypool",
    "server",
    "web",
)
GENERATED = frozenset({"docs/modules.md"})  # the first lines of docstrings, which are looked at where they stand
KINDS = frozenset({".css", ".html", ".js", ".md", ".py"})
WORDS = re.compile(r"(?<![a-z])(?:told|nobody|somebody|everybody|everyone|whoever)(?![a-z])", re.IGNORECASE)

# Data that has one of the words for its value, and so keeps it.
ALLOWED = re.compile(
    r"\bEVERYONE\b"  # the constants of the values below
    r"|[\"`“]everyone[\"`”]"  # the scope of a limit for each person; the group of all; the person without credentials
    r"|\"everyone/|everyone%2F"  # the id of a default limit, also in a path
    r"|--everyone\b"  # the option of the command line that sets such a limit
)


def words_in(text: str) -> list[str]:
    """The lines of a text that have one of the words outside of allowed data."""
    return [line.strip() for line in text.splitlines() if WORDS.search(ALLOWED.sub("", line))]


def texts_of(folder: str) -> list[Path]:
    paths = (path for path in (ROOT / folder).rglob("*") if path.suffix in KINDS and path.is_file())
    return sorted(path for path in paths if str(path.relative_to(ROOT)) not in GENERATED)


@pytest.mark.parametrize("folder", CLEAN)
def test_sentences_name_who_acts(folder: str) -> None:
    texts = texts_of(folder)
    assert texts, "the folder has moved"
    found = {str(path.relative_to(ROOT)): words_in(path.read_text(encoding="utf-8")) for path in texts}
    assert not {path: lines for path, lines in found.items() if lines}


@pytest.mark.parametrize(
    "line",
    [
        "Nobody waits.",
        "nobody's fault",
        "what the caller is told",
        "def _told(title: str) -> None:",
        "for whoever asks",
        "limits of everyone",
        'EVERYONE = "everyone"  # for everybody',
    ],
)
def test_the_words_are_found_in_prose_and_in_names(line: str) -> None:
    assert words_in(line) == [line]


@pytest.mark.parametrize(
    "line",
    [
        "an untold number",
        "Scope.EVERYONE",
        'the group "everyone"',
        "fairgate limit set --everyone 5",
        "/api/admin/limits/everyone%2Fday",
    ],
)
def test_other_words_and_values_of_data_are_not_found(line: str) -> None:
    assert words_in(line) == []
