"""Requests as a file: cut anywhere and gone on with, and read back into another house."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from server.admin.long_work import Job, WorkError, WorkPace
from server.cli.row_files import Found, ImportedRows, export, import_rows, whole_part
from server.ledger.reports import Which
from server.ledger.usage import UsageRow
from tests.usage.rows import row
from tests.workbench import Interrupting, actions, all_rows, job, ledger, rows, sums_by_day

ADA = {"usr_ada": "Ada"}
ODD = [
    row("2026-11-12T10:00:00Z", request_id="req_odd1", model_asked='a "quoted"\r\nand, broken name', token_id=None),
    row("2026-11-12T10:00:00Z", request_id="req_odd2", model_asked="=SUM(A1)", first_byte_ms=None, group=None),
]
NOTHING = Found()
FORMS = ("csv", "jsonl")


async def exported(job: Job, form: str, found: Found = NOTHING) -> bytes:
    file = io.BytesIO()
    await export(job, Which(), ADA, form, file.write, found)
    return file.getvalue()


@pytest.mark.gen_test
@pytest.mark.parametrize("form", FORMS)
async def test_a_file_that_is_cut_anywhere_is_completed_to_what_it_would_have_been(tmp_path: Path, form: str) -> None:
    async with ledger(tmp_path / "a.db", [*rows(6), *ODD]) as store:
        whole = await exported(job(store), form)
        for length in range(0, len(whole) + 1, 29):
            found = whole_part(io.BytesIO(whole[:length]), form)
            assert found.length <= length
            tail = await exported(job(store, pace=WorkPace(100, 0.0)), form, found)
            assert whole[: found.length] + tail == whole


@pytest.mark.gen_test
@pytest.mark.parametrize("form", FORMS)
async def test_an_interrupted_export_goes_on_behind_its_last_line(tmp_path: Path, form: str) -> None:
    async with ledger(tmp_path / "a.db", [*rows(), *ODD]) as store:
        file, again = io.BytesIO(), Interrupting()
        with pytest.raises(KeyboardInterrupt):
            await export(job(store, Interrupting(4)), Which(), ADA, form, file.write, Found())
        found = whole_part(io.BytesIO(file.getvalue()), form)
        assert found.rows == 21
        assert await export(job(store, again), Which(), ADA, form, file.write, found) == 42
        assert again.told[0] == (21, 42)
        assert file.getvalue() == await exported(job(store), form)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("content", [b"something else", b'{"a": 1}\n', b"\xff\xfe\n", b"a,b\r\n1,2\r\n", b"\n"])
def test_another_file_is_not_gone_on_with(form: str, content: bytes) -> None:
    with pytest.raises(WorkError):
        whole_part(io.BytesIO(content), form)


@pytest.mark.gen_test
async def test_an_export_of_the_other_form_or_with_a_broken_middle_is_not_gone_on_with(tmp_path: Path) -> None:
    async with ledger(tmp_path / "a.db", rows(3)) as store:
        table, lines = await exported(job(store), "csv"), await exported(job(store), "jsonl")
    first, second, *others = table.splitlines(keepends=True)
    for form, content in (
        ("csv", lines),
        ("jsonl", table),
        ("csv", first + b'"broken" cell,' + second + b"".join(others)),
        ("csv", first + b"short\r\n"),
        ("csv", first + b"\xff\r\n"),
    ):
        with pytest.raises(WorkError):
            whole_part(io.BytesIO(content), form)


@pytest.mark.parametrize(
    ("form", "content"), [("csv", b"request_id,star"), ("jsonl", b'{"request_id":"req_'), ("csv", b"")]
)
def test_a_file_without_one_whole_line_is_begun_anew(form: str, content: bytes) -> None:
    assert whole_part(io.BytesIO(content), form) == Found()


@pytest.mark.gen_test
async def test_an_export_is_read_back_as_the_same_rows_and_sums(tmp_path: Path) -> None:
    async with ledger(tmp_path / "a.db", [*rows(), *ODD]) as store, ledger(tmp_path / "b.db", []) as other:
        raw = await exported(job(store), "jsonl")
        assert await read_back(job(other), raw) == ImportedRows(42, 0)
        assert await all_rows(other) == await all_rows(store)
        assert await sums_by_day(other) == await sums_by_day(store)
        assert await actions(other) == ["usage.import"]


async def read_back(job: Job, raw: bytes, **people: str) -> ImportedRows:
    return await import_rows(job, io.BytesIO(raw), len(raw), people or {"Ada": "usr_ada"})


@pytest.mark.gen_test
async def test_people_are_those_of_the_same_name(tmp_path: Path) -> None:
    async with ledger(tmp_path / "a.db", rows(1)) as store, ledger(tmp_path / "b.db", []) as other:
        await read_back(job(other), await exported(job(store), "jsonl"), Ada="usr_other")
        assert [each.person_id for each in await all_rows(other)] == ["usr_other"]


@pytest.mark.gen_test
@pytest.mark.parametrize("at", [1, 3, 6])
async def test_an_interrupted_import_is_repeated_and_nothing_stands_there_twice(tmp_path: Path, at: int) -> None:
    async with ledger(tmp_path / "a.db", rows()) as store, ledger(tmp_path / "b.db", []) as other:
        raw = await exported(job(store), "jsonl")
        with pytest.raises(KeyboardInterrupt):
            await read_back(job(other, Interrupting(at)), raw)
        there = min(7 * at, 40)
        assert await read_back(job(other), raw) == ImportedRows(40 - there, there)
        assert await sums_by_day(other) == await sums_by_day(store)


async def line_of(tmp_path: Path, each: UsageRow) -> dict[str, Any]:
    async with ledger(tmp_path / "a.db", [each]) as store:
        line: dict[str, Any] = json.loads(await exported(job(store), "jsonl"))
        return line


WRONG: dict[str, dict[str, Any]] = {
    "an unknown column": {"colour": "red-7"},
    "somebody unknown": {"user": "red-7"},
    "no id": {"request_id": ""},
    "an id for a spreadsheet": {"request_id": "=red-7"},
    "a time without a zone": {"started_at": "2026-11-21T06:05:00"},
    "no day": {"day": "2026-02-30"},
    "another day": {"day": "20261121"},
    "a negative cost": {"cost_micro_usd": -1},
    "a cost as text": {"cost_micro_usd": "red-7"},
    "a fraction": {"input_tokens": 1.5},
    "too many": {"output_tokens": 1 << 60},
    "true as a number": {"attempts": True},
    "an unknown status": {"status": "red-7"},
    "a number as a flag": {"streamed": 1},
}


@pytest.mark.gen_test
@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
async def test_a_line_that_cannot_be_used_is_told_by_its_number_and_not_repeated(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    good = await line_of(tmp_path, rows(1)[0])
    raw = b"".join(json.dumps(each).encode() + b"\n" for each in (good, good | change))
    async with ledger(tmp_path / "b.db", []) as store:
        with pytest.raises(WorkError, match=r"^line 2: ") as refusal:
            await read_back(job(store), raw)
        assert "red-7" not in str(refusal.value)
        assert await all_rows(store) == []


@pytest.mark.gen_test
@pytest.mark.parametrize("line", [b"\n", b"[]\n", b"{}\n", b"nonsense\n", b"\xff\n", b'{"row": {}}'])
async def test_what_is_no_document_of_an_export_is_refused(tmp_path: Path, line: bytes) -> None:
    async with ledger(tmp_path / "b.db", []) as store:
        with pytest.raises(WorkError, match=r"^line 1: "):
            await read_back(job(store), line)
