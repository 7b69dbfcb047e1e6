"""OpenAI's responses, understood."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from server.wire.errors import InvalidValue, Untranslatable
from server.wire.translate.fields import Notes
from server.wire.translate.known_tools import CALLS, KNOWN, RESULTS, known
from server.wire.translate.names import spaced
from server.wire.translate.request_from_chat import ROLES, allowed, mode_of, thinking_of
from server.wire.translate.seals import opened
from server.wire.translate.shapes import (
    PDF,
    described,
    file_of,
    flag_of,
    list_of,
    number_of,
    object_of,
    parts_in,
    picture_of,
    text_of,
    whole_of,
)
from server.wire.translate.terms import (
    Asked,
    Choice,
    Document,
    File,
    Format,
    Part,
    Text,
    Thought,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)

_HOSTED = "there only tools of the caller's own are called"
_OWN_TOOLS = ("function", "custom", "namespace")
_REPEATED: Document = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "truncation": "disabled",
}  # what an answer repeats of its request, and what it says where the request does not


def read_responses(document: Document, notes: Notes) -> Asked:
    """Read a body. Raises InvalidValue, Untranslatable."""
    body = notes.check("responses", document)
    notes.check("responses.stream_options", body.get("stream_options", {}), "stream_options")
    text = notes.check("responses.text", body.get("text", {}), "text")
    reasoning = notes.check("responses.reasoning", body.get("reasoning", {}), "reasoning")
    asked = Asked(
        model=text_of(body.get("model"), "model"),
        turns=list(_turns(body, notes)),
        turns_in="input",
        limit=whole_of(body.get("max_output_tokens"), "max_output_tokens"),
        temperature=number_of(body.get("temperature"), "temperature"),
        top_p=number_of(body.get("top_p"), "top_p"),
        stream=flag_of(body.get("stream"), "stream") is True,
        parallel=flag_of(body.get("parallel_tool_calls"), "parallel_tool_calls"),
        format=_format(text.get("format"), notes),
        thinking=thinking_of(reasoning.get("effort"), "reasoning.effort"),
        echo={name: document.get(name, usual) for name, usual in _REPEATED.items()},
    )
    offered = list_of(body.get("tools", []), "tools")
    tools = _tools(offered, asked.spaces, notes)
    asked.known = frozenset(tool.name for tool in map(known, offered) if tool is not None)
    asked.tools, asked.choice = _choice(body.get("tool_choice"), tools, notes)
    return asked


def _turns(body: Document, notes: Notes) -> Iterator[Turn]:
    if body.get("instructions"):
        yield Turn("system", (Text(text_of(body["instructions"], "instructions")),))
    given = body.get("input")
    if type(given) is str:
        yield Turn("user", (Text(given),))
        return
    for index, item in enumerate(list_of(given, "input")):
        yield _item(item, f"input[{index}]", notes)


def _item(value: Any, where: str, notes: Notes) -> Turn:
    kind, item = notes.typed("responses.item", value, where, default="message")
    if kind == "message":
        role = item.get("role")
        if role not in ("user", "assistant", "system", "developer"):
            raise InvalidValue(f"{where}.role")
        return Turn(ROLES[role], tuple(_content(item.get("content"), f"{where}.content", notes)))
    if kind == "reasoning":
        return Turn("assistant", tuple(_thought(item, where, notes)))
    if kind in CALLS or kind in RESULTS:
        return _known(kind, item, where)
    call = text_of(item.get("call_id"), f"{where}.call_id")
    if kind in ("function_call_output", "custom_tool_call_output"):
        return Turn("user", (ToolResult(call, tuple(_content(item.get("output"), f"{where}.output", notes))),))
    name = spaced(text_of(item.get("namespace", ""), where), text_of(item.get("name"), f"{where}.name"))
    said = "arguments" if kind == "function_call" else "input"
    arguments = text_of(item.get(said), f"{where}.{said}")
    return Turn("assistant", (ToolCall(call, name, arguments, custom=said == "input", where=where),))


def _known(kind: str, item: Document, where: str) -> Turn:
    """A call of a tool that OpenAI's models know, or its result."""
    call = text_of(item.get("call_id", item.get("id")), f"{where}.call_id")
    if (tool := CALLS.get(kind)) is not None:
        said = object_of(item.get(tool.says), f"{where}.{tool.says}")
        return Turn("assistant", (ToolCall(call, tool.name, orjson.dumps(said).decode(), where=where),))
    output = item.get("output", "")
    words = output if type(output) is str else orjson.dumps(list_of(output, f"{where}.output")).decode()
    return Turn("user", (ToolResult(call, (Text(words),), failed=item.get("status") == "failed"),))


