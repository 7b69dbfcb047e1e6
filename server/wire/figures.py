"""From an upstream's own figures to `Usage`. They come from outside: some are missing, null, negative or absurd.

Where a figure stands differs from provider to provider, so `OPENAI` and `ANTHROPIC` say for each kind all the places
that it may have, as paths. They are read as trees: of an object only the fields that it has are looked at. Figures come
more than once in a stream, whole or in part; `Figures` adds up what is known:

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
* A bill that the upstream states is read beside its figures (`stated.py`); of several the largest counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from server.wire.calls import called, most_called
from server.wire.stated import stated_bill
from server.wire.usage import Usage

ABSURD = 1_000_000_000  # no answer has a billion tokens
MOST_ITERATIONS = 1_000  # of one answer

# By field: the kind of the figure that stands there, or the same for the object that stands there.
Places: TypeAlias = "dict[str, str | Places]"


def _places(paths: Mapping[str, tuple[str, ...]]) -> Places:
    """The tree of these paths, which are given by kind. `ValueError` if a field is a figure and an object."""
    root: Places = {}
    for kind, path in ((kind, path) for kind, paths_ in paths.items() for path in paths_):
        *objects, field = path.split(".")
        tree = root
        for name in objects:
            inside = tree.setdefault(name, {})
            if isinstance(inside, str):
                raise ValueError(path)
            tree = inside
        if tree.setdefault(field, kind) != kind:
            raise ValueError(path)
    return root


def _read(*names: str) -> tuple[str, ...]:
    """The same field in each object that tells the parts of the input; transcriptions write it in the singular."""
    places = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
    return tuple(f"{place}.{name}" for place in places for name in names)


def _generated(*names: str) -> tuple[str, ...]:
    places = ("completion_tokens_details", "output_tokens_details", "output_token_details")
    return tuple(f"{place}.{name}" for place in places for name in names)


OPENAI = _places(
    {
        "input": ("prompt_tokens", "input_tokens"),
        "output": ("completion_tokens", "output_tokens"),
        "total": ("total_tokens",),
        "cached": (
            *_read("cached_tokens"),
            "prompt_cache_hit_tokens",  # DeepSeek
            "cached_tokens",  # Moonshot
        ),
        "cache_write": (
            *_read("cache_write_tokens"),  # OpenAI, OpenRouter
            *_read("cache_creation_input_tokens", "cache_creation_tokens"),  # Alibaba; gateways before Anthropic
        ),
        "cache_write_5m": _read("cache_creation.ephemeral_5m_input_tokens"),
        "cache_write_1h": _read("cache_creation.ephemeral_1h_input_tokens"),
        "reasoning": (*_generated("reasoning_tokens"), "reasoning_tokens"),  # the last is Perplexity's
        "input_audio": (*_read("audio_tokens"), "prompt_audio_tokens"),
        "input_image": (*_read("image_tokens"), "prompt_image_tokens"),
        "output_text": _generated("text_tokens"),
        "output_audio": _generated("audio_tokens"),
        "output_image": _generated("image_tokens"),
    }
)

ANTHROPIC = _places(
    {
        "input": ("input_tokens",),
        "output": ("output_tokens",),
        "cached": ("cache_read_input_tokens",),
        "cache_write": ("cache_creation_input_tokens",),
        "cache_write_5m": ("cache_creation.ephemeral_5m_input_tokens",),
        "cache_write_1h": ("cache_creation.ephemeral_1h_input_tokens",),
        "reasoning": ("output_tokens_details.thinking_tokens",),
    }
)

# How often the provider's own tools were called, by the name that has the price.
TOOLS = _places(
    {
        "web_search": (
            "server_tool_use.web_search_requests",  # Anthropic, OpenRouter
            "server_tool_use_details.web_search_requests",
            "server_side_tool_usage_details.web_search_calls",  # xAI
            "web_search.num_requests",  # OpenAI, in `tool_usage`
            "plugins.search.count",  # Alibaba
        ),
        "web_fetch": ("server_tool_use.web_fetch_requests",),
        "x_search": ("server_side_tool_usage_details.x_search_calls",),
        "code_execution": ("server_tool_use.code_execution_requests",),
        "code_interpreter_call": ("server_side_tool_usage_details.code_interpreter_calls",),
        "file_search": (
            "server_side_tool_usage_details.file_search_calls",
            "server_side_tool_usage_details.document_search_calls",
            "file_search.num_requests",
        ),
        "live_search_source": ("num_sources_used",),  # xAI
        "image_input_token": ("image_gen.input_tokens",),  # OpenAI, in `tool_usage`
        "image_output_token": ("image_gen.output_tokens",),
    }
)

WHOLES = frozenset({"input", "output", "total"})  # the kinds that are no part of another
_SERVICE = frozenset({"speed", "service_tier", "inference_geo"})
_WORD = re.compile(r"[a-z][a-z0-9_.-]{0,31}")


class Figures:
    """The figures of one answer so far. `places` says where they stand."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._found: dict[str, int] = {}
        self._tools: dict[str, int] = {}
        self._tier = self._geo = ""
        self.stated: int | None = None  # micro-USD that the upstream says it bills

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
        if "cost" in figures and (bill := stated_bill(figures)) is not None:
            self.stated = max(bill, self.stated or 0)
        self.call(tools_in(figures))
        self.serve(figures)
        return said.get("output", 0) > 0 or said.get("total", 0) > said.get("input", 0)

    def call(self, tools: Mapping[str, int]) -> None:
        """The provider's tools were called so often, at least."""
        if tools:
            self._tools = most_called(self._tools, tools)

    def serve(self, document: dict[str, Any]) -> None:
        """Take the service and the place that served; Anthropic's faster service has a field of its own."""
        if _SERVICE.isdisjoint(document):
            return
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
        known = self._found
        for kind, number in numbers.items():
            if number >= known.get(kind, 0):
                known[kind] = number

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
        tools = called(self._tools) if self._tools else ""
        if known.keys() <= WHOLES:
            return Usage(input=read, output=written, tools=tools, tier=self._tier, geo=self._geo)
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
            tools=tools,
            tier=self._tier,
            geo=self._geo,
        )


def found(figures: dict[str, Any], places: Places) -> dict[str, int]:
    """By kind: the largest believable figure of all its places, if there is one."""
    largest: dict[str, int] = {}
    _find(figures, places, largest)
    return largest


def _find(figures: dict[str, Any], places: Places, largest: dict[str, int]) -> None:
    for name in places.keys() & figures.keys():
        place, value = places[name], figures[name]
        if isinstance(place, str):
            if type(value) is int and largest.get(place, -1) < value < ABSURD:
                largest[place] = value
        elif type(value) is dict:
            _find(value, place, largest)


def tools_in(figures: dict[str, Any]) -> dict[str, int]:
    """How often the provider's own tools were called, as far as these figures say."""
    if TOOLS.keys().isdisjoint(figures):
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


def _word(value: Any) -> str:
    """One of a provider's words, in small letters; empty if it is none."""
    word = value.lower() if type(value) is str else ""
    return word if _WORD.fullmatch(word) else ""
