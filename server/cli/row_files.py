"""Requests as a file: written, gone on with after an interruption, and read back into a store.

A file is a table for spreadsheets or a document in each line (`ledger/export.py`), the oldest request first. Only the
second is read back, perhaps by another installation: people are found there by their names. A request that the store
has already stays as it is, so that a file may be read twice, or again after an interruption.
"""

from __future__ import annotations

import asyncio
import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, BinaryIO

import orjson

from server.admin.long_work import Job, WorkError
from server.ledger.codec import settlement_of
from server.ledger.export import REQUEST_COLUMNS, layout, request_fields
from server.ledger.quota import Settlement
from server.ledger.reports import Cursor, Which
from server.ledger.when import instant

_ID = re.compile(r"[A-Za-z0-9][!-~]{0,127}")
_MOST = 1 << 53  # of any number: beyond it other readers of JSON round

# Columns by the names that rows have for them, where they differ; and the columns that make the usage.
_RENAMED = {"token": "token_id", "model": "model_asked", "price": "price_id"}
_USED = {
    "input_tokens": "input",
    "cached_tokens": "cached",
    "cache_write_tokens": "cache_write",
    "output_tokens": "output",
    "reasoning_tokens": "reasoning",
    "estimated": "estimated",
    "images": "images",
    "audio_ms": "audio_ms",
}
# Those that older exports do not have.
_USED_SINCE = {
    "cache_write_1h_tokens": "cache_write_1h",
    "input_audio_tokens": "input_audio",
    "input_image_tokens": "input_image",
    "output_text_tokens": "output_text",
    "output_audio_tokens": "output_audio",
    "output_image_tokens": "output_image",
    "tool_calls": "tools",
    "service_tier": "tier",
    "geo": "geo",
}


@dataclass(frozen=True, slots=True)
class Found:
    """The whole part of a file that an interruption has cut: its bytes and requests, and the last one's place."""

    length: int = 0
    rows: int = 0
    cursor: Cursor | None = None


@dataclass(frozen=True, slots=True)
class ImportedRows:
    """So many requests were written, so many were there."""

    written: int = 0
    repeated: int = 0


async def export(
    job: Job, which: Which, names: Mapping[str, str], form: str, write: Callable[[bytes], object], found: Found
) -> int:
    """Write requests, oldest first, behind those that were `found`; returns how many there are then.

    `names` are people's, by their ids; `form` is "csv" or "jsonl". Requests that are settled meanwhile may be left out.
    """
    form_of = layout(form, REQUEST_COLUMNS)
    if not found.length:
        write(form_of.head)
    rows, total = found.rows, await job.count(which)
    job.progress(rows, total)
    async for page in job.pages(which, found.cursor):
        write(form_of.page([request_fields(row, names.get(row.person_id, row.person_id)) for row in page]))
        rows += len(page)
        job.progress(rows, max(rows, total))
    return rows


def whole_part(file: BinaryIO, form: str) -> Found:
    """The whole part of an earlier export. Raises WorkError if the file is none of this form: it would be lost."""
    expected = layout("csv", REQUEST_COLUMNS).head if form == "csv" else b'{"request_id":"'
    if not expected.startswith(file.read(len(expected))):
        raise WorkError(NO_EXPORT)
    file.seek(0)
    return _whole_table(file) if form == "csv" else _whole_lines(file)


async def import_rows(job: Job, file: BinaryIO, size: int, people: Mapping[str, str]) -> ImportedRows:
    """Put the requests of a file (a document in each line, `size` bytes) on the ledger; `people` are ids by name.

    No budget is charged. Raises WorkError at the first line that cannot be used, with its number; the steps
    before have been written.
    """
    await job.changes.note(job.actor, "usage.import", "file", None, {"bytes": size})
    written = rows = done = 0
    for batch in _batches(file, job.pace.rows):
        settlements = [_settlement(number, line, people) for number, line in batch]
        written += sum(await job.step(_settled(job, settlements)))
        rows, done = rows + len(batch), done + sum(len(line) for _, line in batch)
        job.progress(done, size)
        await job.rest()
    return ImportedRows(written, rows - written)


