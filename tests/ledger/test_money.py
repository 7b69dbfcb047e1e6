"""Money is read and printed without losing a millionth of a dollar."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.ledger.money import MOST, divided, micro_usd, usd


@given(st.integers(0, MOST))
@settings(max_examples=200, deadline=None)
def test_what_is_printed_is_read_as_the_same_amount(micro: int) -> None:
    assert micro_usd(usd(micro)) == micro


@pytest.mark.parametrize(
    ("micro", "text"),
    [(0, "0.00"), (12_500_000, "12.50"), (75, "0.000075"), (1_000_001, "1.000001"), (-2_500_000, "-2.50")],
)
def test_dollars_have_all_their_digits_and_at_least_two(micro: int, text: str) -> None:
    assert usd(micro) == text


@pytest.mark.parametrize(
    ("text", "micro"), [("12.5", 12_500_000), (" 3 ", 3_000_000), ("0.075", 75_000), ("0.000001", 1)]
)
def test_dollars_are_read_to_the_millionth(text: str, micro: int) -> None:
    assert micro_usd(text) == micro


@pytest.mark.parametrize("text", ["", "much", "-1", "0.0000001", "NaN", "Infinity", "1000000001", "1,50", "$3"])
def test_what_is_no_amount_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected an amount of dollars such as 12\.50\b") as caught:
        micro_usd(text)
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize(
    ("numerator", "denominator", "quotient"),
    [(5, 10, 0), (15, 10, 2), (25, 10, 2), (26, 10, 3), (-5, 10, 0), (1, 3, 0)],
)
def test_half_a_micro_usd_goes_to_the_even_side(numerator: int, denominator: int, quotient: int) -> None:
    assert divided(numerator, denominator) == quotient


@given(st.integers(-(10**40), 10**40), st.integers(1, 10**20))
@settings(max_examples=200, deadline=None)
def test_a_quotient_of_any_size_is_rounded_exactly(numerator: int, denominator: int) -> None:
    assert divided(numerator, denominator) == round(Fraction(numerator, denominator))
