"""OpenAI's chat completions, understood."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from server.wire.errors import InvalidValue
from server.wire.translate.effort import EFFORTS
from server.wire.translate.fields import Notes
from server.wire.translate.shapes import (
    described,
    file_of,
    flag_of,
    list_of,
    number_of,
    object_of,
    parts_in,
    picture_of,
    text_of,
    texts_of,
    whole_of,
)
from server.wire.translate.terms import (
    Asked,
    Choice,
    Document,
    Format,
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

ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "user",
    "function": "user",
}
MODES: dict[str, Choice] = {"auto": Choice("auto"), "required": Choice("any"), "none": Choice("none")}


def read_chat(document: Document, notes: Notes) -> Asked:
    """Read a body. Raises InvalidValue, Untranslatable."""
    body = notes.check("chat", document)
    options = notes.check("chat.stream_options", body.get("stream_options", {}), "stream_options")
    turns = [
        _turn(message, f"messages[{index}]", notes)
        for index, message in enumerate(list_of(body.get("messages"), "messages"))
    ]
    tools, choice = _choice(body, _tools(body, notes), notes)
    return Asked(
        model=text_of(body.get("model"), "model"),
        turns=turns,
        limit=_limit(body),
        temperature=number_of(body.get("temperature"), "temperature"),
        top_p=number_of(body.get("top_p"), "top_p"),
        top_k=whole_of(body.get("top_k"), "top_k"),
        stops=texts_of(body.get("stop", []), "stop"),
        stream=flag_of(body.get("stream"), "stream") is True,
        shows_usage=flag_of(options.get("include_usage"), "stream_options.include_usage") is True,
        cached=_cached(body),
        tools=tools,
        choice=choice,
        parallel=flag_of(body.get("parallel_tool_calls"), "parallel_tool_calls"),
        format=_format(body.get("response_format"), notes),
        thinking=thinking_of(body.get("reasoning_effort"), "reasoning_effort"),
    )


def thinking_of(effort: Any, where: str) -> Thinking | None:
    if effort is None:
        return None
    if effort not in EFFORTS:
        raise InvalidValue(where)
    return Thinking(on=effort != "none", effort="" if effort == "none" else effort)


def allowed(tools: tuple[Tool, ...], choice: Document, where: str, notes: Notes) -> tuple[tuple[Tool, ...], Choice]:
    """The tools that may be called, and whether one must be: the others are not sent."""
    names = {_name_in(each, where) for each in list_of(choice.get("tools"), f"{where}.tools")}
    notes.add("tool_choice", "only the tools that are allowed are sent")
    mode = text_of(choice.get("mode"), f"{where}.mode")
    if mode not in ("auto", "required"):
        raise InvalidValue(f"{where}.mode")
    return tuple(tool for tool in tools if tool.name in names), MODES[mode]


def _name_in(value: Any, where: str) -> str:
    tool = object_of(value, where)
    named = tool.get(str(tool.get("type")))
    return text_of(tool.get("name", named.get("name") if type(named) is dict else None), where)


def _limit(body: Document) -> int | None:
    limit = whole_of(body.get("max_completion_tokens"), "max_completion_tokens")
    return whole_of(body.get("max_tokens"), "max_tokens") if limit is None else limit


def _turn(value: Any, where: str, notes: Notes) -> Turn:
    role = text_of(object_of(value, where).get("role"), f"{where}.role")
    return _marked(_read_turn(role, value, where, notes), _cached(value, where))


def _cached(value: Document, where: str = "body") -> Document | None:
    """What a client says of Anthropic's cache in a chat, as several gateways take it."""
    said = value.get("cache_control")
    return None if said is None else object_of(said, f"{where}.cache_control")


def _marked(turn: Turn, cached: Document | None) -> Turn:
    """The turn, cached up to its end."""
    *before, last = turn.parts or (Text(""),)
    if cached is None or isinstance(last, Thought):
        return turn
    return Turn(turn.role, (*before, replace(last, cached=cached)))


def _read_turn(role: str, value: Any, where: str, notes: Notes) -> Turn:
    if role not in ROLES:
        raise InvalidValue(f"{where}.role")
    message = notes.check(f"chat.message.{role}", value, where)
    if role == "tool":
        call = text_of(message.get("tool_call_id"), f"{where}.tool_call_id")
        return Turn("user", (ToolResult(call, tuple(_content(message, where, notes))),))
    if role == "function":
        name = text_of(message.get("name"), f"{where}.name")
        return Turn("user", (ToolResult(_id_of_function(name), tuple(_content(message, where, notes))),))
    if role == "assistant":
        return Turn("assistant", tuple(_assistant(message, where, notes)))
    return Turn(ROLES[role], tuple(_content(message, where, notes)))


def _assistant(message: Document, where: str, notes: Notes) -> Iterator[Part]:
    yield from _thoughts(message, where)
    yield from _content(message, where, notes)
    if message.get("refusal"):
        yield Text(text_of(message["refusal"], f"{where}.refusal"))
    for index, call in enumerate(list_of(message.get("tool_calls", []), f"{where}.tool_calls")):
        yield _call(call, f"{where}.tool_calls[{index}]", notes)
    if "function_call" in message:
        function = notes.check("chat.call.function", message["function_call"], f"{where}.function_call")
        name = text_of(function.get("name"), f"{where}.function_call.name")
        yield ToolCall(_id_of_function(name), name, text_of(function.get("arguments"), f"{where}.function_call"))


