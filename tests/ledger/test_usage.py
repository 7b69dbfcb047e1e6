"""What a usage row may and may not hold."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from server.ledger.usage import Outcome, UsageRow
from tests.store.samples import usage_row


def test_a_row_is_never_changed() -> None:
    row = usage_row("r")
    with pytest.raises(FrozenInstanceError):
        row.cost_micro_usd = 0  # type: ignore[misc]


def test_a_row_has_no_room_for_the_text_of_a_prompt_or_of_an_answer() -> None:
    names = {field.name for field in fields(UsageRow)}
    assert not names & {"prompt", "messages", "input", "text", "content", "answer", "output", "body"}


def test_outcomes_are_kept_by_their_plain_names() -> None:
    names = ["cancelled", "rejected", "failed", "cut", "interrupted", "completed"]
    assert [str(outcome) for outcome in Outcome] == names
