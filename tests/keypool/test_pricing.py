"""What a request pays: its ticket, and the guess of its cost."""

from __future__ import annotations

from typing import Any

import pytest

from keypool.domains import Need
from keypool.estimates import CostModel, Tokens
from keypool.pool import Ask
from keypool.pricing import Pricing
from keypool.ticket import BATCH_WEIGHT

COSTS = CostModel()
ASK = Ask(
    id="t",
    person="ann",
    model="m",
    dialect="openai",
    input_tokens=1_000,
    most_output=100,
    deadline=60.0,
    weight=3.0,
    groups=frozenset({"lab"}),
    conversation=b"talk",
    running_cap=2,
    party="lab",
    party_weight=5.0,
)
REACH = frozenset({"k1", "k2"})


def test_a_ticket_says_all_that_was_asked() -> None:
    ticket = Pricing(COSTS).ticket(ASK, REACH, 7.0)
    for name in ("id", "person", "model", "dialect", "deadline", "weight", "groups", "conversation", "running_cap"):
        assert getattr(ticket, name) == getattr(ASK, name), name
    for name in ("party", "party_weight", "most_output", "batch", "bound_to"):
        assert getattr(ticket, name) == getattr(ASK, name), name
    assert (ticket.submitted, ticket.impatient, ticket.reach) == (7.0, False, REACH)
    assert ticket.flow == "ann of lab"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"max_wait": 10.0}, {"deadline": 17.0, "impatient": True}),
        ({"max_wait": 100.0}, {"deadline": 60.0, "impatient": False}),
        ({"max_wait": 53.0}, {"deadline": 60.0, "impatient": False}),
        ({"max_wait": 0.0}, {"deadline": 7.0, "impatient": True}),
        ({"batch": True}, {"batch": True, "weight": 3.0 * BATCH_WEIGHT, "party_weight": 5.0 * BATCH_WEIGHT}),
        ({"bound_to": frozenset({"k2", "k9"})}, {"bound_to": frozenset({"k2", "k9"}), "reach": frozenset({"k2"})}),
    ],
)
def test_what_is_asked_for_changes_this(asked: dict[str, Any], expected: dict[str, Any]) -> None:
    usual = Pricing(COSTS).ticket(ASK, REACH, 7.0)
    ticket = Pricing(COSTS).ticket(ASK._replace(**asked), REACH, 7.0)
    assert {name: getattr(ticket, name) for name in expected} == expected
    for name in {"deadline", "impatient", "weight", "party_weight", "reach", "cost", "conversation"} - expected.keys():
        assert getattr(ticket, name) == getattr(usual, name), name


def test_its_cost_is_the_prompt_and_the_answer_that_is_expected() -> None:
    pricing = Pricing(COSTS)
    for _ in range(50):
        pricing.lengths.learn("ann", "m", 40)
    expected = pricing.lengths.expect("ann", "m", 100)
    ticket = pricing.ticket(ASK, REACH, 0.0)
    assert ticket.need == Need(1_000, expected, 100)
    assert ticket.cost == COSTS.cost(Tokens(1_000, 0, expected)) > pricing.of_prompt(ticket)
    assert ticket.least == COSTS.cost(Tokens(1_000, 1_000))
    assert ticket.least + ticket.doubt == pytest.approx(COSTS.cost(Tokens(1_000)))
    assert pricing.ticket(ASK._replace(most_output=None), REACH, 0.0).need.reserved == 0