def _thought(item: Document, where: str, notes: Notes) -> Iterator[Thought]:
    """A thought: what only we can read of it, if we have written it, else its text."""
    if sealed := item.get("encrypted_content"):
        thoughts = opened(text_of(sealed, f"{where}.encrypted_content"))
        if thoughts is None:
            notes.add("encrypted_content", "only the provider that made it can read it")
        else:
            yield from thoughts
            return
    texts = [
        text_of(notes.typed("responses.part", part, where)[1].get("text"), where)
        for name in ("content", "summary")
        for part in list_of(item.get(name, []), f"{where}.{name}")
    ]
    if texts:
        yield Thought("\n\n".join(texts))


def _content(content: Any, where: str, notes: Notes) -> Iterator[Part]:
    return parts_in(content, where, lambda part, place: (_part(part, place, notes),))


def _part(value: Any, where: str, notes: Notes) -> Part:
    kind, part = notes.typed("responses.part", value, where)
    if kind == "input_image":
        return picture_of(part.get("image_url"), f"{where}.image_url")
    if kind == "input_file":
        name = text_of(part.get("filename", ""), f"{where}.filename")
        if "file_url" in part:
            return File(PDF, url=text_of(part["file_url"], f"{where}.file_url"), name=name, where=f"{where}.file_url")
        return file_of(part.get("file_data"), name, f"{where}.file_data")
    said = "refusal" if kind == "refusal" else "text"
    return Text(text_of(part.get(said), f"{where}.{said}"))


def _tools(values: list[Any], spaces: dict[str, tuple[str, str]], notes: Notes) -> tuple[Tool, ...]:
    """The caller's own tools. One of the provider's beside them is an offer, and left out; alone it is the purpose."""
    tools: list[Tool] = []
    for index, value in enumerate(values):
        if object_of(value, "tools").get("type") in _OWN_TOOLS:
            tools += _tool(value, f"tools[{index}]", spaces, notes)
        elif (tool := known(value)) is not None:
            notes.typed("responses.tool", value, f"tools[{index}]")
            tools.append(tool.tool())
        else:
            notes.add("tools", _HOSTED)
    if values and not tools:
        raise Untranslatable("tools[0].type", why=_HOSTED)
    return tuple(tools)


def _tool(value: Any, where: str, spaces: dict[str, tuple[str, str]], notes: Notes) -> Iterator[Tool]:
    kind, tool = notes.typed("responses.tool", value, where)
    name, description = text_of(tool.get("name"), f"{where}.name"), text_of(tool.get("description", ""), where)
    if kind == "namespace":
        for index, each in enumerate(list_of(tool.get("tools"), f"{where}.tools")):
            for inner in _tool(each, f"{where}.tools[{index}]", spaces, notes):
                flat = spaced(name, inner.name)
                spaces[flat] = (name, inner.name)
                yield Tool(flat, inner.description, inner.schema, inner.strict, inner.custom)
    elif kind == "custom":
        form = tool.get("format")
        if form is not None:
            _, form = notes.typed("responses.custom.format", form, f"{where}.format")
        yield Tool(name, described(description, form, where), custom=True)
    else:
        schema = tool.get("parameters")
        schema = None if schema is None else object_of(schema, f"{where}.parameters")
        yield Tool(name, description, schema, flag_of(tool.get("strict"), f"{where}.strict"))


def _choice(value: Any, tools: tuple[Tool, ...], notes: Notes) -> tuple[tuple[Tool, ...], Choice | None]:
    if value is None or type(value) is str:
        return tools, mode_of(value)
    kind, choice = notes.typed("responses.choice", value, "tool_choice")
    if kind == "allowed_tools":
        return allowed(tools, choice, "tool_choice", notes)
    name = kind if kind in KNOWN else text_of(choice.get("name"), "tool_choice.name")
    return tools, Choice("named", name)


def _format(value: Any, notes: Notes) -> Format | None:
    if value is None:
        return None
    kind, form = notes.typed("responses.format", value, "text.format")
    if kind == "text":
        return None
    if kind == "json_object":
        return Format()
    schema = object_of(form.get("schema"), "text.format.schema")
    return Format(
        schema, text_of(form.get("name", ""), "text.format.name"), flag_of(form.get("strict"), "text.format.strict")
    )
