"""What one answer used, by kind."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer; and, where a provider bills those, its pictures and its milliseconds of sound.

    `input` includes `cached` (read from a prompt cache) and `cache_write`; `output` includes `reasoning`.
    OpenAI counts this way; Anthropic's three input figures are added up where they are read.
    `estimated` says that some figure was counted here and not reported by the upstream.
    """

    input: int = 0
    cached: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0
    estimated: bool = False
    images: int = 0
    audio_ms: int = 0
