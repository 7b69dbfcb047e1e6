"""OpenAI's tools that its models know and the caller runs: a shell of two generations, and a patch.

Such a tool is offered by its type alone. Elsewhere it is a function of that name, with the schema of what OpenAI's
model would say; and what comes back is an item of the type that the caller waits for.

| tool | a call says | its item | its result |
|---|---|---|---|
| `local_shell` | `action` | `local_shell_call` | `local_shell_call_output` |
| `shell` | `action` | `shell_call` | `shell_call_output` |
| `apply_patch` | `operation` | `apply_patch_call` | `apply_patch_call_output` |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from server.wire.translate.terms import Document, Tool

_WORDS: Document = {"type": "array", "items": {"type": "string"}}
_TIME: Document = {"timeout_ms": {"type": "integer"}}


@dataclass(frozen=True, slots=True)
class KnownTool:
    """`says`: the field of its calls. `usual`: what stands there beside what the model says. `sign`: of its items."""

    name: str
    description: str
    properties: Document
    required: tuple[str, ...]
    says: str
    sign: str
    usual: Document = field(default_factory=dict)

    @property
    def call(self) -> str:
        """The type of an item that is a call."""
        return f"{self.name}_call"

    def tool(self) -> Tool:
        """The function that stands for it."""
        schema = {"type": "object", "properties": self.properties, "required": list(self.required)}
        return Tool(self.name, self.description, schema)

    def said(self, arguments: str) -> Document:
        """What a call says, from the arguments of the function. What is no object says nothing."""
        try:
            value = orjson.loads(arguments or b"{}")
        except orjson.JSONDecodeError:
            value = None
        return {**self.usual, **(value if type(value) is dict else {})}


_ROWS = (
    KnownTool(
        "local_shell",
        "Runs a command on the user's machine.",
        {"command": _WORDS, "working_directory": {"type": "string"}, **_TIME},
        ("command",),
        "action",
        "lsh",
        {"type": "exec", "command": [], "env": {}},
    ),
    KnownTool(
        "shell",
        "Runs shell commands on the user's machine, side by side.",
        {"commands": _WORDS, "max_output_length": {"type": "integer"}, **_TIME},
        ("commands",),
        "action",
        "sh",
        {"commands": []},
    ),
    KnownTool(
        "apply_patch",
        "Creates, changes or deletes one file. `diff` is a V4A diff: lines with a space, a plus or a minus in front, "
        "below lines of @@ with their place.",
        {
            "type": {"type": "string", "enum": ["create_file", "update_file", "delete_file"]},
            "path": {"type": "string"},
            "diff": {"type": "string"},
        },
        ("type", "path"),
        "operation",
        "apc",
    ),
)
KNOWN: Mapping[str, KnownTool] = {row.name: row for row in _ROWS}
CALLS: Mapping[str, KnownTool] = {row.call: row for row in _ROWS}
RESULTS: Mapping[str, KnownTool] = {f"{row.call}_output": row for row in _ROWS}


def known(tool: Any) -> KnownTool | None:
    """The known tool that a caller offers, unless the provider is to run it."""
    if type(tool) is not dict:
        return None
    environment = tool.get("environment")
    elsewhere = type(environment) is dict and environment.get("type") != "local"
    kind = tool.get("type")
    return KNOWN.get(kind) if type(kind) is str and not elsewhere else None
