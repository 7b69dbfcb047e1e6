"""The provider's own tools that a request hands to the model: which, and how often they may be called.

A hosted tool runs at the provider and costs money by the call; a caller's own (`function`, `custom`, Anthropic's
`bash`, `text_editor`, `memory`, `computer`) runs at the caller's and costs nothing. A tool is called here by the name
that has the price (`ledger/tariff.py`): its type without its date. A type that is unknown here is a hosted tool, by
its own name, which has no price.

    tools: [{"type": "web_search_20250305", "max_uses": 5}]     Anthropic: so often, at most
    max_tool_calls: 3                                           OpenAI: all hosted tools together, so each at most
    web_search_options, search_parameters, plugins, enable_search   chat completions: OpenAI, xAI, OpenRouter, Alibaba
    mcp_servers                                                 Anthropic

Each of these words is a bound only in its own API: elsewhere a server may pass over it. Without a bound of the caller's
a tool counts `UNBOUNDED` calls, and where a budget applies that bound is put in (`request.bounding_tools`). Some chats
search and never say how often: such a call is `certain`, and is billed whether it is reported or not.

Where no word bounds a tool and its provider documents no number, it is `endless`: no hold is enough for it.

    tools of a chat                         no word; but Moonshot's search is an answer of its own each time
    tools of xAI's models                   `max_turns` bounds turns, in each of which many tools may be called
    web_search_options                      one search, by OpenAI's search models and Perplexity's; no word elsewhere
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from server.wire.calls import called, calls_of
from server.wire.usage import Usage

UNBOUNDED = 10  # calls that are held for, of a tool without a bound
MOST_USES = 1_000_000
RESULTS = 5  # of OpenRouter's search, unless the request sets another number
MOST_SOURCES = 20  # that xAI reads for one answer, unless the request sets fewer

_OWN = frozenset({"function", "custom", "local_shell", "apply_patch", "namespace", "client_tool"})
_OWN_BEGINNINGS = ("bash_", "text_editor_", "memory_", "computer_2")  # Anthropic's, with their dates
_DATE = re.compile(r"_(20\d{6}|20\d\d_\d\d_\d\d)$")
_SAME = {
    "computer_use_preview": "computer",
    "tool_search_tool_regex": "tool_search",
    "tool_search_tool_bm25": "tool_search",
    "mcp_toolset": "mcp",
    "browser_search": "web_search",
    "openrouter:web_search": "web_search",
    "openrouter:web_fetch": "web_fetch",
    "collections_search": "file_search",
    "google_search_retrieval": "google_search",
}
_ONCE = frozenset({"code_execution", "code_interpreter", "shell"})  # paid by the container, and an answer has one
_CONTAINED = {"code_interpreter": "container", "shell": "environment"}  # the tools and the field of their containers
_SIZES = ("4g", "16g", "64g")
_UNREPORTED = frozenset({"web_search_preview", "web_plugin"})
_SEARCHING = re.compile(r"-search-(preview|api)\b|:online$")
_SEARCHES_ONCE = re.compile(r"-search-(preview|api)\b|(^|/)sonar")
_RESEARCHES = re.compile(r"(^|/)sonar-deep-research")  # as often as it likes, at a price that no answer here tells
# The fields by which a request asks for any of it, beside the name of its model.
ASKING = frozenset(
    {
        "tools", "mcp_servers", "web_search_options", "search_parameters", "plugins", "enable_search",
        "max_tool_calls", "speed", "service_tier", "inference_geo",
    }
)  # fmt: skip
NO_USAGE = Usage()
_XAI = re.compile(r"(^|/)grok")
_STANDARD = frozenset({"auto", "default", "standard", "standard_only", "flex", "batch"})


@dataclass(frozen=True, slots=True)
class Hosted:
    """The hosted tools of a request. `calls`: the most of each tool; `fields`: where each was asked for.

    `certain` are those calls that no answer reports. `tier` and `geo` are the service and the place that it names.
    """

    calls: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    certain: str = ""
    tier: str = ""
    geo: str = ""
    unbounded: tuple[str, ...] = ()  # tools that the request allows without a number of calls
    endless: tuple[str, ...] = ()  # tools whose number of calls has no bound at all

    def most(self) -> Usage:
        """Its hold beside tokens."""
        return NO_USAGE if self is NOTHING else Usage(tools=self.calls, tier=self.tier, geo=self.geo)

    def billed(self, usage: Usage) -> Usage:
        """The usage of an answer, with what it did not report: certain calls, and a dearer service of the request."""
        if self is NOTHING or usage.nothing or self == NOTHING:
            return usage
        reported = calls_of(usage.tools)
        unsaid = {} if "web_search" in reported else calls_of(self.certain)
        tools = called({**unsaid, **self._contained(reported)})
        return replace(usage, tools=tools, tier=usage.tier or self.tier, geo=usage.geo or self.geo)

    def _contained(self, calls: dict[str, int]) -> dict[str, int]:
        """An answer does not say how large its containers were: as large as the largest that was asked for."""
        return {self._sized(name) if name in _CONTAINED else name: number for name, number in calls.items()}

    def _sized(self, name: str) -> str:
        asked = calls_of(self.calls)
        return next((f"{name}_{size}" for size in reversed(_SIZES) if f"{name}_{size}" in asked), name)


NOTHING = Hosted()


def hosted_of(document: Mapping[str, Any], model: str, kind: str = "") -> Hosted:
    """The hosted tools of a request. Never raises: what makes no sense is the provider's to refuse.

    `kind` (`Endpoint.kind`) is the API, which knows one word for a bound; without it both count.
    """
    if ASKING.isdisjoint(document) and not (_SEARCHING.search(model) or _RESEARCHES.search(model)):
        return NOTHING
    found: dict[str, tuple[int, str]] = {}
    unbounded = set()
    for name, calls, field in _asked(document, model, kind):
        before = found[name][0] if name in found else 0
        found[name] = (min(before + (UNBOUNDED if calls is None else calls), MOST_USES), field)
        unbounded |= {name} if calls is None else set()
    bounds = kind in ("", "responses") and not _XAI.search(model)
    most = document.get("max_tool_calls")
    if bounds and type(most) is int and most >= 0:
        found = {name: (min(calls, most), field) for name, (calls, field) in found.items()}
        unbounded.clear()
    certain = {name: calls for name, calls, _ in _chat(document, model) if name in _UNREPORTED}
    return Hosted(
        called({name: calls for name, (calls, _) in found.items()}),
        tuple((name, field) for name, (_, field) in found.items()),
        called(certain),
        _dearer(document),
        _word(document.get("inference_geo")),
        tuple(sorted(unbounded)),
        tuple(sorted(_endless(document, model, kind, unbounded))),
    )


def _endless(document: Mapping[str, Any], model: str, kind: str, unbounded: Container[str]) -> set[str]:
    """The tools for which no field of the request and no provider's document bounds the calls."""
    found = set()
    if type(document.get("web_search_options")) is dict and not _SEARCHES_ONCE.search(model):
        found.add("web_search_preview")
    if kind == "chat" or _XAI.search(model):
        tools = [tool for tool in _objects(document.get("tools")) if tool.get("type") != "builtin_function"]
        found |= {name for tool in tools if (name := _name(tool)) is not None and name in unbounded}
    return found


