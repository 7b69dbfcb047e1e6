"""Calls of hosted tools that stand in an answer itself, by the name that has the price (`wire/hosted.py`).

    item of a response              web_search_call, file_search_call, code_interpreter_call, image_generation_call ...
    block of a message              {"type": "server_tool_use", "name": "web_search"}
    message or delta of a chat      executed_tools (Groq), a tool call named $web_search (Moonshot)

What a caller's own tools are called for (`function_call`, `tool_use`) is no hosted tool.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

ITEMS = {
    "web_search_call": "web_search",
    "x_search_call": "x_search",
    "file_search_call": "file_search",
    "image_generation_call": "image_generation",
    "mcp_call": "mcp",
    "computer_call": "computer",
    "shell_call": "shell",
}
_BLOCKS = frozenset({"web_search", "web_fetch"})
_CODE = frozenset({"code_execution", "bash_code_execution", "text_editor_code_execution"})
_EXECUTED = {"python": "code_interpreter_call", "code_interpreter": "code_interpreter_call"}  # all others search
_UNBILLED_ACTIONS = frozenset({"open_page", "find_in_page", "find"})  # of a search: only searching is billed
MOST_CONTAINERS = 1_000  # of one answer


class HostedCalls:
    """The calls of one answer so far. Code is paid by the container, however often it runs there."""

    def __init__(self) -> None:
        self._calls: Counter[str] = Counter()
        self._containers: set[object] = set()

    def calls(self) -> dict[str, int]:
        containers = {"code_interpreter": len(self._containers)} if self._containers else {}
        return {**self._calls, **containers}

    def item(self, item: dict[str, Any]) -> bool:
        """An item of a response that is done; whether it is a hosted tool's."""
        kind = item.get("type")
        if kind == "code_interpreter_call":
            self._contain(item.get("container_id"))
            return True
        name = ITEMS.get(kind) if type(kind) is str else None
        if name is None or _reads_only(item.get("action")):
            return False
        self._calls[name] += 1
        return True

    def block(self, block: dict[str, Any]) -> bool:
        """A block of a message that begins; whether a hosted tool is called there."""
        name = block.get("name")
        if block.get("type") != "server_tool_use" or type(name) is not str:
            return False
        if name in _CODE:
            self._calls["code_execution"] = 1  # a message has one container
        elif name in _BLOCKS:
            self._calls[name] += 1
        return True

    def message(self, message: dict[str, Any]) -> bool:
        """A chat's message, or the next piece of it; whether hosted tools were called there."""
        names = [_executed(tool) for tool in _objects(message.get("executed_tools"))]
        names += ["web_search" for call in _objects(message.get("tool_calls")) if _searches(call.get("function"))]
        self._calls.update(names)
        return bool(names)

    def _contain(self, container: object) -> None:
        if len(self._containers) < MOST_CONTAINERS:
            self._containers.add(container if type(container) is str else None)


def _executed(tool: dict[str, Any]) -> str:
    kind = tool.get("type")
    return _EXECUTED.get(kind, "web_search") if type(kind) is str else "web_search"


def _searches(function: Any) -> bool:
    return type(function) is dict and function.get("name") == "$web_search"


def _reads_only(action: Any) -> bool:
    kind = action.get("type") if type(action) is dict else None
    return type(kind) is str and kind in _UNBILLED_ACTIONS


def _objects(values: Any) -> list[dict[str, Any]]:
    return [value for value in values if type(value) is dict] if type(values) is list else []
