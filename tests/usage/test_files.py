"""`GET /api/requests/export`: requests as a file, of any length."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from urllib.parse import urlsplit

import aiohttp
import pytest

from server.ledger.export import REQUEST_COLUMNS, request_fields
from server.ledger.reports import Cursor, Which
from server.ledger.usage import UsageRow
from server.store.base import Store, StoreError
from tests.faults.stage import until
from tests.usage.office import MANY, Delegate, Office
from tests.usage.rows import row

EXPORT = "/api/requests/export"


@pytest.mark.gen_test
async def test_a_table_has_all_columns_and_the_oldest_first(office: Office) -> None:
    answer = await office.get(EXPORT)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="fairgate-requests.csv"'
    assert tuple(answer.table[0]) == REQUEST_COLUMNS
    ids = [each["request_id"] for each in answer.table]
    assert ids == [office.rows[name].request_id for name in ("month", "last", "first", "cut")]


@pytest.mark.gen_test
@pytest.mark.parametrize(("format", "kind"), [("json", "application/json"), ("jsonl", "application/jsonl")])
async def test_json_has_the_fields_of_the_api(office: Office, format: str, kind: str) -> None:
    answer = await office.get(f"{EXPORT}?format={format}&after=2026-11-20T23:00:00Z")
    documents = answer.json if format == "json" else [json.loads(line) for line in answer.text.splitlines()]
    assert documents == [request_fields(office.rows[name], "ada") for name in ("first", "cut")]
    assert answer.headers["content-type"] == kind
    assert answer.headers["content-disposition"].endswith(f'requests.{format}"')


@pytest.mark.gen_test
@pytest.mark.parametrize("format", ["csv", "json", "jsonl"])
async def test_many_pages_are_one_file(office: Office, format: str) -> None:
    answer = await office.get(f"{EXPORT}?format={format}", "dora")
    if format == "csv":
        ids = [each["request_id"] for each in answer.table]
    else:
        documents = answer.json if format == "json" else map(json.loads, answer.text.splitlines())
        ids = [each["request_id"] for each in documents]
    assert (len(ids), len(set(ids))) == (MANY, MANY)


@pytest.mark.gen_test
@pytest.mark.parametrize(("format", "text"), [("jsonl", ""), ("json", "[\n\n]\n")])
async def test_no_requests_are_a_whole_file_too(office: Office, format: str, text: str) -> None:
    answer = await office.get(f"{EXPORT}?format={format}&model=nobody-asked")
    assert (answer.status, answer.text) == (200, text)


@pytest.mark.gen_test
async def test_what_a_caller_named_a_model_is_no_formula_in_an_administrators_sheet(office: Office) -> None:
    (line,) = (await office.get(f"{EXPORT}?user=bob&before=2026-10-01T00:00:00Z", "boss")).table
    assert (line["user"], line["model"]) == ("bob", """'=HYPERLINK("//evil","x")""")


@pytest.mark.gen_test
async def test_an_administrator_gets_everybodys(office: Office) -> None:
    table = (await office.get(EXPORT, "boss")).table
    assert {each["user"] for each in table} == {"ada", "bob", "dora"}
    assert len(table) == MANY + len(office.rows)


# A file that does not come to its end


class Breaking(Delegate):
    """A store that is lost after the first page."""

    async def usage_after(self, which: Which, cursor: Cursor | None, limit: int) -> list[UsageRow]:
        if cursor is not None:
            raise StoreError("lost")
        return await self.store.usage_after(which, cursor, limit)


class Endless(Delegate):
    """A store with more rows than anybody can read; `asked` counts its pages."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.asked = 0

    async def usage_after(self, which: Which, cursor: Cursor | None, limit: int) -> list[UsageRow]:
        self.asked += 1
        return [row(person_id=which.person_id)] * limit


async def at_rest(store: Endless) -> int:
    """Return when nothing is asked for any more, for many turns of the loop: how much it was."""
    asked = -1
    while asked != store.asked:
        asked = store.asked
        for _ in range(200):
            await asyncio.sleep(0)
    return asked


async def begun(office: Office) -> asyncio.StreamWriter:
    """Somebody who asks for a file and reads its beginning only."""
    address = urlsplit(office.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=1024)
    head = f"GET {EXPORT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {office.tokens['ada']}\r\n\r\n"
    writer.write(head.encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    return writer


async def left(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with suppress(ConnectionError):
        await writer.wait_closed()


@pytest.mark.gen_test
@pytest.mark.parametrize("format", ["csv", "json", "jsonl"])
async def test_a_file_that_breaks_off_does_not_look_like_a_whole_one(office: Office, format: str) -> None:
    with office.with_store(Breaking(office.services.store)), pytest.raises(aiohttp.ClientPayloadError):
        await office.get(f"{EXPORT}?format={format}", "dora")


@pytest.mark.gen_test
@pytest.mark.slow
async def test_no_more_is_taken_from_the_store_than_is_read_and_nothing_once_the_reader_has_left(
    office: Office,
) -> None:
    before, store = asyncio.all_tasks(), Endless(office.services.store)
    with office.with_store(store):
        writer = await begun(office)
        assert await at_rest(store) < 500  # what the sockets hold
        await left(writer)
        await until(lambda: asyncio.all_tasks() <= before)


@pytest.mark.gen_test
@pytest.mark.slow
async def test_a_reader_who_takes_nothing_for_too_long_is_let_go(office: Office) -> None:
    before, store = asyncio.all_tasks(), Endless(office.services.store)
    with office.with_store(store), office.with_settings(write_seconds=0.05):
        writer = await begun(office)
        await until(lambda: len(asyncio.all_tasks() - before) == 0)
        await left(writer)
