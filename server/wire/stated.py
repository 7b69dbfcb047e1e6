"""The bill that an upstream states itself, beside its figures: `usage.cost`, in US dollars, as OpenRouter writes it.

It counts only where the kind of the upstream says that this is its bill (`config/upstream_kinds.py`): elsewhere the
field may mean anything. With a key of one's own at OpenRouter (`is_byok`), `cost` is its fee, and what the model's
provider asks stands in `cost_details.upstream_inference_cost`; both are paid then. Elsewhere that field repeats `cost`.
A cost of nothing is believed only beside `is_byok: false`.

JSON's numbers come as floats. The shortest decimal of a float is what was written, to 15 digits, so it is computed in
decimals from there on, and rounded once.

Sources: OpenRouter's "Usage Accounting"; it bills every answer so, asked or not. For `is_byok`: public reports.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

MICRO = 1_000_000
ABSURD = 10_000  # US dollars: no answer costs so much


def stated_bill(figures: Mapping[str, Any]) -> int | None:
    """Micro-USD that the usage of an answer says it costs; None if it says nothing that can be believed."""
    total, own_key = _dollars(figures.get("cost")), figures.get("is_byok")
    if total is not None and own_key is True:
        details = figures.get("cost_details")
        beside = _dollars(details.get("upstream_inference_cost")) if type(details) is dict else None
        total = None if beside is None else total + beside
    if total is None or (not total and own_key is not False):
        return None
    return int((total * MICRO).to_integral_value(ROUND_HALF_EVEN))


def _dollars(value: Any) -> Decimal | None:
    if type(value) is not int and type(value) is not float:
        return None
    return Decimal(repr(value)) if 0 <= value < ABSURD else None
