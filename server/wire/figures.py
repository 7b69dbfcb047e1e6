"""From an upstream's own figures to `Usage`. They come from outside: some are missing, null, negative or absurd.

Where a figure stands differs from provider to provider, so `OPENAI` and `ANTHROPIC` say for each kind all the places
that it may have, as paths. Figures come more than once in a stream, whole or in part; `Figures` adds up what is known:

* Of several places, and of several objects one after the other, the largest figure counts: they name the same tokens,
  and all of them are cumulative. So a zero or a null never takes a figure back.
* What is no believable number is no figure. Without input or without output there is no usage; an embedding has input
  only.
* `total_tokens` decides whether reasoning is inside the output or on top: what the total has beyond input and output
  was generated, too. xAI counts so, and Gemini's thoughts stand nowhere else.
* Anthropic's compaction bills every iteration, and its own figures are those of the last one: of each kind the sum over
  `iterations` counts where it is more.
* Predictions (`accepted_`, `rejected_prediction_tokens`) are in the output already.
* A part is never more than its whole.
* A stream may tell figures before text that they know nothing of. Until it tells others there is no usage
  (`meter.py`), and where it breaks off then, what came is billed, and no less than was reported.
* The last word about the service and the place that served counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from server.wire.calls import called, most_called
from server.wire.usage import Usage

ABSURD = 1_000_000_000  # no answer has a billion tokens
MOST_ITERATIONS = 1_000  # of one answer

Path = tuple[str, ...]
Places = Mapping[str, tuple[Path, ...]]


def _paths(*texts: str) -> tuple[Path, ...]:
    return tuple(tuple(text.split(".")) for text in texts)


def _read(*names: str) -> tuple[str, ...]:
    """The same field in each object that tells the parts of the input; transcriptions write it in the singular."""
    places = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
    return tuple(f"{place}.{name}" for place in places for name in names)


def _generated(*names: str) -> tuple[str, ...]:
    places = ("completion_tokens_details", "output_tokens_details", "output_token_details")
    return tuple(f"{place}.{name}" for place in places for name in names)


OPENAI: Places = {
    "input": _paths("prompt_tokens", "input_tokens"),
    "output": _paths("completion_tokens", "output_tokens"),
    "total": _paths("total_tokens"),
    "cached": _paths(
        *_read("cached_tokens"),
        "prompt_cache_hit_tokens",  # DeepSeek
        "cached_tokens",  # Moonshot
    ),
    "cache_write": _paths(
        *_read("cache_write_tokens"),  # OpenAI, OpenRouter
        *_read("cache_creation_input_tokens", "cache_creation_tokens"),  # Alibaba; gateways before Anthropic
    ),
    "cache_write_5m": _paths(*_read("cache_creation.ephemeral_5m_input_tokens")),
    "cache_write_1h": _paths(*_read("cache_creation.ephemeral_1h_input_tokens")),
    "reasoning": _paths(*_generated("reasoning_tokens"), "reasoning_tokens"),  # the last is Perplexity's
    "input_audio": _paths(*_read("audio_tokens"), "prompt_audio_tokens"),
    "input_image": _paths(*_read("image_tokens"), "prompt_image_tokens"),
    "output_text": _paths(*_generated("text_tokens")),
    "output_audio": _paths(*_generated("audio_tokens")),
    "output_image": _paths(*_generated("image_tokens")),
}

ANTHROPIC: Places = {
    "input": _paths("input_tokens"),
    "output": _paths("output_tokens"),
    "cached": _paths("cache_read_input_tokens"),
    "cache_write": _paths("cache_creation_input_tokens"),
    "cache_write_5m": _paths("cache_creation.ephemeral_5m_input_tokens"),
    "cache_write_1h": _paths("cache_creation.ephemeral_1h_input_tokens"),
    "reasoning": _paths("output_tokens_details.thinking_tokens"),
}

# How often the provider's own tools were called, by the name that has the price.
TOOLS: Places = {
    "web_search": _paths(
        "server_tool_use.web_search_requests",  # Anthropic, OpenRouter
        "server_tool_use_details.web_search_requests",
        "server_side_tool_usage_details.web_search_calls",  # xAI
        "web_search.num_requests",  # OpenAI, in `tool_usage`
        "plugins.search.count",  # Alibaba
    ),
    "web_fetch": _paths("server_tool_use.web_fetch_requests"),
    "x_search": _paths("server_side_tool_usage_details.x_search_calls"),
    "code_execution": _paths("server_tool_use.code_execution_requests"),
    "code_interpreter_call": _paths("server_side_tool_usage_details.code_interpreter_calls"),
    "file_search": _paths(
        "server_side_tool_usage_details.file_search_calls",
        "server_side_tool_usage_details.document_search_calls",
        "file_search.num_requests",
    ),
    "live_search_source": _paths("num_sources_used"),  # xAI
    "image_input_token": _paths("image_gen.input_tokens"),  # OpenAI, in `tool_usage`
    "image_output_token": _paths("image_gen.output_tokens"),
}

_TOOL_FIELDS = frozenset(path[0] for paths in TOOLS.values() for path in paths)
_WORD = re.compile(r"[a-z][a-z0-9_.-]{0,31}")


def figure(value: Any) -> int | None:
    """Return a believable number of tokens, or None."""
    return value if type(value) is int and 0 <= value < ABSURD else None


class Figures:
    """The figures of one answer so far. `places` says where they stand."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._found: dict[str, int] = {}
        self._tools: dict[str, int] = {}
        self._tier = self._geo = ""

    def add(self, figures: Any) -> bool:
        """Take an object of figures, the usage of a chunk or of an answer; anything else says nothing.

        True if it says that something was generated.
        """
        if type(figures) is not dict:
            return False
        said = found(figures, self._places)
        self._most(said)
        if "iterations" in figures:
            self._most(_iterated(figures["iterations"], self._places))
        self.call(tools_in(figures))
        self.serve(figures)
        return said.get("output", 0) > 0 or said.get("total", 0) > said.get("input", 0)

    def call(self, tools: Mapping[str, int]) -> None:
        """The provider's tools were called so often, at least."""
        if tools:
            self._tools = most_called(self._tools, tools)

    def serve(self, document: dict[str, Any]) -> None:
        """Take the service and the place that served; Anthropic's faster service has a field of its own."""
        tier = "fast" if document.get("speed") == "fast" else _word(document.get("service_tier"))
        self._tier, self._geo = tier or self._tier, _word(document.get("inference_geo")) or self._geo

    def usage(self) -> Usage | None:
        """The usage, once input and output are known."""
        known = self._found
        return self._usage(self._generated()) if "input" in known and "output" in known else None

    def input_usage(self) -> Usage | None:
        """The usage of an answer without output, or as far as it is known when a stream has begun."""
        return self._usage(0) if "input" in self._found else None

    def beside(self) -> Usage:
        """The tools that are billed beside tokens, and the tier and region of the service, as far as they are known."""
        return Usage(tools=called(self._tools), tier=self._tier, geo=self._geo)

    def _most(self, numbers: Mapping[str, int]) -> None:
        for kind, number in numbers.items():
            self._found[kind] = max(number, self._found.get(kind, 0))

    def _generated(self) -> int:
        known = self._found
        return max(known["output"], known.get("total", 0) - self._whole_input())

    def _whole_input(self) -> int:
        """Anthropic's input figure is what neither came from a cache nor went into one."""
        known = self._found
        beside = known.get("cached", 0) + _into_cache(known) if self._places is ANTHROPIC else 0
        return known["input"] + beside

    def _usage(self, written: int) -> Usage:
        known, read = self._found, self._whole_input()
        cache_write = min(_into_cache(known), read)

        def part(kind: str, whole: int) -> int:
            return min(known.get(kind, 0), whole)

        return Usage(
            input=read,
            cached=part("cached", read),
            cache_write=cache_write,
            output=written,
            reasoning=part("reasoning", written),
            cache_write_1h=part("cache_write_1h", cache_write),
            input_audio=part("input_audio", read),
            input_image=part("input_image", read),
            output_text=part("output_text", written),
            output_audio=part("output_audio", written),
            output_image=part("output_image", written),
            tools=called(self._tools),
            tier=self._tier,
            geo=self._geo,
        )


