"""A change in words, line by line: on the audit page, and before it is saved."""

from __future__ import annotations

from typing import Any

import pytest

from server.admin.differences import differences, lines

TERMS = {"kind": "normal", "models": ["gpt-5*"], "networks": [], "addresses": 0, "keepalive": ""}


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ({"amount": 5_000_000, "unit": "usd"}, "amount: 5.00 USD"),
        ({"amount": 5, "unit": "requests"}, "amount: 5"),
        ({"models": []}, "models: all"),
        ({"note": ""}, "note: –"),
        ({"batch": True}, "batch: yes"),
        ({"until": 1_798_761_600_000}, "until: 2027-01-01T00:00:00.000Z"),
        ({"tool_prices": [{"tool": "web_search", "micro_usd": 10_000}]}, "tool_prices: web_search=0.01"),
        ({"terms": TERMS}, "terms: kind normal, models gpt-5*"),
        ({"terms": {}}, "terms: –"),
    ],
)
def test_a_field_is_a_line_in_words(body: dict[str, Any], line: str) -> None:
    assert next(iter(lines(body))) == line


def test_what_stays_as_it_is_is_no_difference() -> None:
    before, after = {"weight": 1.0, "note": "", "join": "a"}, {"weight": 2.0, "note": "", "join": "b"}
    assert differences(before, after) == ["weight: 1.0 → 2.0"]
