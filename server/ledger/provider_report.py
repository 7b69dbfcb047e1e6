"""What a provider says was used: exports of OpenAI's and Anthropic's consoles and admin APIs, as lines of one shape.

Five kinds are read, each known by its own fields: OpenAI's usage and costs as JSON pages (`/v1/organization/usage/...`,
`/v1/organization/costs`) and as the CSV of its console; Anthropic's usage and cost reports as JSON pages
(`/v1/organizations/usage_report/messages`, `/v1/organizations/cost_report`); and the two CSV files of its console.
Days are UTC, as all of them count. Pure: bytes in, lines out. A `ReportError` names the file, the line and the field.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

LARGEST_REPORT = 16 << 20  # bytes
MOST_LINES = 200_000
_MOST = Decimal(10**15)
_A_DAY = 86_400
_KINDS_OF_TOKEN = {"input", "output"}


class ReportError(ValueError):
    """The report cannot be read; the text says where and why."""


@dataclass(frozen=True, slots=True)
class ReportLine:
    """What one line says of a day. None: it does not say. `dollars` are not rounded; input counts what was cached."""

    provider: str
    day: str  # UTC
    model: str | None = None
    key: str | None = None  # the provider's own id or name of it
    input: int | None = None
    output: int | None = None
    dollars: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ProviderReport:
    """One file. `more`: it says itself that it is not whole."""

    lines: tuple[ReportLine, ...]
    more: bool = False


Row = Mapping[str, Any]
Reader = Callable[[str, Row], ReportLine]  # of a day and what it says


def read_report(name: str, content: bytes) -> ProviderReport:
    """The lines of a file, whichever of the kinds it is. `name` stands in errors. Raises ReportError."""
    if len(content) > LARGEST_REPORT:
        raise ReportError(f"{name}: larger than {LARGEST_REPORT >> 20} MiB; export fewer days at a time")
    try:
        text = content.decode("utf-8-sig")
    except ValueError:
        raise ReportError(f"{name}: no text in UTF-8") from None
    return _of_json(name, text) if text.lstrip()[:1] in ("{", "[") else _of_table(name, text)


def _of_json(name: str, text: str) -> ProviderReport:
    try:
        found = json.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise ReportError(f"{name}, line {line}: no valid JSON") from None
    pages = found if isinstance(found, list) else [found]
    lines: list[ReportLine] = []
    for number, page in enumerate(pages, 1):
        for place, bucket in _items(name, page, "data", f"page {number}"):
            lines += _of_bucket(f"{name}, {place}", bucket)
            if len(lines) > MOST_LINES:
                raise _too_many(name)
    return ProviderReport(tuple(lines), bool(pages and pages[-1].get("has_more")))


def _items(name: str, holder: Any, field: str, place: str) -> Iterator[tuple[str, Row]]:
    found = holder.get(field) if isinstance(holder, dict) else None
    if not isinstance(found, list):
        raise ReportError(f"{name}, {place}: expected a list in `{field}`, as the provider's API answers")
    for number, each in enumerate(found, 1):
        inner = f"{place}, {field} {number}"
        if not isinstance(each, dict):
            raise ReportError(f"{name}, {inner}: expected an object")
        yield inner, each


def _of_bucket(place: str, bucket: Row) -> Iterator[ReportLine]:
    openai = "start_time" in bucket
    day = _day_of_seconds(place, bucket) if openai else _day(place, bucket, "starting_at")
    empty = True
    for inner, result in _items(place, bucket, "results", "its bucket"):
        empty = False
        yield _OF_RESULT[openai, "amount" in result](f"{place}, {inner}", {**result, "day": day})
    if empty:
        yield ReportLine("openai" if openai else "anthropic", day)


def _of_table(name: str, text: str) -> ProviderReport:
    first = text.partition("\n")[0]
    table = csv.reader(io.StringIO(text, newline=""), delimiter=next((sign for sign in "\t;" if sign in first), ","))
    try:
        head = [each.strip() for each in next(table, [])]
        reader = next((reader for field, reader in _OF_HEAD.items() if field in head), None)
        if reader is None:
            known = ", ".join(f"`{field}`" for field in _OF_HEAD)
            raise ReportError(f"{name}, line 1: no column tells what this file is; expected one of {known}")
        return ProviderReport(tuple(_rows(name, head, table, reader)))
    except csv.Error:
        raise ReportError(f"{name}, line {table.line_num}: no valid CSV") from None


def _rows(name: str, head: list[str], table: Any, reader: Reader) -> Iterator[ReportLine]:
    for count, cells in enumerate(table):
        place = f"{name}, line {table.line_num}"
        if count >= MOST_LINES:
            raise _too_many(name)
        if not any(cells):
            continue
        line = reader(place, {field: cell.strip() or None for field, cell in zip(head, cells, strict=False)})
        # A day on which nothing was used has nothing but blanks behind it, which what is pasted often loses.
        if len(cells) > len(head) or (len(cells) < len(head) and line != ReportLine(line.provider, line.day)):
            raise ReportError(f"{place}: {len(cells)} fields where the first line names {len(head)}")
        yield line


def _too_many(name: str) -> ReportError:
    return ReportError(f"{name}: more than {MOST_LINES:,} lines; export fewer days at a time")


def _openai_usage(place: str, row: Row) -> ReportLine:
    if row.get("num_model_requests") is None and row.get("input_tokens") is None:
        return ReportLine("openai", _bucket_day(place, row))  # a day on which nothing was used
    tokens, output = (_whole(place, row, name) for name in ("input_tokens", "output_tokens"))
    return ReportLine("openai", _bucket_day(place, row), _text(row, "model"), _text(row, "api_key_id"), tokens, output)


def _openai_costs(place: str, row: Row) -> ReportLine:
    amount = row.get("amount") or {}
    if not isinstance(amount, dict):
        raise ReportError(f"{place}: `amount` is no object of value and currency")
    value, currency = amount.get("value", row.get("amount_value")), amount.get("currency", row.get("amount_currency"))
    if value is None:
        return ReportLine("openai", _bucket_day(place, row))
    if str(currency).lower() != "usd":
        raise ReportError(f"{place}: the currency is not usd")
    item = _text(row, "line_item")
    model, _, kind = (item or "").partition(", ")  # "gpt-4o-2024-08-06, cached input"
    known = model and _KINDS_OF_TOKEN.intersection(kind.split())
    dollars = _number(place, "amount", value)
    key = _text(row, "api_key_id")
    return ReportLine("openai", _bucket_day(place, row), model if known else item, key, dollars=dollars)


def _anthropic_usage(place: str, row: Row) -> ReportLine:
    created = row.get("cache_creation") or {}
    if not isinstance(created, dict):
        raise ReportError(f"{place}: `cache_creation` is no object")
    input_tokens = _added(place, {**row, **created}, _ANTHROPIC_INPUT)
    output = _added(place, row, ("output_tokens", "usage_output_tokens"))
    model, key = _text(row, "model", "model_version"), _text(row, "api_key", "api_key_id")
    return ReportLine("anthropic", _bucket_day(place, row), model, key, input_tokens, output)


CENT = Decimal("0.01")  # of a dollar


def _anthropic_costs(place: str, row: Row) -> ReportLine:
    if "cost_usd" in row:
        dollars = _number(place, "cost_usd", row["cost_usd"])
    else:
        if str(row.get("currency", "USD")).upper() != "USD":
            raise ReportError(f"{place}: the currency is not USD")
        dollars = _number(place, "amount", row.get("amount")) * CENT  # a decimal text of cents
    model = _text(row, "model", "description", "cost_type")
    return ReportLine("anthropic", _bucket_day(place, row), model, _text(row, "api_key", "api_key_id"), dollars=dollars)


_ANTHROPIC_INPUT = (
    *("uncached_input_tokens", "cache_read_input_tokens", "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"),
    *("usage_input_tokens_no_cache", "usage_input_tokens_cache_read"),
    *("usage_input_tokens_cache_write_5m", "usage_input_tokens_cache_write_1h", "usage_input_tokens_cache_write"),
)
_OF_RESULT: Mapping[tuple[bool, bool], Reader] = {  # whether it is OpenAI's, and whether it has an amount
    (True, True): _openai_costs,
    (True, False): _openai_usage,
    (False, True): _anthropic_costs,
    (False, False): _anthropic_usage,
}
_OF_HEAD: Mapping[str, Reader] = {
    "amount_value": _openai_costs,
    "num_model_requests": _openai_usage,
    "usage_input_tokens_no_cache": _anthropic_usage,
    "cost_usd": _anthropic_costs,
}


def _bucket_day(place: str, row: Row) -> str:
    if "day" in row:
        return str(row["day"])
    return _day(place, row, "usage_date_utc") if "usage_date_utc" in row else _day_of_seconds(place, row)


def _day_of_seconds(place: str, row: Row) -> str:
    starts, ends = _whole(place, row, "start_time"), _whole(place, row, "end_time")
    if not 0 < ends - starts <= _A_DAY:
        raise ReportError(f"{place}: from `start_time` to `end_time` is more than a day; ask for buckets of one day")
    try:
        return datetime.fromtimestamp(starts, UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        raise ReportError(f"{place}: `start_time` is no time in seconds") from None


def _day(place: str, row: Row, field: str) -> str:
    try:
        return date.fromisoformat(str(row.get(field))[:10]).isoformat()
    except ValueError:
        raise ReportError(f"{place}: `{field}` is no day such as 2026-11-30") from None


def _added(place: str, row: Row, fields: Iterable[str]) -> int:
    return sum(_whole(place, row, field) for field in fields if row.get(field) is not None)


def _whole(place: str, row: Row, field: str) -> int:
    found = _number(place, field, row.get(field) or 0)
    if found < 0 or found != found.to_integral_value():
        raise ReportError(f"{place}: `{field}` is no count")
    return int(found)


def _number(place: str, field: str, value: object) -> Decimal:
    try:
        if isinstance(value, bool):
            raise ValueError
        found = Decimal(str(value))
    except (ArithmeticError, ValueError):
        raise ReportError(f"{place}: `{field}` is no number") from None
    if not found.is_finite() or abs(found) > _MOST:
        raise ReportError(f"{place}: `{field}` is beyond all bounds")
    return found


def _text(row: Row, *fields: str) -> str | None:
    found = next((row[field] for field in fields if row.get(field)), None)
    return None if found is None else str(found)[:256]
