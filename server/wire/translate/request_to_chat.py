"""A request in OpenAI's chat completions, as OpenAI and those that speak like it take it.

The results of tools are messages of their own, behind the message that has the calls; they are text, so pictures in
them stand in a message of the user's behind. Whatever is one text is written as a text: not all servers read parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from server.wire.errors import InvalidValue, Untranslatable
from server.wire.published import is_of_others
from server.wire.translate.effort import reasons, word_of
from server.wire.translate.fields import Notes
from server.wire.translate.names import named, safe
from server.wire.translate.shapes import FREE_TEXT, NO_ARGUMENTS
from server.wire.translate.terms import (
    Asked,
    Document,
    File,
    Format,
    Image,
    Part,
    Text,
    Thinking,
    Thought,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
    where_of,
)

ANSWER = "answer"  # the name of a schema that has none
_SHOWN = "What the tool has returned:"
_MODES = {"auto": "auto", "any": "required", "none": "none"}
_HIGHER = ("xhigh", "max")  # words that only the newest models know
_COLD = re.compile(r"(^|/)(o\d|gpt-[5-9](?!.*chat))")  # of OpenAI's, those that take no temperature


def write_chat(asked: Asked, notes: Notes, usual_limit: int) -> Document:
    """Write a body. The answer needs no bound there, so `usual_limit` is not written. Raises Refusals."""
    body: Document = {"model": asked.model, "messages": list(_messages(asked, notes))}
    if asked.limit is not None:
        body["max_tokens" if is_of_others(asked.model) else "max_completion_tokens"] = asked.limit
    if asked.stops:
        body["stop"] = list(asked.stops)
    if asked.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    _use_tools(body, asked, notes)
    if asked.format is not None:
        body["response_format"] = _format(asked.format)
    _think(body, asked.thinking, notes)
    _sample(body, asked, notes)
    return body


def _messages(asked: Asked, notes: Notes) -> Iterator[Document]:
    for turn in _merged(asked.turns):
        if turn.role == "system":
            yield {"role": "system", "content": "\n\n".join(_words(turn.parts, asked.turns_in))}
        elif turn.role == "assistant":
            yield from _assistant(turn.parts, asked.names, notes)
        else:
            yield from _user(turn.parts, notes)


def _merged(turns: Iterable[Turn]) -> Iterator[Turn]:
    """The turns, those of the assistant that follow each other as one: calls stand beside the text."""
    last: Turn | None = None
    for turn in turns:
        if last is not None and last.role == turn.role == "assistant":
            last = Turn("assistant", (*last.parts, *turn.parts))
            continue
        if last is not None:
            yield last
        last = turn
    if last is not None:
        yield last


def _words(parts: Iterable[Part], where: str) -> Iterator[str]:
    for part in parts:
        if not isinstance(part, Text):
            raise InvalidValue(where_of(part, where))
        yield part.text


def _assistant(parts: tuple[Part, ...], names: dict[str, str], notes: Notes) -> Iterator[Document]:
    message: Document = {"role": "assistant"}
    text = [part.text for part in parts if isinstance(part, Text)]
    calls = [_call(part, names) for part in parts if isinstance(part, ToolCall)]
    if thoughts := _thoughts(parts, notes):
        message["reasoning_content"] = thoughts
    message["content"] = "".join(text) if text or not calls else None
    if calls:
        message["tool_calls"] = calls
    if text or calls:
        yield message


def _thoughts(parts: Iterable[Part], notes: Notes) -> str:
    """The thoughts of a server of this dialect: those of others are signed."""
    thoughts = [part for part in parts if isinstance(part, Thought)]
    if any(thought.signature or thought.sealed for thought in thoughts):
        notes.add("thinking", "it is another provider's, and only that one takes it")
    own = (thought.text for thought in thoughts if not (thought.signature or thought.sealed))
    return "\n\n".join(text for text in own if text)


def _call(call: ToolCall, names: dict[str, str]) -> Document:
    arguments = orjson.dumps({"input": call.arguments}).decode() if call.custom else call.arguments
    return {
        "id": safe(call.id),
        "type": "function",
        "function": {"name": named(call.name, names), "arguments": arguments},
    }


def _user(parts: tuple[Part, ...], notes: Notes) -> Iterator[Document]:
    shown: list[Part] = []
    for part in parts:
        if isinstance(part, ToolResult):
            text = "".join(each.text for each in part.parts if isinstance(each, Text))
            if part.failed:
                notes.add("is_error", "a result says in its text there that its call has failed")
            media = [each for each in part.parts if not isinstance(each, Text)]
            if media:
                notes.add("tool_result", "pictures and files stand in a message behind it there")
                shown += [Text(_SHOWN), *media]
            yield {"role": "tool", "tool_call_id": safe(part.call), "content": _returned(text, part.failed)}
    said = [*shown, *(part for part in parts if not isinstance(part, ToolResult))]
    if said or not parts:
        yield {"role": "user", "content": _content(said)}


def _returned(text: str, failed: bool) -> str:
    return f"Error: {text}" if failed and not text.lower().startswith("error") else text


def _content(parts: list[Part]) -> Any:
    if len(parts) == 1 and isinstance(parts[0], Text):
        return parts[0].text
    return [_part(part) for part in parts]


def _part(part: Part) -> Document:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, Image):
        return {"type": "image_url", "image_url": {"url": part.url or f"data:{part.media_type};base64,{part.data}"}}
    if isinstance(part, File):
        if part.url:
            raise Untranslatable(part.where, why="files are sent there, not fetched; send its bytes")
        data = f"data:{part.media_type};base64,{part.data}"
        return {"type": "file", "file": {"filename": part.name or "document.pdf", "file_data": data}}
    raise InvalidValue("messages")


def _use_tools(body: Document, asked: Asked, notes: Notes) -> None:
    if not asked.tools:
        if asked.choice is not None:
            notes.add("tool_choice", "there is no tool to choose")
        return
    body["tools"] = [{"type": "function", "function": _function(tool, asked.names)} for tool in asked.tools]
    if asked.choice is not None and asked.choice.mode == "named":
        body["tool_choice"] = {"type": "function", "function": {"name": safe(asked.choice.name)}}
    elif asked.choice is not None:
        body["tool_choice"] = _MODES[asked.choice.mode]
    if asked.parallel is not None:
        body["parallel_tool_calls"] = asked.parallel


def _function(tool: Tool, names: dict[str, str]) -> Document:
    schema = FREE_TEXT if tool.custom else tool.schema or NO_ARGUMENTS
    described = {"description": tool.description} if tool.description else {}
    strict = {} if tool.strict is None else {"strict": tool.strict}
    return {"name": named(tool.name, names), **described, "parameters": schema, **strict}


def _format(form: Format) -> Document:
    if form.schema is None:
        return {"type": "json_object"}
    strict = is_strict(form.schema) if form.strict is None else form.strict
    return {
        "type": "json_schema",
        "json_schema": {"name": form.name or ANSWER, "schema": form.schema, "strict": strict},
    }


def is_strict(schema: Any) -> bool:
    """Whether OpenAI takes a schema as a strict one: every object says all its members, and all are required."""
    if type(schema) is list:
        return all(is_strict(each) for each in schema)
    if type(schema) is not dict:
        return True
    members = schema.get("properties")
    if schema.get("type") == "object" or type(members) is dict:
        named = list(members) if type(members) is dict else []
        if schema.get("additionalProperties") is not False or sorted(schema.get("required", [])) != sorted(named):
            return False
    return all(is_strict(each) for each in schema.values())


def _think(body: Document, thinking: Thinking | None, notes: Notes) -> None:
    if thinking is None:
        return
    word = word_of(thinking)
    if not word or not reasons(body["model"]):
        if thinking.on:
            notes.add("thinking", "the model decides itself whether it thinks")
        return
    if not thinking.on and not body["model"].startswith("gpt-5."):
        notes.add("thinking", "the model always thinks")
        return
    if word in _HIGHER:
        notes.add("effort", "the highest is high there")
        word = "high"
    body["reasoning_effort"] = word


def _sample(body: Document, asked: Asked, notes: Notes) -> None:
    given = {"temperature": asked.temperature, "top_p": asked.top_p}
    for name, value in given.items():
        if value is None:
            continue
        if _COLD.search(asked.model) and value != 1:
            notes.add(name, "the model takes none")
        else:
            body[name] = value
