"""How requests and sums are told, and what a spreadsheet may be given."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.ledger.export import (
    REQUEST_COLUMNS,
    Fields,
    added,
    layout,
    request_fields,
    safe,
    sum_columns,
    sum_fields,
)
from server.ledger.reports import Sum
from server.ledger.usage import Outcome
from tests.usage.rows import row


def written(format: str, columns: Sequence[str], *pages: Sequence[Fields]) -> str:
    """A whole file, as it is sent."""
    form = layout(format, columns)
    body = form.joint.join(form.page(page) for page in pages)
    return (form.head + body + form.tail).decode()


def table(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def test_a_request_is_told_with_all_that_is_known_of_it() -> None:
    told = request_fields(row(request_id="req_1", status=Outcome.CUT, client_aborted=True), "ada")
    assert told == {
        "request_id": "req_1",
        "started_at": "2026-11-21T06:05:00.000Z",
        "day": "2026-11-21",
        "user": "ada",
        "group": "physics",
        "token": "tok_1",
        "model": "gpt-5",
        "model_served": "gpt-5-2025-08-07",
        "alias": "",
        "endpoint": "/v1/chat/completions",
        "dialect": "openai",
        "upstream": "openai",
        "key": "0a1b2c3d",
        "status": "cut",
        "queue_ms": 12,
        "first_byte_ms": 345,
        "duration_ms": 678,
        "attempts": 1,
        "streamed": True,
        "client_aborted": True,
        "input_tokens": 100,
        "cached_tokens": 40,
        "cache_write_tokens": 5,
        "output_tokens": 20,
        "reasoning_tokens": 8,
        "images": 0,
        "audio_ms": 0,
        "cache_write_1h_tokens": 0,
        "input_audio_tokens": 0,
        "input_image_tokens": 0,
        "output_text_tokens": 0,
        "output_audio_tokens": 0,
        "output_image_tokens": 0,
        "tool_calls": "",
        "service_tier": "",
        "geo": "",
        "estimated": False,
        "cost_usd": "1.250075",
        "cost_micro_usd": 1_250_075,
        "price": "genai:openai/gpt-5",
        "error": "",
    }


def test_the_columns_of_requests_are_their_fields() -> None:
    assert tuple(request_fields(row(), "ada")) == REQUEST_COLUMNS


def test_a_sum_is_told_with_its_averages_rounded_to_a_micro_dollar() -> None:
    found = Sum(requests=3, input=100, cached=40, cache_write=5, output=20, reasoning=8, cost_micro_usd=2_000_000)
    assert sum_fields(found) == {
        "requests": 3,
        "input_tokens": 100,
        "cached_tokens": 40,
        "cache_write_tokens": 5,
        "output_tokens": 20,
        "reasoning_tokens": 8,
        "total_tokens": 120,
        "cost_usd": "2.00",
        "cost_micro_usd": 2_000_000,
        "average_tokens": 40,
        "average_cost_usd": "0.666667",
    }


def test_the_averages_of_no_requests_are_zero() -> None:
    told = sum_fields(Sum())
    assert (told["average_tokens"], told["average_cost_usd"]) == (0, "0.00")


def test_sums_add_up() -> None:
    one = Sum(key=("a",), requests=1, input=2, cached=3, cache_write=4, output=5, reasoning=6, cost_micro_usd=7)
    two = Sum(key=("b",), requests=10, input=20, cached=30, cache_write=40, output=50, reasoning=60, cost_micro_usd=70)
    assert added([one, two]) == Sum(
        requests=11, input=22, cached=33, cache_write=44, output=55, reasoning=66, cost_micro_usd=77
    )
    assert added([]) == Sum()


def test_the_columns_of_sums_begin_with_what_they_are_grouped_by() -> None:
    assert sum_columns(["day", "user"])[:3] == ["day", "user", "requests"]


# Files


PAGES: tuple[list[Fields], ...] = ([{"name": "a", "n": 1}, {"name": "b", "n": 2}], [{"name": None, "n": 3}])


def test_a_table_has_one_header_and_a_line_for_each() -> None:
    assert written("csv", ["name", "n"], *PAGES) == "name,n\r\na,1\r\nb,2\r\n,3\r\n"


def test_lines_of_json_are_a_document_each() -> None:
    text = written("jsonl", ["name", "n"], *PAGES)
    assert [json.loads(line) for line in text.splitlines()] == [*PAGES[0], *PAGES[1]]
    assert text.endswith("\n")


def test_json_is_one_document() -> None:
    assert json.loads(written("json", ["name", "n"], *PAGES)) == [*PAGES[0], *PAGES[1]]


@pytest.mark.parametrize(("format", "text"), [("csv", "name,n\r\n"), ("jsonl", ""), ("json", "[\n\n]\n")])
def test_an_empty_list_is_a_whole_file_too(format: str, text: str) -> None:
    assert written(format, ["name", "n"]) == text


# What a spreadsheet takes for a formula


@pytest.mark.parametrize(
    "cell",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=HYPERLINK(A1)", "＝1", "－1", "=", "-"],
)
def test_a_text_that_begins_like_a_formula_gets_a_quote(cell: str) -> None:
    assert safe(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["gpt-5", "", "1", "a=1", "'=1", 5, -5, None])
def test_all_else_stays_as_it_is(cell: str | int | None) -> None:
    assert safe(cell) == cell


def test_yes_and_no_are_told_as_in_json() -> None:
    assert (safe(True), safe(False)) == ("true", "false")


HOSTILE = st.text(alphabet="=+-@\t\r\n\",;'a1é＝\0", max_size=8)


@given(st.lists(st.tuples(HOSTILE, HOSTILE), max_size=4))
@settings(deadline=None, max_examples=150)
def test_no_text_breaks_out_of_its_cell_or_becomes_a_formula(pairs: list[tuple[str, str]]) -> None:
    page: list[Fields] = [{"a": first, "b": second} for first, second in pairs]
    read = table(written("csv", ["a", "b"], *([page] if page else [])))
    assert read[0] == ["a", "b"]
    assert len(read) == len(pairs) + 1
    for cells, pair in zip(read[1:], pairs, strict=True):
        assert [cell.removeprefix("'") for cell in cells] == [text.removeprefix("'") for text in pair]
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝")) for cell in cells)
