"""Money is integer micro-USD, everywhere: a millionth of a dollar, never a float.

A price is an integer, too: micro-USD per million tokens, so that 0.075 $ per million tokens is 75,000 and nothing is
lost. Only what is printed for people, and what is read from them, knows a decimal point.
"""

from __future__ import annotations

from decimal import Decimal

from web.wording import Wording

MICRO = 1_000_000
MOST = 10**15  # micro-USD, a billion dollars: more is a slip of the hand


def micro_usd(text: str) -> int:
    """Read dollars, such as "12.5". `ValueError` if it is no amount, negative, absurd, or finer than a micro-USD."""
    try:
        amount = Decimal(text.strip()) * MICRO
    except ArithmeticError:  # no number, or one beyond all bounds
        raise ValueError(Wording("expected an amount of dollars such as 12.50")) from None
    if not amount.is_finite() or amount != amount.to_integral_value() or not 0 <= amount <= MOST:
        raise ValueError(
            Wording("expected an amount of dollars such as 12.50, with at most six digits behind the point")
        )
    return int(amount)


def usd(micro: int) -> str:
    """Dollars with all their digits and at least two behind the point: "12.50", "0.000075"."""
    sign, whole, rest = "-" if micro < 0 else "", abs(micro) // MICRO, abs(micro) % MICRO
    digits = f"{rest:06d}".rstrip("0")
    return f"{sign}{whole}.{digits:0<2}"


def divided(numerator: int, denominator: int) -> int:
    """A quotient of integers, rounded half to even as banks do. `denominator` is above 0."""
    quotient, rest = divmod(numerator, denominator)
    up = 2 * rest > denominator or (2 * rest == denominator and quotient % 2 == 1)
    return quotient + up