def found(figures: dict[str, Any], places: Places) -> dict[str, int]:
    """By kind: the largest believable figure of all its places, if there is one."""
    believed = {kind: _largest(figures, paths) for kind, paths in places.items()}
    return {kind: number for kind, number in believed.items() if number is not None}


def tools_in(figures: dict[str, Any]) -> dict[str, int]:
    """How often the provider's own tools were called, as far as these figures say."""
    if _TOOL_FIELDS.isdisjoint(figures):
        return {}
    calls = found(figures, TOOLS)
    if "code_execution" in calls:  # it is paid by the container, and an answer has one
        calls["code_execution"] = min(1, calls["code_execution"])
    return {name: number for name, number in calls.items() if number}


def _into_cache(known: Mapping[str, int]) -> int:
    return max(known.get("cache_write", 0), known.get("cache_write_5m", 0) + known.get("cache_write_1h", 0))


def _iterated(iterations: Any, places: Places) -> dict[str, int]:
    """The sums over the iterations of an answer."""
    if type(iterations) is not list:
        return {}
    each = [found(one, places) for one in iterations[:MOST_ITERATIONS] if type(one) is dict]
    kinds = {kind for one in each for kind in one}
    return {kind: min(sum(one.get(kind, 0) for one in each), ABSURD) for kind in kinds}


def _largest(figures: dict[str, Any], paths: Iterable[Path]) -> int | None:
    numbers = [number for path in paths if (number := figure(_at(figures, path))) is not None]
    return max(numbers, default=None)


def _at(figures: Any, path: Path) -> Any:
    for name in path:
        if type(figures) is not dict:
            return None
        figures = figures.get(name)
    return figures


def _word(value: Any) -> str:
    """One of a provider's words, in small letters; empty if it is none."""
    word = value.lower() if type(value) is str else ""
    return word if _WORD.fullmatch(word) else ""
