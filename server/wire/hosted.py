"""The provider's own tools that a request hands to the model: which, and how often they may be called.

A hosted tool runs at the provider and costs money by the call; a caller's own (`function`, `custom`, Anthropic's
`bash`, `text_editor`, `memory`, `computer`) runs at the caller's and costs nothing. A tool is called here by the name
that has the price (`ledger/tariff.py`): its type without its date. A type that nobody here knows is a hosted tool, by
its own name, which has no price.

    tools: [{"type": "web_search_20250305", "max_uses": 5}]     Anthropic: so often, at most
    max_tool_calls: 3                                           OpenAI: all hosted tools together, so each at most
    web_search_options, search_parameters, plugins, enable_search   chat completions: OpenAI, xAI, OpenRouter, Alibaba
    mcp_servers                                                 Anthropic

Without a bound of the caller's a tool counts `UNBOUNDED` calls. Some chats search and never say how often: such a call
is `certain`, and is billed whether it is reported or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from server.wire.calls import called, calls_of
from server.wire.usage import Usage

UNBOUNDED = 10  # calls that are held for, of a tool without a bound
MOST_USES = 1_000_000
MOST_SOURCES = 20  # that xAI reads for one answer, if nobody says fewer

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
_CODE = "code_interpreter"
_SIZES = ("4g", "16g", "64g")
_UNREPORTED = frozenset({"web_search_preview", "web_plugin"})
_SEARCHING = re.compile(r"-search-(preview|api)\b|:online$")
_STANDARD = frozenset({"auto", "default", "standard", "standard_only", "flex", "batch"})


@dataclass(frozen=True, slots=True)
class Hosted:
    """What a request asks for beside tokens. `calls`: the most of each tool; `fields`: where each was asked for.

    `certain` are those calls that no answer reports. `tier` and `geo` are the service and the place that it names.
    """

    calls: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    certain: str = ""
    tier: str = ""
    geo: str = ""

    def most(self) -> Usage:
        """Its hold beside tokens."""
        return Usage(tools=self.calls, tier=self.tier, geo=self.geo)

    def billed(self, usage: Usage) -> Usage:
        """What an answer used, with what it did not report: certain calls, and a dearer service that was asked for."""
        if usage.nothing or self == NOTHING:
            return usage
        reported = calls_of(usage.tools)
        unsaid = {} if "web_search" in reported else calls_of(self.certain)
        tools = called({**unsaid, **self._contained(reported)})
        return replace(usage, tools=tools, tier=usage.tier or self.tier, geo=usage.geo or self.geo)

    def _contained(self, calls: dict[str, int]) -> dict[str, int]:
        """An answer does not say how large its containers were: as large as the largest that was asked for."""
        sizes = [f"{_CODE}_{size}" for size in _SIZES if f"{_CODE}_{size}=" in self.calls]
        if not sizes or _CODE not in calls:
            return calls
        return {(sizes[-1] if name == _CODE else name): number for name, number in calls.items()}


NOTHING = Hosted()


def hosted_of(document: Mapping[str, Any], model: str) -> Hosted:
    """The hosted tools of a request. Never raises: what makes no sense is the provider's to refuse."""
    found: dict[str, tuple[int, str]] = {}
    for name, calls, field in _asked(document, model):
        before = found[name][0] if name in found else 0
        found[name] = (min(before + calls, MOST_USES), field)
    most = document.get("max_tool_calls")
    if type(most) is int and most >= 0:
        found = {name: (min(calls, most), field) for name, (calls, field) in found.items()}
    certain = {name: calls for name, calls, _ in _chat(document, model) if name in _UNREPORTED}
    return Hosted(
        called({name: calls for name, (calls, _) in found.items()}),
        tuple((name, field) for name, (_, field) in found.items()),
        called(certain),
        _dearer(document),
        _word(document.get("inference_geo")),
    )


def _asked(document: Mapping[str, Any], model: str) -> Iterator[tuple[str, int, str]]:
    """Names, calls at most, and the fields that ask for them."""
    for tool in _objects(document.get("tools")):
        if (name := _name(tool)) is not None:
            yield name, _uses(name, tool), "tools"
    if document.get("mcp_servers"):
        yield "mcp", UNBOUNDED, "mcp_servers"
    yield from _chat(document, model)


def _chat(document: Mapping[str, Any], model: str) -> Iterator[tuple[str, int, str]]:
    """The ways in which chat completions search. A search model is asked by its name."""
    if type(document.get("web_search_options")) is dict:
        yield "web_search_preview", 1, "web_search_options"
    elif found := _SEARCHING.search(model):
        yield ("web_plugin" if found[0] == ":online" else "web_search_preview"), 1, "model"
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
        yield ("web_plugin" if name == "web" else f"plugin:{name}"), 1, "plugins"
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
    if name == _CODE and type(box := tool.get("container")) is dict:
        memory = box.get("memory_limit")
        return name if memory in (None, "1g") else f"{name}_{memory}"
    return name


def _known(name: str) -> str:
    return _SAME.get(name, name)


def _uses(name: str, tool: Mapping[str, Any]) -> int:
    if name in _ONCE or name.startswith(_CODE):
        return 1
    uses = tool.get("max_uses")
    return min(uses, MOST_USES) if type(uses) is int and uses >= 0 else UNBOUNDED


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
