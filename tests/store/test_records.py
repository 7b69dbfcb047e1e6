"""What a token's terms mean."""

from __future__ import annotations

from dataclasses import fields

import pytest

from server.store.records import TokenTerms

OTHERS = {"kind": "special", "models": ("gpt-5",), "networks": ("10.0.0.0/8",), "addresses": 1, "keepalive": "none"}


@pytest.mark.parametrize("name", [each.name for each in fields(TokenTerms)])
def test_every_condition_makes_a_token_narrow_and_only_a_choice_does_not(name: str) -> None:
    assert TokenTerms(**{name: OTHERS[name]}).narrow is (name != "keepalive")
    assert not TokenTerms().narrow
