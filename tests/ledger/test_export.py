"""The layouts of an exported list: server/ledger/export.py."""

from __future__ import annotations

import json

import pytest

from server.ledger.export import layout

PAGES = [[{"model": "gpt-4o", "cost": 1}, {"model": "o3", "cost": 2}], [{"model": "o3", "cost": 3}]]


def written(format: str) -> str:
    laid = layout(format, ["model", "cost"])
    pages = laid.joint.join(laid.page(page) for page in PAGES)
    return (laid.head + pages + laid.tail).decode()


def test_pages_of_json_make_one_document() -> None:
    assert json.loads(written("json")) == [*PAGES[0], *PAGES[1]]


def test_pages_of_jsonl_have_a_document_in_each_line() -> None:
    assert [json.loads(line) for line in written("jsonl").splitlines()] == [*PAGES[0], *PAGES[1]]


def test_a_table_has_its_columns_named_once() -> None:
    assert written("csv").splitlines() == ["model,cost", "gpt-4o,1", "o3,2", "o3,3"]


@pytest.mark.parametrize("format", ["csv", "jsonl", "json"])
def test_a_layout_is_named_as_it_was_asked_for(format: str) -> None:
    assert layout(format, []).suffix == format
