"""The choice of the model of the first example: it chats, a living key serves it, and it has a price.

A provider's list has models for speech, pictures, embeddings and for other routes beside those that chat, and nothing
in it says which is which. So the names decide: `chats` leaves out the names that are known not to chat. The cheapest of
the rest is the example, since a first question costs money; a model without a price comes last.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from server.ledger.prices import UNPRICED, Price
from server.wire.published import chats


@dataclass(frozen=True, slots=True)
class Example:
    """A model, and the dialect in which it is asked: chat completions or messages."""

    model: str
    dialect: str = "openai"


def cheapest(models: Iterable[tuple[str, Price]]) -> str | None:
    """Of models with their prices the one that chats for the least; None if none chats."""
    able = [(price is UNPRICED, price.rates.input + price.rates.output, name) for name, price in models if chats(name)]
    return min(able)[2] if able else None
