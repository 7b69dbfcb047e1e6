"""The ledger's rows and sums in JSON, and as tables for spreadsheets.

Requests and sums have the same names everywhere: in a page, in a table, in a line of JSON. Money stands there
twice: as an integer of micro-USD to compute with, and as dollars with all their digits to read. A float would be wrong
in the seventh digit, and a reader would add up a year of them.

A table is CSV as RFC 4180 has it. A spreadsheet takes a text for a formula if it begins with one of `= + - @`, a tab or
a line break, and formulas can send a sheet's contents elsewhere. Texts that callers write themselves (a model's name,
their own) come into an administrator's sheet, so such a text gets a quote in front, as OWASP advises ("CSV Injection").
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import orjson

from server.ledger.money import divided, usd
from server.ledger.refused import RefusedRequest
from server.ledger.reports import Sum
from server.ledger.usage import UsageRow
from server.ledger.when import iso
from server.wire.usage import Usage

Cell = str | int | bool | None
Fields = dict[str, Cell]  # in the order of the columns

JSON_TYPE = "application/json"
CSV_TYPE = "text/csv; charset=utf-8"

REFUSED_COLUMNS = (
    *("request_id", "first_at", "last_at", "count", "user", "token"),
    *("model", "endpoint", "status", "code", "detail"),
)
REQUEST_COLUMNS = (
    "request_id",
    "started_at",
    "day",
    "user",
    "group",
    "token",
    "model",
    "model_served",
    "alias",
    "endpoint",
    "dialect",
    "upstream",
    "key",
    "status",
    "queue_ms",
    "first_byte_ms",
    "duration_ms",
    "attempts",
    "streamed",
    "client_aborted",
    "input_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "images",
    "audio_ms",
    "cache_write_1h_tokens",
    "input_audio_tokens",
    "input_image_tokens",
    "output_text_tokens",
    "output_audio_tokens",
    "output_image_tokens",
    "tool_calls",
    "service_tier",
    "geo",
    "estimated",
    "cost_usd",
    "cost_micro_usd",
    "price",
    "error",
)

_FORMULA = tuple("=+-@\t\r\n＝＋－＠")  # the wide ones are taken for the narrow ones


@dataclass(frozen=True, slots=True)
class Layout:
    """How a long list is written page by page: what stands before, between and behind the pages."""

    suffix: str
    content_type: str
    head: bytes
    joint: bytes
    tail: bytes
    page: Callable[[Sequence[Fields]], bytes]  # of at least one


def request_fields(row: UsageRow, user: str) -> Fields:
    """One request. `user` is the person's name."""
    return {
        "request_id": row.request_id,
        "started_at": iso(row.started_at),
        "day": row.day,
        "user": user,
        "group": row.group,
        "token": row.token_id,
        "model": row.model_asked,
        "model_served": row.model_served,
        "alias": row.alias,
        "endpoint": row.endpoint,
        "dialect": row.dialect,
        "upstream": row.upstream,
        "key": row.key,
        "status": row.status.value,
        "queue_ms": row.queue_ms,
        "first_byte_ms": row.first_byte_ms,
        "duration_ms": row.duration_ms,
        "attempts": row.attempts,
        "streamed": row.streamed,
        "client_aborted": row.client_aborted,
        **usage_fields(row.usage),
        "cost_usd": usd(row.cost_micro_usd),
        "cost_micro_usd": row.cost_micro_usd,
        "price": row.price_id,
        "error": row.error,
    }


def refused_fields(refused: RefusedRequest, user: str) -> Fields:
    """Alike requests that were refused. `user` is the person's name."""
    return {
        "request_id": refused.request_id,
        "first_at": iso(refused.first_at),
        "last_at": iso(refused.last_at),
        "count": refused.count,
        "user": user,
        "token": refused.token_id,
        "model": refused.model or None,
        "endpoint": refused.endpoint or None,
        "status": refused.status,
        "code": refused.code,
        "detail": refused.detail or None,
    }


def usage_fields(used: Usage) -> Fields:
    """The usage of one request, by kind."""
    return {
        "input_tokens": used.input,
        "cached_tokens": used.cached,
        "cache_write_tokens": used.cache_write,
        "output_tokens": used.output,
        "reasoning_tokens": used.reasoning,
        "images": used.images,
        "audio_ms": used.audio_ms,
        "cache_write_1h_tokens": used.cache_write_1h,
        "input_audio_tokens": used.input_audio,
        "input_image_tokens": used.input_image,
        "output_text_tokens": used.output_text,
        "output_audio_tokens": used.output_audio,
        "output_image_tokens": used.output_image,
        "tool_calls": used.tools,
        "service_tier": used.tier,
        "geo": used.geo,
        "estimated": used.estimated,
    }


def sum_fields(found: Sum) -> Fields:
    """One sum, without what it was grouped by. The averages are those of one request, and 0 if there was none."""
    return {
        "requests": found.requests,
        "input_tokens": found.input,
        "cached_tokens": found.cached,
        "cache_write_tokens": found.cache_write,
        "output_tokens": found.output,
        "reasoning_tokens": found.reasoning,
        "total_tokens": found.input + found.output,
        "cost_usd": usd(found.cost_micro_usd),
        "cost_micro_usd": found.cost_micro_usd,
        "average_tokens": _average(found.input + found.output, found.requests),
        "average_cost_usd": usd(_average(found.cost_micro_usd, found.requests)),
    }


def sum_columns(grouped_by: Sequence[str]) -> list[str]:
    """The columns of a table of sums that are grouped by these."""
    return [*grouped_by, *sum_fields(Sum())]


def added(sums: Sequence[Sum]) -> Sum:
    """All of them together, without a key."""
    return Sum(
        requests=sum(each.requests for each in sums),
        input=sum(each.input for each in sums),
        cached=sum(each.cached for each in sums),
        cache_write=sum(each.cache_write for each in sums),
        output=sum(each.output for each in sums),
        reasoning=sum(each.reasoning for each in sums),
        cost_micro_usd=sum(each.cost_micro_usd for each in sums),
    )


def layout(format: str, columns: Sequence[str]) -> Layout:
    """How a list with these columns is written as "csv", as "jsonl" (a document in each line) or as "json"."""
    if format == "csv":
        return Layout("csv", CSV_TYPE, _table([columns]), b"", b"", lambda page: _table(row.values() for row in page))
    if format == "jsonl":
        return Layout("jsonl", "application/jsonl", b"", b"", b"", lambda page: _documents(page, b"\n") + b"\n")
    return Layout("json", JSON_TYPE, b"[\n", b",\n", b"\n]\n", lambda page: _documents(page, b",\n"))


def safe(cell: Cell) -> Cell:
    """A cell that no spreadsheet takes for a formula."""
    if isinstance(cell, str) and cell.startswith(_FORMULA):
        return f"'{cell}"
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return cell


def _table(rows: Iterable[Iterable[Cell]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(map(safe, row) for row in rows)
    return text.getvalue().encode()


def _documents(page: Sequence[Fields], between: bytes) -> bytes:
    return between.join(map(orjson.dumps, page))


def _average(total: int, number: int) -> int:
    return divided(total, number) if number else 0
