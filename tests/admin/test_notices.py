"""Notices: one plain line with a beginning and an end."""

from __future__ import annotations

from typing import Any

import pytest

from server.policy.notices import Notice, NoticeKind, notice_body, notice_of

BODY: dict[str, Any] = {"kind": "incident", "text": "Slow <today>", "since": 10, "until": 20}


def test_a_notice_is_read_back_as_it_was_written() -> None:
    notice = Notice("ntc_1", NoticeKind.INCIDENT, "Slow <today>", 10, 20)
    assert notice_body(notice) == BODY
    assert notice_of("ntc_1", BODY) == notice


def test_a_notice_holds_from_its_beginning_until_just_before_its_end() -> None:
    notice = notice_of("ntc_1", BODY)
    assert [at for at in range(8, 23) if notice.holds_at(at)] == list(range(10, 20))
    assert Notice("ntc_2", NoticeKind.INCIDENT, "Open end", 10).holds_at(10**13)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "rumour"},
        {"text": ""},
        {"text": "  "},
        {"text": "two\nlines"},
        {"text": "\x1b[2J"},
        {"text": "x" * 501},
        {"text": 5},
        {"since": None},
        {"since": True},
        {"since": -1},
        {"until": 10},
        {"until": "20"},
        {"until": 10**15},
        {"colour": "red"},
    ],
)
def test_a_mistake_is_refused_and_not_repeated(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as refusal:
        notice_of("ntc_1", BODY | wrong)
    assert "rumour" not in str(refusal.value)
    assert "red" not in str(refusal.value)


def test_a_notice_has_an_id() -> None:
    with pytest.raises(ValueError):
        notice_of("", BODY)
