"""People as a table: read strictly, mistakes named line by line, and written so that it can be read back.

    name,email,groups,admin,disabled,note,limits
    ada,ada@example.org,physics; choir,,,,"5 usd/day, 100 requests/minute"

Only `name` must be there; columns stand in any order, with commas, semicolons or tabs between. A column sets its field,
also by an empty cell; a column that is not there changes nothing. Groups have semicolons or `|` between them; limits
are a person's own, in the words of the settings. Limits with dates or increases cannot be said so: they are neither
written here nor touched.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from server.ledger.export import safe
from server.ledger.limits import Limit, LimitWindow, Scope, Unit, parse_limits
from server.ledger.money import usd
from server.policy.commands import words_of
from server.store.base import Person
from web.wording import Wording

COLUMNS = ("name", "email", "groups", "admin", "disabled", "note", "limits")
MARKS = (",", ";", "\t")
OTHER_WORDS = {"e-mail": "email", "mail": "email", "group": "groups"}
MOST_ROWS = 5000
_FLAGS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False, "": False}


@dataclass(frozen=True, slots=True)
class Mistake:
    """A mistake in a line of the file; the sentence repeats nothing of it."""

    line: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Row:
    """One person as the file wants them. `wishes` are fields of `Person`; `limits` None is not to be touched."""

    line: int
    name: str
    wishes: Mapping[str, Any] = field(default_factory=dict)
    limits: tuple[Limit, ...] | None = None


def read_table(text: str) -> tuple[list[Row], list[Mistake]]:
    """The lines that make sense, and what is wrong with the others."""
    text = text.removeprefix("\ufeff").lstrip("\r\n")
    mark = _mark_of(text.partition("\n")[0])
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=mark)
    try:
        head = [_column(name) for name in next(reader, [])]
        if "name" not in head or len(set(head)) < len(head) or not set(head) <= set(COLUMNS):
            return [], [
                Mistake(1, Wording("expected a first line with columns of %(names)s", names=", ".join(COLUMNS)))
            ]
        lines = [(reader.line_num, cells) for cells in reader if any(map(str.strip, cells))]
    except csv.Error:
        return [], [Mistake(reader.line_num, Wording("this is no table: a quote is open, or a cell too long"))]
    if len(lines) > MOST_ROWS:
        return [], [Mistake(lines[MOST_ROWS][0], Wording("expected at most %(most)s people in a file", most=MOST_ROWS))]
    return _sorted_out(head, lines)


def decoded(content: bytes) -> str:
    """The text of a file as spreadsheets write it: UTF-8, UTF-16 with its mark, else Windows-1252."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _mark_of(head: str) -> str:
    """What stands between the columns: a comma, a semicolon or a tab, whichever the first line has most of."""
    return max(MARKS, key=head.count)


def _column(name: str) -> str:
    """A column as it is called here: spreadsheets write "Name" and "E-Mail"."""
    word = name.strip().strip('"').casefold()
    return OTHER_WORDS.get(word, word)


def table(people: Iterable[Person], limits: Iterable[Limit]) -> bytes:
    """All these people with their own limits, as UTF-8."""
    by_person: dict[str, list[Limit]] = {}
    for limit in limits:
        if is_sayable(limit):
            by_person.setdefault(limit.subject, []).append(limit)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([safe(cell) for cell in _cells(each, by_person.get(each.id, []))] for each in people)
    return text.getvalue().encode()


def is_sayable(limit: Limit) -> bool:
    """Whether a cell can hold the limit."""
    timeless = limit.since is None and limit.until is None and not limit.extra
    return limit.scope is Scope.PERSON and limit.window is not LimitWindow.TERM and timeless


def for_person(limit: Limit, person_id: str) -> Limit:
    """A limit from a cell, as this person's own."""
    name = f"person/{person_id}/{limit.unit}/{limit.family}/{limit.window}"
    return replace(limit, id=name, scope=Scope.PERSON, subject=person_id)


def _sorted_out(head: Sequence[str], lines: Iterable[tuple[int, list[str]]]) -> tuple[list[Row], list[Mistake]]:
    rows: list[Row] = []
    mistakes: list[Mistake] = []
    names: set[str] = set()
    for number, cells in lines:
        try:
            row = _row(number, head, cells)
            if row.name in names:
                raise ValueError(Wording("this name stands in the file twice"))
            names.add(row.name)
            rows.append(row)
        except ValueError as error:
            mistakes.append(Mistake(number, words_of(error)))
    return rows, mistakes


def _row(line: int, head: Sequence[str], cells: Sequence[str]) -> Row:
    if len(cells) != len(head):
        raise ValueError(Wording("expected as many cells as there are columns"))
    said = {name: _plain(cell) for name, cell in zip(head, cells, strict=True)}
    wishes: dict[str, Any] = {}
    if "email" in said:
        wishes["email"] = said["email"] or None
    if "groups" in said:
        wishes["groups"] = tuple(filter(None, map(str.strip, said["groups"].replace("|", ";").split(";"))))
    wishes |= {name: _flag(name, said[name]) for name in ("admin", "disabled") if name in said}
    wishes |= {"note": said["note"]} if "note" in said else {}
    return Row(line, said["name"], wishes, _limits(said["limits"]) if "limits" in said else None)


def _plain(cell: str) -> str:
    """A cell without the quote that keeps spreadsheets from taking it for a formula."""
    text = cell.strip()
    return text[1:] if text.startswith("'") and safe(text[1:]) == text else text


def _flag(name: str, cell: str) -> bool:
    if cell.lower() not in _FLAGS:
        raise ValueError(Wording("%(name)s: expected yes or no", name=name))
    return _FLAGS[cell.lower()]


def _limits(cell: str) -> tuple[Limit, ...]:
    try:
        return parse_limits(cell)
    except ValueError as error:
        raise ValueError(Wording("limits: %(error)s", error=words_of(error))) from None


def _cells(person: Person, limits: Sequence[Limit]) -> Iterator[str]:
    yield person.name
    yield person.email or ""
    yield "; ".join(person.groups)
    yield "yes" if person.admin else ""
    yield "yes" if person.disabled else ""
    yield person.note
    yield ", ".join(map(_sentence, limits))


def _sentence(limit: Limit) -> str:
    """What `parse_limits` reads."""
    amount = usd(limit.amount) if limit.unit is Unit.USD else str(limit.amount)
    return f"{amount} {limit.unit}/{limit.window}" + ("" if limit.family == "*" else f" {limit.family}")
