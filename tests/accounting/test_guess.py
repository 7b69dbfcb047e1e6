"""What a request will probably use: one estimate for its hold and for its row, priced once."""

from __future__ import annotations

import pytest

from server.accounting.bill import Bill
from server.ledger.holds import Who
from server.ledger.prices import Price, Rates
from server.wire.usage import Usage

PRICE = Price("p", "gpt-5", 0, Rates(input=2_000_000, output=10_000_000, request=7))


def bill(asked: Usage) -> Bill:
    return Bill("req_1", 0, "2026-11-21", Who("usr_ada"), "gpt-5", "openai", PRICE, asked=asked)


@pytest.mark.parametrize(
    "asked", [Usage(), Usage(tools="web_search=2"), Usage(tier="priority", geo="us")], ids=["plain", "tools", "service"]
)
@pytest.mark.parametrize(("read", "written"), [(0, 0), (100, 20)])
def test_a_guess_has_the_tools_and_the_service_and_costs_what_they_cost(asked: Usage, read: int, written: int) -> None:
    it = bill(asked)
    it.output = written
    guess = it.guessed(read)
    same = Usage(read, output=written, estimated=True, tools=asked.tools, tier=asked.tier, geo=asked.geo)
    assert guess == same
    assert it.cost(guess) == it.cost(same)


def test_another_length_is_another_guess() -> None:
    it = bill(Usage())
    it.output = 20
    first = it.guessed(100)
    assert it.guessed(100) is first
    assert it.guessed(101).input == 101
    it.output = 21
    assert (it.guessed(101).output, it.cost(it.guessed(101))) == (21, 7 + 2 * 101 + 10 * 21)