def with_uses(tools: Any, names: Container[str]) -> list[Any]:
    """Anthropic's tools, those of these names bounded that are not."""
    return [{**tool, "max_uses": UNBOUNDED} if _lacks_uses(tool, names) else tool for tool in tools]


def _lacks_uses(tool: Any, names: Container[str]) -> bool:
    return type(tool) is dict and _name(tool) in names and _uses(str(_name(tool)), tool, "messages") is None


def _asked(document: Mapping[str, Any], model: str, kind: str) -> Iterator[tuple[str, int | None, str]]:
    """Names, calls at most (None: no bound), and the fields that ask for them."""
    for tool in _objects(document.get("tools")):
        if (name := _name(tool)) is not None:
            yield name, _uses(name, tool, kind), "tools"
    if document.get("mcp_servers"):
        yield "mcp", None, "mcp_servers"
    yield from _chat(document, model)


def _chat(document: Mapping[str, Any], model: str) -> Iterator[tuple[str, int, str]]:
    """The ways in which chat completions search. A search model is asked by its name."""
    if type(document.get("web_search_options")) is dict:
        yield "web_search_preview", 1, "web_search_options"
    elif found := _SEARCHING.search(model):
        yield ("web_plugin" if found[0] == ":online" else "web_search_preview"), 1, "model"
    if _RESEARCHES.search(model):
        yield "deep_research", UNBOUNDED, "model"
    search = document.get("search_parameters")
    if type(search) is dict and search.get("mode") != "off":
        most = search.get("max_search_results")
        yield (
            "live_search_source",
            most if type(most) is int and 0 < most < MOST_USES else MOST_SOURCES,
            ("search_parameters"),
        )
    for plugin in _objects(document.get("plugins")):
        name = str(plugin.get("id"))
        yield ("web_plugin" if name == "web" else f"plugin:{name}"), _pages(plugin), "plugins"
    if document.get("enable_search") is True:
        yield "enable_search", 1, "enable_search"


def _name(tool: Mapping[str, Any]) -> str | None:
    """A hosted tool's name; None if it is a caller's own."""
    kind = tool.get("type")
    if kind is None:
        own = "name" in tool or "function" in tool or not tool
        return None if own else _known(str(next(iter(tool))))
    if kind == "builtin_function":  # Moonshot
        return "web_search"
    if type(kind) is not str or kind in _OWN or kind.startswith(_OWN_BEGINNINGS):
        return None
    name = _known(_DATE.sub("", kind))
    if name in _CONTAINED and type(box := tool.get(_CONTAINED[name])) is dict:
        memory = box.get("memory_limit")
        return name if memory in (None, "1g") else f"{name}_{memory}"
    return name


def _known(name: str) -> str:
    return _SAME.get(name, name)


def _uses(name: str, tool: Mapping[str, Any], kind: str) -> int | None:
    """How often a tool may be called; None without a bound."""
    if name in _ONCE or name.startswith(tuple(_CONTAINED)):
        return 1
    uses = tool.get("max_uses")
    return min(uses, MOST_USES) if type(uses) is int and uses >= 0 and kind in ("", "messages") else None


def _pages(plugin: Mapping[str, Any]) -> int:
    """OpenRouter's search is paid by the result, and has a price here for five."""
    results = plugin.get("max_results")
    return -(-min(results, MOST_USES) // RESULTS) if type(results) is int and results > RESULTS else 1


def _dearer(document: Mapping[str, Any]) -> str:
    """A service that it asks for and that costs more than the standard one."""
    if document.get("speed") == "fast":
        return "fast"
    tier = _word(document.get("service_tier"))
    return "" if tier in _STANDARD else tier


def _word(value: Any) -> str:
    return value[:32].lower() if type(value) is str else ""


def _objects(values: Any) -> list[dict[str, Any]]:
    return [value for value in values if type(value) is dict] if type(values) is list else []