async def _settled(job: Job, settlements: Iterable[Settlement]) -> list[bool]:
    return await asyncio.gather(*map(job.store.settle, settlements))


def _batches(file: BinaryIO, rows: int) -> Iterator[list[tuple[int, bytes]]]:
    """Numbered lines, a few at a time."""
    batch: list[tuple[int, bytes]] = []
    for number, line in enumerate(file, start=1):
        batch.append((number, line))
        if len(batch) == rows:
            yield batch
            batch = []
    if batch:
        yield batch


def _settlement(number: int, line: bytes, people: Mapping[str, str]) -> Settlement:
    try:
        return settlement_of(orjson.dumps({"row": _row(_document(line), people)}))
    except (ValueError, TypeError) as error:
        raise WorkError(f"line {number}: {error}") from None


def _document(line: bytes) -> dict[str, Any]:
    """The columns of an export. `ValueError` repeats nothing of the line."""
    try:
        document = orjson.loads(line)
    except ValueError:
        raise ValueError("expected a document in JSON") from None
    if not isinstance(document, dict) or {*document, *_USED_SINCE} != set(REQUEST_COLUMNS):
        raise ValueError("expected the columns of an export, all of them and no others")
    for name, value in document.items():
        if type(value) is int and not 0 <= value < _MOST:
            raise ValueError(f"{name}: expected a number of 0 or more")
    return document


def _row(document: Mapping[str, Any], people: Mapping[str, str]) -> dict[str, Any]:
    """A row as the journal's codec reads it, which checks the types."""
    person = people.get(str(document["user"]))
    if person is None:
        raise ValueError("user: there is no person of this name here, see `user create`")
    if not _ID.fullmatch(str(document["request_id"])):
        raise ValueError("request_id: expected an id")
    _check_day(str(document["day"]))
    left_out = {"user", "cost_usd", *_USED, *_USED_SINCE}
    plain = {_RENAMED.get(name, name): value for name, value in document.items() if name not in left_out}
    used = {field: document[name] for name, field in _USED.items()}
    used |= {field: document[name] for name, field in _USED_SINCE.items() if name in document}
    return {**plain, "person_id": person, "started_at": instant(str(document["started_at"])), "usage": used}


def _check_day(day: str) -> None:
    try:
        if date.fromisoformat(day).isoformat() == day:
            return
    except ValueError:
        pass
    raise ValueError("day: expected a day such as 2026-11-21")


def _whole_lines(file: BinaryIO) -> Found:
    length = rows = 0
    last = b""
    for line in file:
        if not line.endswith(b"\n"):
            break
        length, rows, last = length + len(line), rows + 1, line
    if not rows:
        return Found()
    try:
        document = _document(last)
    except ValueError:
        raise WorkError(NO_EXPORT) from None
    return Found(length, rows, _cursor(document["started_at"], document["request_id"]))


def _whole_table(file: BinaryIO) -> Found:
    """Records, not lines: a cell may hold a line break. One that is cut in the middle of a quoted cell is not whole."""
    read = length = records = 0
    last: list[str] = []

    def lines() -> Iterator[str]:
        nonlocal read
        for line in file:
            if not line.endswith(b"\n"):
                return
            read += len(line)
            yield line.decode()

    try:
        for record in csv.reader(lines(), strict=True):
            length, records, last = read, records + 1, record
    except csv.Error:
        if file.read(1):  # not at the end, where a cell may be cut
            raise WorkError(NO_EXPORT) from None
    except UnicodeDecodeError:
        raise WorkError(NO_EXPORT) from None
    if records < 2:
        return Found(length)
    if len(last) != len(REQUEST_COLUMNS):
        raise WorkError(NO_EXPORT)
    return Found(length, records - 1, _cursor(last[1], last[0]))


NO_EXPORT = "the file is there, and no export of this kind"


def _cursor(started_at: object, request_id: object) -> Cursor:
    try:
        return instant(str(started_at)), str(request_id)
    except ValueError:
        raise WorkError(NO_EXPORT) from None
