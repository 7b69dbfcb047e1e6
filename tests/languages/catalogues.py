"""Brings the catalogues in `web/locales` up to date with the code (`make languages`).

Translations stay, messages that have gone go, and those that are new stand without a translation at their place.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po, write_po

from server.wire import errors

ROOT = Path(__file__).resolve().parents[2]
LOCALES = ROOT / "web" / "locales"
KEYWORDS = {"Wording": None, "W": None, "Plural": (1, 2), "_": None, "gettext": None, "ngettext": (1, 2)}
OPTIONS = {"trimmed": "true", "newstyle_gettext": "true", "encoding": "utf-8"}

Message = tuple[str | tuple[str, ...], str, list[str]]  # the text or both forms of it, the file, and comments


def messages() -> Iterator[Message]:
    """All messages of the code, in the order of its files."""
    for path in sorted((ROOT / "web" / "templates").glob("*.html")):
        yield from _of_file(path, "jinja2.ext:babel_extract")
    for path in sorted((*(ROOT / "web").rglob("*.py"), *(ROOT / "server").rglob("*.py"))):
        yield from _of_file(path, "python")
    for refusal in sorted(_kinds(errors.Refusal), key=lambda kind: kind.__qualname__):
        if text := refusal.template():
            yield text.replace("%", "%%").replace("<param>", "%(param)s"), "server/wire/errors.py", []


def updated(language: str) -> bytes:
    """The catalogue as it should stand: the messages of the code, with the translations that there are."""
    known = read_po(io.BytesIO((LOCALES / f"{language}.po").read_bytes()), locale=language)
    new = Catalog(locale=language, header_comment=known.header_comment)
    for text, file, comments in messages():
        old = known.get(text[0] if isinstance(text, tuple) else text)
        new.add(text, locations=[(file, None)], auto_comments=comments, string=old.string if old else None)
    written = io.BytesIO()
    write_po(written, new, width=120, omit_header=True, sort_by_file=False, include_lineno=False)
    header = f'{known.header_comment}\nmsgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n'
    header += f'"Language: {language}\\n"\n"Plural-Forms: nplurals=2; plural=(n != 1);\\n"\n\n'
    return header.encode() + written.getvalue()


def _of_file(path: Path, method: str) -> Iterator[Message]:
    name = path.relative_to(ROOT).as_posix()
    for _, text, comments, _ in extract_from_file(method, path, KEYWORDS, ("For translators:",), OPTIONS, True):
        yield text, name, comments


def _kinds(kind: type[errors.Refusal]) -> Iterator[type[errors.Refusal]]:
    for each in kind.__subclasses__():
        if each.__module__ == errors.__name__:  # tests have some of their own
            yield each
        yield from _kinds(each)


if __name__ == "__main__":
    for file in sorted(LOCALES.glob("*.po")):
        file.write_bytes(updated(file.stem))
