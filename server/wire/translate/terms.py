"""What all dialects can say, in the words of none: the middle through which every translation goes.

A request is read into an `Asked` and written from it; an answer, plain or streamed, is read as calls on a `Teller`. So
three dialects need a reader and a writer each, and no pair of them needs code of its own.

`where` is the place in the caller's body that a part came from, for a refusal that names it; `cached` is Anthropic's
word for a prompt that is to be cached up to here, which clients of other dialects use, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, Protocol

from server.wire.faults import ReportedError
from server.wire.usage import Usage

Role = Literal["system", "user", "assistant"]
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    cached: Document | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """Its bytes in base64 with their type, or its address."""

    media_type: str = ""
    data: str = ""
    url: str = ""
    where: str = ""
    cached: Document | None = None


@dataclass(frozen=True, slots=True)
class File:
    """A PDF: its bytes in base64, or its address. Plain text is a `Text`."""

    media_type: str = ""
    data: str = ""
    url: str = ""
    name: str = ""
    where: str = ""
    cached: Document | None = None


@dataclass(frozen=True, slots=True)
class Thought:
    """What a model thought. `signature` is its provider's proof of it; `sealed` is a thought that only it can read."""

    text: str = ""
    signature: str = ""
    sealed: str = ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """`arguments` are JSON, or free text where the tool is `custom`."""

    id: str
    name: str
    arguments: str
    custom: bool = False
    where: str = ""
    cached: Document | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    call: str
    parts: tuple[Part, ...]
    failed: bool = False
    cached: Document | None = None


def where_of(part: Part, default: str) -> str:
    """The place in the caller's body that a part came from, where that is known."""
    return part.where if isinstance(part, Image | File | ToolCall) and part.where else default


Part = Text | Image | File | Thought | ToolCall | ToolResult


@dataclass(frozen=True, slots=True)
class Turn:
    role: Role
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool of the caller's. `schema` is that of its arguments; a `custom` one takes free text instead."""

    name: str
    description: str = ""
    schema: Document | None = None
    strict: bool | None = None
    custom: bool = False
    cached: Document | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """Which tools the model may or must call; `name` only where one is named."""

    mode: Literal["auto", "any", "none", "named"]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Format:
    """The answer is JSON; of this schema, if there is one."""

    schema: Document | None = None
    name: str = ""
    strict: bool | None = None


@dataclass(frozen=True, slots=True)
class Thinking:
    """How much the model is to think. `effort` is a word, `budget` tokens; with neither the model decides."""

    on: bool
    effort: str = ""
    budget: int | None = None


@dataclass(slots=True)
class Asked:
    """A request, understood. None is what the caller has not said."""

    model: str
    turns: list[Turn]
    turns_in: str = "messages"  # the field of the caller's body
    limit: int | None = None  # tokens of the answer
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stops: tuple[str, ...] = ()
    stream: bool = False
    cached: Document | None = None
    shows_usage: bool = True  # whether its stream ends with the usage
    tools: tuple[Tool, ...] = ()
    choice: Choice | None = None
    parallel: bool | None = None
    format: Format | None = None
    thinking: Thinking | None = None
    names: dict[str, str] = field(default_factory=dict)  # the caller's names of tools by those that are sent
    spaces: dict[str, tuple[str, str]] = field(default_factory=dict)  # of tools in a set: its name and theirs
    known: frozenset[str] = frozenset()  # the tools that the caller offers by their type (`known_tools.py`)
    answers_in: str = ""  # the tool that is the answer itself, where a schema can be said in no other way
    echo: Mapping[str, Any] = field(default_factory=dict)  # what the answer repeats of the request


class Stop(Enum):
    """Why an answer has ended."""

    END = "end"
    SEQUENCE = "sequence"
    LENGTH = "length"
    TOOLS = "tools"
    REFUSED = "refused"
    PAUSED = "paused"
    WINDOW = "window"


class Teller(Protocol):
    """One answer, piece by piece. After `fault` or `end` nothing follows."""

    def begin(self, id: str, model: str, created: int) -> None:
        """It begins. `created` is UTC seconds; 0 where the upstream does not say."""

    def text(self, piece: str) -> None: ...

    def refusal(self, piece: str) -> None:
        """A piece of the words with which the model declines."""

    def thought(self, piece: str) -> None: ...

    def signed(self, signature: str) -> None:
        """This proves the thought before."""

    def sealed(self, data: str) -> None:
        """A thought that only its provider can read."""

    def call(self, key: int, id: str, name: str) -> None:
        """A call of a tool begins. `key` names it within the answer."""

    def arguments(self, key: int, piece: str) -> None: ...

    def used(self, usage: Usage) -> None: ...

    def stop(self, reason: Stop, sequence: str | None = None) -> None: ...

    def fault(self, error: ReportedError) -> None:
        """The upstream reports an error in the answer."""

    def end(self) -> None: ...
