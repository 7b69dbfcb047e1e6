"""Canaries: texts that must not come out, in whatever dress, and where somebody looks for them."""

from __future__ import annotations

import base64
import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus


@dataclass
class Canaries:
    """Texts by what they are."""

    texts: dict[str, str] = field(default_factory=dict)

    def sing(self, what: str, text: str) -> str:
        """One more; returns it."""
        assert len(text) >= 12, "nothing short is found by accident"
        self.texts[what] = text
        return text

    def but(self, *allowed: str) -> Canaries:
        """The others."""
        assert set(allowed) <= set(self.texts)
        return Canaries({what: text for what, text in self.texts.items() if what not in allowed})

    def found_in(self, place: bytes) -> set[str]:
        """Which of them are there, and how they are dressed."""
        lowered = place.lower()
        return {
            f"{what} ({dress})"
            for what, text in self.texts.items()
            for dress, form in dresses(text.encode())
            if (form.lower() in lowered if dress in ("sha256", "hex") else form in place)
        }


def dresses(text: bytes) -> Iterator[tuple[str, bytes]]:
    """How a text may come out: as it is, in an address, in hexadecimal digits, as its digest, inside of some base64."""
    yield "plain", text
    yield "url", quote(text, safe="").encode()
    yield "form", quote_plus(text).encode()
    yield "hex", text.hex().encode()
    yield "sha256", hashlib.sha256(text).hexdigest().encode()
    for before in range(3):  # a text in the middle of another one is encoded in one of three ways
        inner = text[-before % 3 :]
        inner = inner[: len(inner) // 3 * 3]
        yield "base64", base64.b64encode(inner)
        yield "base64", base64.urlsafe_b64encode(inner)


def dump_of(database: Path) -> bytes:
    """A SQLite database as text, its blobs in hexadecimal digits."""
    with closing(sqlite3.connect(database)) as connection:
        return "\n".join(connection.iterdump()).encode()


def table_of(database: Path, table: str) -> bytes:
    """What one table says."""
    with closing(sqlite3.connect(database)) as connection:
        return repr(connection.execute(f"SELECT * FROM {table}").fetchall()).encode()


def files_in(folder: Path) -> bytes:
    """All bytes of all files."""
    return b"\n".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
