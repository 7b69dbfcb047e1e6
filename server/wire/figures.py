"""From an upstream's own figures to `Usage`. They come from outside: some are missing, null, negative or absurd."""

from __future__ import annotations

from typing import Any

from server.wire.usage import Usage

ABSURD = 1_000_000_000  # no answer has a billion tokens


def figure(value: Any) -> int | None:
    """Return a believable number of tokens, or None."""
    return value if type(value) is int and 0 <= value < ABSURD else None


def usage_of(figures: Any) -> Usage | None:
    """Read OpenAI's usage object in either of its forms; None if input or output is missing or not believable."""
    if type(figures) is not dict:
        return None
    read = figure(figures.get("prompt_tokens", figures.get("input_tokens")))
    written = figure(figures.get("completion_tokens", figures.get("output_tokens")))
    if read is None or written is None:
        return None
    read_details = _object(figures.get("prompt_tokens_details") or figures.get("input_tokens_details"))
    written_details = _object(figures.get("completion_tokens_details") or figures.get("output_tokens_details"))
    return Usage(
        input=read,
        cached=_part(read_details.get("cached_tokens"), read),
        output=written,
        reasoning=_part(written_details.get("reasoning_tokens"), written),
    )


def input_of(figures: Any) -> Usage | None:
    """Read the usage of an answer without output tokens, such as an embedding."""
    if type(figures) is not dict:
        return None
    read = figure(figures.get("prompt_tokens", figures.get("input_tokens")))
    return None if read is None else Usage(input=read)


def anthropic_usage_of(figures: Any) -> Usage | None:
    """Read Anthropic's usage object. Its `input_tokens` are those beside the cache; ours include all three kinds."""
    if type(figures) is not dict:
        return None
    fresh = figure(figures.get("input_tokens"))
    output = figure(figures.get("output_tokens"))
    if fresh is None or output is None:
        return None
    cached = figure(figures.get("cache_read_input_tokens")) or 0
    cache_write = figure(figures.get("cache_creation_input_tokens")) or 0
    return Usage(input=fresh + cached + cache_write, cached=cached, cache_write=cache_write, output=output)


def _object(value: Any) -> dict[str, Any]:
    return value if type(value) is dict else {}


def _part(value: Any, whole: int) -> int:
    return min(figure(value) or 0, whole)
