"""What models read and write beside text, and when a model was made, as far as its name says so.

A row holds for the names that its pattern finds, behind an owner's name; the first row counts, and a name that none of
them knows has no answer: a program takes an empty field for "not known" and a wrong one for the truth. As of November
2026; OpenAI: "Models"; Anthropic: "Models overview"; Google: "Gemini models".

    gpt-4o-2024-08-06        claude-sonnet-4-5-20250929        made on that day
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

Kinds = tuple[str, ...]

TEXT: Kinds = ("text",)
SEEN: Kinds = ("text", "image")
_ROWS: tuple[tuple[str, Kinds, Kinds], ...] = (
    (r"embed", TEXT, ("embeddings",)),
    (r"rerank", TEXT, ("scores",)),
    (r"moderation", SEEN, ("scores",)),
    (r"whisper|transcri", ("audio",), TEXT),
    (r"^tts|-tts\b", TEXT, ("audio",)),
    (r"gpt-image|chatgpt-image|gemini-\S*-image", SEEN, ("image",)),
    (r"dall-e|imagen", TEXT, ("image",)),
    (r"gpt-audio|gpt-4o(-mini)?-audio|realtime", ("text", "audio"), ("text", "audio")),
    (r"^gpt-3|^gpt-4(-0|-32k|$)|^o1-(mini|preview)|^o3-mini|gpt-oss|davinci|babbage|smollm2-", TEXT, TEXT),
    (r"^gpt-4|^chatgpt-4|^gpt-[5-9]|^o\d", SEEN, TEXT),
    (r"^claude-(instant|2|v)", TEXT, TEXT),
    (r"^claude", ("text", "image", "file"), TEXT),
    (r"^gemini", ("text", "image", "file", "audio", "video"), TEXT),
)
_COMPILED = tuple((re.compile(pattern), reads, writes) for pattern, reads, writes in _ROWS)
_DAY = re.compile(r"(?<!\d)(20[12]\d)-?(0[1-9]|1[0-2])-?([0-2]\d|3[01])(?=$|[:@-])")


@lru_cache(maxsize=4_096)
def modalities(model: str) -> tuple[Kinds, Kinds] | None:
    """Return what a model of this name reads and writes; None where that is not known."""
    name = _bare(model)
    return next(((reads, writes) for pattern, reads, writes in _COMPILED if pattern.search(name)), None)


@lru_cache(maxsize=4_096)
def made_on(model: str) -> datetime | None:
    """Return the day on which a model was made, UTC; None if its name does not say."""
    found = _DAY.search(_bare(model))
    if found is None:
        return None
    year, month, day = map(int, found.groups())
    try:
        return datetime(year, month, day, tzinfo=UTC)
    except ValueError:  # the 30th of February
        return None


def _bare(model: str) -> str:
    return model.rsplit("/", 1)[-1].lower()
