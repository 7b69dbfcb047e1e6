"""The choice of the model of the first example: it chats, a living key serves it, and it has a price.

A provider's list has models for speech, pictures, embeddings and for other routes beside those that chat, and nothing
in it says which is which. So the names decide: `chats` leaves out the names that are known not to chat. The cheapest of
the rest is the example, since a first question costs money; a model without a price comes last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from server.ledger.prices import UNPRICED, Price

# Models that do not answer a chat: other kinds of models, and those that only other routes serve.
_OTHER = re.compile(
    r"embed|whisper|tts|transcri|dall-e|image|sora|veo|imagen|moderation|realtime|audio|rerank|guard|ocr|"
    r"davinci|babbage|^gpt-3\.5-turbo-instruct|^(?:gpt|o\d)-?\S*-pro\b|codex|computer-use|deep-research|search",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Example:
    """A model, and the dialect in which it is asked: chat completions or messages."""

    model: str
    dialect: str = "openai"


def chats(model: str) -> bool:
    """Whether a model of this name is expected to answer a chat."""
    return _OTHER.search(model) is None


def cheapest(models: Iterable[tuple[str, Price]]) -> str | None:
    """Of models with their prices the one that chats for the least; None if none chats."""
    able = [(price is UNPRICED, price.rates.input + price.rates.output, name) for name, price in models if chats(name)]
    return min(able)[2] if able else None
