"""docs/usage-api.md: every example is asked, and answered as it stands there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from server.ledger.question import FILTERS, GROUPINGS
from server.ledger.usage import Outcome
from tests.usage.office import Office, budget

DOCS = (Path(__file__).parents[2] / "docs" / "usage-api.md").read_text()
EXAMPLES = re.findall(r"```\nGET (/api/\S+)\n```\n```(json|csv)\n(.*?)```", DOCS, re.DOTALL)
RANDOM = ("request_id", "id", "hint", "created_at", "resets_at")


def masked(document: Any) -> Any:
    """The document without what is another one each time."""
    if isinstance(document, list):
        return [masked(each) for each in document]
    if isinstance(document, dict):
        return {name: "…" if name in RANDOM else masked(value) for name, value in document.items()}
    return document


@pytest.mark.gen_test
@pytest.mark.parametrize(("path", "kind", "text"), EXAMPLES, ids=[path for path, _, _ in EXAMPLES])
async def test_an_example_is_true(office: Office, path: str, kind: str, text: str) -> None:
    async with office.with_record(budget(office.ids["ada"])):
        answer = await office.get(path)
    assert answer.status == 200
    if kind == "json":
        assert masked(answer.json) == masked(json.loads(text))
    else:
        assert answer.text.replace("\r\n", "\n") == text


def test_there_are_examples_of_all_that_answers_with_a_document() -> None:
    assert {path.partition("?")[0] for path, _, _ in EXAMPLES} == {
        "/api/usage",
        "/api/me/usage",
        "/api/requests",
        "/api/me",
    }


def test_every_word_that_callers_may_use_is_there() -> None:
    for word in (*FILTERS, *GROUPINGS, *Outcome, "by", "format", "limit", "cursor"):
        assert f"`{word}`" in DOCS