def _thoughts(message: Document, where: str) -> Iterator[Part]:
    """The thoughts of an assistant: as blocks where they are proven, else as a text."""
    blocks = list_of(message.get("thinking_blocks", []), f"{where}.thinking_blocks")
    for block in blocks:
        block = object_of(block, f"{where}.thinking_blocks")
        said = (block.get(name) or "" for name in ("thinking", "signature", "data"))
        yield Thought(*(text_of(each, f"{where}.thinking_blocks") for each in said))
    if not blocks and message.get("reasoning_content"):
        yield Thought(text_of(message["reasoning_content"], f"{where}.reasoning_content"))


def _id_of_function(name: str) -> str:
    """Functions, which tools have replaced, have no ids; an answer follows its call."""
    return f"call_{name}"


def _call(value: Any, where: str, notes: Notes) -> ToolCall:
    kind, call = notes.typed("chat.tool_call", value, where, default="function")
    inner = notes.check(f"chat.call.{kind}", call.get(kind), f"{where}.{kind}")
    said = "input" if kind == "custom" else "arguments"
    return ToolCall(
        text_of(call.get("id"), f"{where}.id"),
        text_of(inner.get("name"), f"{where}.{kind}.name"),
        text_of(inner.get(said), f"{where}.{kind}.{said}"),
        custom=kind == "custom",
        where=where,
    )


def _content(message: Document, where: str, notes: Notes) -> Iterator[Part]:
    return parts_in(message.get("content", []), f"{where}.content", lambda part, place: (_part(part, place, notes),))


def _part(value: Any, where: str, notes: Notes) -> Part:
    kind, part = notes.typed("chat.part", value, where)
    cached = _cached(part, where)
    if kind == "image_url":
        inner = notes.check("chat.image_url", part.get("image_url"), f"{where}.image_url")
        return replace(picture_of(inner.get("url"), f"{where}.image_url.url"), cached=cached)
    if kind == "file":
        inner = notes.check("chat.file", part.get("file"), f"{where}.file")
        name = text_of(inner.get("filename", ""), f"{where}.file.filename")
        return replace(file_of(inner.get("file_data"), name, f"{where}.file.file_data"), cached=cached)
    return Text(text_of(part.get(kind), f"{where}.{kind}"), cached)


def _tools(body: Document, notes: Notes) -> tuple[Tool, ...]:
    tools = [
        _tool(tool, f"tools[{index}]", notes) for index, tool in enumerate(list_of(body.get("tools", []), "tools"))
    ]
    functions = list_of(body.get("functions", []), "functions")
    tools += [_function(each, f"functions[{index}]", notes) for index, each in enumerate(functions)]
    return tuple(tools)


def _tool(value: Any, where: str, notes: Notes) -> Tool:
    kind, tool = notes.typed("chat.tool", value, where)
    if kind == "function":
        return replace(_function(tool.get("function"), f"{where}.function", notes), cached=_cached(tool, where))
    custom = notes.check("chat.custom", tool.get("custom"), f"{where}.custom")
    form = None
    if "format" in custom:
        kind, form = notes.typed("chat.custom.format", custom["format"], f"{where}.custom.format")
        form = (
            notes.check("chat.grammar", form.get("grammar"), f"{where}.custom.format.grammar")
            if kind != "text"
            else None
        )
    name = text_of(custom.get("name"), f"{where}.custom.name")
    return Tool(name, described(text_of(custom.get("description", ""), where), form, where), custom=True)


def _function(value: Any, where: str, notes: Notes) -> Tool:
    function = notes.check("chat.function", value, where)
    schema = function.get("parameters")
    return Tool(
        text_of(function.get("name"), f"{where}.name"),
        text_of(function.get("description", ""), f"{where}.description"),
        None if schema is None else object_of(schema, f"{where}.parameters"),
        flag_of(function.get("strict"), f"{where}.strict"),
    )


def _choice(body: Document, tools: tuple[Tool, ...], notes: Notes) -> tuple[tuple[Tool, ...], Choice | None]:
    if "function_call" in body:
        value = body["function_call"]
        if type(value) is str:
            return tools, MODES["none" if value == "none" else "auto"]
        named = notes.check("chat.named", value, "function_call")
        return tools, Choice("named", text_of(named.get("name"), "function_call.name"))
    value = body.get("tool_choice")
    if value is None or type(value) is str:
        return tools, mode_of(value)
    kind, choice = notes.typed("chat.choice", value, "tool_choice")
    where = f"tool_choice.{kind}"
    if kind == "allowed_tools":
        return allowed(tools, notes.check("chat.allowed_tools", choice.get(kind), where), where, notes)
    named = notes.check("chat.named", choice.get(kind), where)
    return tools, Choice("named", text_of(named.get("name"), f"{where}.name"))


def mode_of(value: str | None) -> Choice | None:
    if value is not None and value not in MODES:
        raise InvalidValue("tool_choice")
    return None if value is None else MODES[value]


def _format(value: Any, notes: Notes) -> Format | None:
    if value is None:
        return None
    kind, form = notes.typed("chat.format", value, "response_format")
    if kind == "text":
        return None
    if kind == "json_object":
        return Format()
    inner = notes.check("chat.json_schema", form.get("json_schema"), "response_format.json_schema")
    schema = object_of(inner.get("schema", {}), "response_format.json_schema.schema")
    return Format(schema)
