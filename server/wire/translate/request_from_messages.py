"""Anthropic's messages, understood."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import orjson

from server.wire.errors import InvalidValue, Untranslatable
from server.wire.translate.effort import EFFORTS
from server.wire.translate.fields import Notes
from server.wire.translate.shapes import (
    PDF,
    PICTURES,
    PLAIN,
    flag_of,
    list_of,
    number_of,
    object_of,
    parts_in,
    text_of,
    texts_of,
    whole_of,
)
from server.wire.translate.terms import (
    Asked,
    Choice,
    Document,
    File,
    Format,
    Image,
    Part,
    Role,
    Text,
    Thinking,
    Thought,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)

_ROLES = ("user", "assistant", "system")
_HOSTED = "there only tools of the caller's own are called"


def read_messages(document: Document, notes: Notes) -> Asked:
    """Read a body. Raises InvalidValue, Untranslatable."""
    body = notes.check("messages", document)
    turns = [Turn("system", tuple(_content(body["system"], "system", notes)))] if body.get("system") else []
    turns += [
        _turn(message, f"messages[{index}]", notes)
        for index, message in enumerate(list_of(body.get("messages"), "messages"))
    ]
    if not body["messages"]:
        raise InvalidValue("messages")
    if turns[-1].role == "assistant":
        raise Untranslatable(
            f"messages[{len(body['messages']) - 1}]", why="there an answer cannot be begun for a model"
        )
    output = notes.check("messages.output_config", body.get("output_config", {}), "output_config")
    tools = _tools(list_of(body.get("tools", []), "tools"), notes)
    choice, parallel = _choice(body, notes)
    if choice is not None and choice.mode == "named" and choice.name not in {tool.name for tool in tools}:
        raise Untranslatable("tool_choice.name", why=_HOSTED)
    return Asked(
        model=text_of(body.get("model"), "model"),
        turns=turns,
        limit=whole_of(body.get("max_tokens"), "max_tokens"),
        temperature=number_of(body.get("temperature"), "temperature"),
        top_p=number_of(body.get("top_p"), "top_p"),
        stops=texts_of(body.get("stop_sequences", []), "stop_sequences"),
        stream=flag_of(body.get("stream"), "stream") is True,
        tools=tools,
        choice=choice,
        parallel=parallel,
        format=_format(output.get("format", body.get("output_format")), notes),
        thinking=_thinking(body.get("thinking"), output.get("effort"), notes),
    )


def _turn(value: Any, where: str, notes: Notes) -> Turn:
    message = notes.check("messages.message", value, where)
    if text_of(message.get("role"), f"{where}.role") not in _ROLES:
        raise InvalidValue(f"{where}.role")
    content = _content(message.get("content"), f"{where}.content", notes)
    return Turn(cast(Role, message["role"]), tuple(content))


def _content(content: Any, where: str, notes: Notes) -> Iterator[Part]:
    return parts_in(content, where, lambda block, place: _block(block, place, notes))


def _block(value: Any, where: str, notes: Notes) -> Iterator[Part]:
    kind, block = notes.typed("messages.block", value, where)
    if kind == "text":
        yield Text(text_of(block.get("text"), f"{where}.text"))
    elif kind == "image":
        yield _image(block.get("source"), f"{where}.source", notes)
    elif kind == "document":
        yield from _document(block, where, notes)
    elif kind == "search_result":
        head = [Text(text_of(block.get(name), f"{where}.{name}") + "\n") for name in ("title", "source")]
        yield from (*head, *_content(block.get("content"), f"{where}.content", notes))
    elif kind == "thinking":
        yield Thought(
            text_of(block.get("thinking"), f"{where}.thinking"),
            text_of(block.get("signature", ""), f"{where}.signature"),
        )
    elif kind == "tool_use":
        yield _call(block, where)
    elif kind == "tool_result":
        call = text_of(block.get("tool_use_id"), f"{where}.tool_use_id")
        parts = tuple(_content(block.get("content", []), f"{where}.content", notes))
        yield ToolResult(call, parts, flag_of(block.get("is_error"), f"{where}.is_error") is True)


def _call(block: Document, where: str) -> ToolCall:
    arguments = orjson.dumps(object_of(block.get("input"), f"{where}.input")).decode()
    return ToolCall(text_of(block.get("id"), f"{where}.id"), text_of(block.get("name"), f"{where}.name"), arguments)


def _image(value: Any, where: str, notes: Notes) -> Image:
    kind, source = notes.typed("messages.source", value, where)
    if kind == "url":
        return Image(url=text_of(source.get("url"), f"{where}.url"), where=where)
    media_type = text_of(source.get("media_type"), f"{where}.media_type")
    if kind != "base64" or media_type not in PICTURES:
        raise InvalidValue(f"{where}.media_type")
    return Image(media_type, text_of(source.get("data"), f"{where}.data"), where=where)


def _document(block: Document, where: str, notes: Notes) -> Iterator[Part]:
    """A document: a PDF with its title as its name, or a text with what is said of it in front."""
    kind, source = notes.typed("messages.source", block.get("source"), f"{where}.source")
    title, context = (text_of(block.get(name, ""), f"{where}.{name}") for name in ("title", "context"))
    binary = kind in ("base64", "url")
    said = (context,) if binary else (title, context)
    yield from (Text(line + "\n") for line in said if line)
    if kind == "content":
        yield from _content(source.get("content"), f"{where}.source.content", notes)
    elif kind == "text" and source.get("media_type", PLAIN) == PLAIN:
        yield Text(text_of(source.get("data"), f"{where}.source.data"))
    elif kind == "url":
        yield File(url=text_of(source.get("url"), f"{where}.source.url"), name=title, where=where)
    elif source.get("media_type") == PDF:
        yield File(PDF, text_of(source.get("data"), f"{where}.source.data"), name=title, where=where)
    else:
        raise InvalidValue(f"{where}.source.media_type")


def _tools(values: list[Any], notes: Notes) -> tuple[Tool, ...]:
    """The caller's own tools. One of the provider's beside them is an offer, and left out; alone it is the purpose."""
    own = [
        (index, each) for index, each in enumerate(values) if object_of(each, "tools").get("type") in (None, "custom")
    ]
    if len(own) < len(values):
        if not own:
            raise Untranslatable("tools[0].type", why=_HOSTED)
        notes.add("tools", _HOSTED)
    return tuple(_tool(each, f"tools[{index}]", notes) for index, each in own)


def _tool(value: Any, where: str, notes: Notes) -> Tool:
    tool = notes.check("messages.tool", value, where)
    return Tool(
        text_of(tool.get("name"), f"{where}.name"),
        text_of(tool.get("description", ""), f"{where}.description"),
        object_of(tool.get("input_schema"), f"{where}.input_schema"),
        flag_of(tool.get("strict"), f"{where}.strict"),
    )


def _choice(body: Document, notes: Notes) -> tuple[Choice | None, bool | None]:
    """Which tools the model may call, and whether several at once."""
    if "tool_choice" not in body:
        return None, None
    kind, choice = notes.typed("messages.choice", body["tool_choice"], "tool_choice")
    alone = flag_of(choice.get("disable_parallel_tool_use"), "tool_choice.disable_parallel_tool_use")
    parallel = None if alone is None else not alone
    if kind == "tool":
        return Choice("named", text_of(choice.get("name"), "tool_choice.name")), parallel
    modes = {"auto": Choice("auto"), "any": Choice("any"), "none": Choice("none")}
    return modes[kind], parallel


def _format(value: Any, notes: Notes) -> Format | None:
    if value is None:
        return None
    _, form = notes.typed("messages.format", value, "output_config.format")
    return Format(object_of(form.get("schema"), "output_config.format.schema"))


def _thinking(value: Any, effort: Any, notes: Notes) -> Thinking | None:
    if effort is not None and effort not in EFFORTS:
        raise InvalidValue("output_config.effort")
    if value is None:
        return None if effort is None else Thinking(on=True, effort=effort)
    kind, thinking = notes.typed("messages.thinking", value, "thinking")
    if kind == "disabled":
        return Thinking(on=False)
    budget = whole_of(thinking.get("budget_tokens"), "thinking.budget_tokens")
    return Thinking(on=True, effort=effort or "", budget=budget)
