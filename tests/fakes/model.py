"""The fake's mind: what it answers and how it counts, by rules that a test can recompute.

Input: one token for each word of each string (and for each number) in the prompt's fields, keys of objects not counted.
Output: one token for each word of a text, for each five characters of a tool's arguments. Reasoning tokens are added to
the output and belong to its first piece. Without a text from its fate the answer is `You said: ` and the last message;
a tool that is offered is called unless the last message is a tool's result; arguments and structured answers are the
simplest value that the schema allows.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from server.wire.usage import Usage
from tests.fakes.fates import Content

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream and the output tokens that it carries."""

    data: bytes
    output: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer in its dialect's shape; with `events` it is a stream."""

    body: bytes
    usage: Usage
    events: tuple[Event, ...] = ()
    error_event: bytes = b""
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Asked:
    """What every dialect's request comes down to."""

    counted: int
    last: str
    limit: int | None = None  # output tokens
    tool: str | None = None
    schema: Json | None = None  # of the tool's arguments or of the structured answer


@dataclass(frozen=True, slots=True)
class Thought:
    """The answer before it has a shape: its pieces are one token each."""

    tool: str | None
    pieces: tuple[str, ...]
    cut: bool  # by the caller's limit
    usage: Usage

    @property
    def text(self) -> str:
        """The whole text, or the tool's arguments as JSON."""
        return "".join(self.pieces)

    def tokens(self, index: int) -> int:
        """The output tokens of a piece: the first one carries the reasoning too."""
        return 1 + (self.usage.reasoning if index == 0 else 0)


def think(asked: Asked, content: Content) -> Thought:
    """Invent the answer."""
    pieces = _pieces(asked, content)
    kept = pieces[: asked.limit]
    usage = Usage(
        input=max(asked.counted, content.cached + content.cache_write),
        cached=content.cached,
        cache_write=content.cache_write,
        output=len(kept) + content.reasoning,
        reasoning=content.reasoning,
    )
    return Thought(asked.tool, kept, len(kept) < len(pieces), usage)


def _pieces(asked: Asked, content: Content) -> tuple[str, ...]:
    if asked.schema is not None:
        return tuple(re.findall(r"(?s).{1,5}", json.dumps(example(asked.schema, asked.schema))))
    text = content.text or f"You said: {asked.last}"
    if content.words is not None:
        text = " ".join(f"w{number}" for number in range(1, content.words + 1))
    return tuple(re.findall(r"\s*\S+", text))


def count(value: object) -> int:
    """The input tokens of a part of a request."""
    if isinstance(value, str):
        return len(value.split())
    if isinstance(value, list):
        return sum(count(item) for item in value)
    if isinstance(value, dict):
        return sum(count(item) for item in value.values())
    return 1 if isinstance(value, int | float) and not isinstance(value, bool) else 0


def last_text(messages: object) -> str:
    """The text of the last message (a string, or the texts of its blocks)."""
    if isinstance(messages, str):
        return messages
    last = messages[-1] if isinstance(messages, list) and messages else {}
    content = last.get("content", last.get("output", "")) if isinstance(last, dict) else ""
    if isinstance(content, str):
        return content
    return " ".join(block["text"] for block in content or [] if isinstance(block, dict) and "text" in block)


def example(schema: Json, root: Json) -> Any:
    """The simplest value that a JSON schema allows; `$ref` is looked up in the root."""
    if "$ref" in schema:
        found: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return example(found, root)
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    if "anyOf" in schema:
        return example(schema["anyOf"][0], root)
    if schema.get("type") == "object" or "properties" in schema:
        return {name: example(part, root) for name, part in schema.get("properties", {}).items()}
    if schema.get("type") == "array":
        return [example(schema.get("items", {}), root)]
    return {"integer": 1, "number": 1.5, "boolean": True, "null": None}.get(schema.get("type", ""), "text")


def dump(value: object) -> bytes:
    """JSON as providers write it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def unnamed_event(value: object, output: int = 0) -> Event:
    """A server-sent event without a name (OpenAI's chat)."""
    return Event(b"data: " + dump(value) + b"\n\n", output)


def named_event(value: Json, output: int = 0) -> Event:
    """A server-sent event that is named by its `type` (OpenAI's responses, Anthropic)."""
    return Event(b"event: " + value["type"].encode() + b"\ndata: " + dump(value) + b"\n\n", output)
