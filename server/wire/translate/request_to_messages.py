"""A request in Anthropic's messages.

Its turns alternate and begin with the user's; what stands in one turn is a list of blocks, results of tools first and
none empty; what the system says stands in front of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from server.wire.errors import InvalidValue, Untranslatable
from server.wire.tokens import is_claude
from server.wire.translate.effort import budget_of, is_sampled, manner_of
from server.wire.translate.fields import Notes
from server.wire.translate.names import named, safe
from server.wire.translate.shapes import FREE_TEXT, NO_ARGUMENTS, arguments_of
from server.wire.translate.terms import (
    Asked,
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
    where_of,
)

BEGINNING = "(The conversation begins with the assistant.)"
JSON_ONLY = "Answer with one JSON object and nothing else."
ANSWER = "answer"  # the tool that is the answer, for models that know no `output_config`
HIGHEST_TEMPERATURE = 1
LEAST_TOP_P = 0.95  # beside thoughts
_FINAL = "a conversation that ends with the assistant's words is continued there, not answered"


def write_messages(asked: Asked, notes: Notes, usual_limit: int) -> Document:
    """Write a body. `usual_limit`: tokens of the answer, where the caller has not said how many. Raises Refusals."""
    limit = asked.limit
    if limit is None:
        limit = usual_limit
        notes.add("max_tokens", f"it is required there, and is {usual_limit}")
    body: Document = {"model": asked.model, "max_tokens": limit, "messages": _turns(asked, notes)}
    system = list(_system(asked, notes))
    if asked.stops:
        body["stop_sequences"] = _stops(asked.stops)
    if asked.stream:
        body["stream"] = True
    _shape(body, system, asked, notes)
    if system:
        body["system"] = _joined(system, asked, notes)
    if asked.cached is not None:
        body["cache_control"] = asked.cached
    elif _is_loop(asked):
        body["cache_control"] = {"type": "ephemeral"}
        notes.add("cache_control", "what a loop of tools has said so far is cached there")
    _use_tools(body, asked, notes)
    _think(body, asked.thinking, notes)
    _sample(body, asked, notes)
    return body


def _is_loop(asked: Asked) -> bool:
    """Whether a Claude is asked again with what a tool has returned, and its caller says nothing of a cache.

    The next request follows soon and begins with all of this one: read from a cache it costs a tenth, and a provider's
    limits do not count it. Of other conversations it is not known whether they go on, and writing costs a quarter more.
    """
    parts = [part for turn in asked.turns for part in turn.parts]
    said = any(part.cached is not None for part in (*asked.tools, *parts) if not isinstance(part, Thought))
    return is_claude(asked.model) and not said and any(isinstance(part, ToolResult) for part in parts)


def _system(asked: Asked, notes: Notes) -> Iterator[Text]:
    """What the system says, wherever it says it."""
    begun = False
    for turn in asked.turns:
        begun |= turn.role != "system"
        if turn.role == "system":
            if begun:
                notes.add(asked.turns_in, "what the system says later stands in front there")
            for part in turn.parts:
                if not isinstance(part, Text):
                    raise InvalidValue(where_of(part, asked.turns_in))
                if part.text.strip():
                    yield part


def _joined(system: list[Text], asked: Asked, notes: Notes) -> Any:
    """One text, or blocks where one of them is to be cached."""
    if any(part.cached is not None for part in system):
        return list(_blocks(system, asked.names, notes))
    return "\n\n".join(part.text for part in system)


def _turns(asked: Asked, notes: Notes) -> list[Document]:
    turns: list[tuple[Role, list[Document]]] = []
    for turn in asked.turns:
        if turn.role == "system":
            continue
        blocks = list(_blocks(turn.parts, asked.names, notes))
        if not blocks:
            continue
        if turns and turns[-1][0] == turn.role:
            turns[-1][1].extend(blocks)
        else:
            turns.append((turn.role, blocks))
    if not turns:
        raise InvalidValue(asked.turns_in)
    if turns[-1][0] == "assistant":
        raise Untranslatable(asked.turns_in, why=_FINAL)
    if turns[0][0] == "assistant":
        notes.add(asked.turns_in, "a turn of the user's stands in front there")
        turns.insert(0, ("user", [{"type": "text", "text": BEGINNING}]))
    return [{"role": role, "content": _ordered(role, blocks)} for role, blocks in turns]


def _ordered(role: Role, blocks: list[Document]) -> Any:
    """Results stand in front of all else; a text alone is written as one."""
    if role == "user":
        blocks.sort(key=lambda block: block["type"] != "tool_result")  # it is stable
    return _plain(blocks) if role == "user" else blocks


def _plain(blocks: list[Document]) -> Any:
    """The text that the blocks are, if they are no more than that."""
    return blocks[0]["text"] if len(blocks) == 1 and blocks[0].keys() == {"type", "text"} else blocks


def _blocks(parts: Iterable[Part], names: dict[str, str], notes: Notes) -> Iterator[Document]:
    for part in parts:
        for block in _block(part, names, notes):
            cached = None if isinstance(part, Thought) else part.cached
            yield block if cached is None else {**block, "cache_control": cached}


def _block(part: Part, names: dict[str, str], notes: Notes) -> Iterator[Document]:
    if isinstance(part, ToolResult):
        yield _result(part, names, notes)
    elif isinstance(part, ToolCall):
        given = {"input": part.arguments} if part.custom else arguments_of(part.arguments, notes)
        yield {"type": "tool_use", "id": safe(part.id), "name": named(part.name, names), "input": given}
    elif isinstance(part, Thought):
        yield from _thought(part, notes)
    elif isinstance(part, Image):
        yield {"type": "image", "source": _source(part)}
    elif isinstance(part, File):
        title = {"title": part.name} if part.name else {}
        yield {"type": "document", "source": _source(part), **title}
    elif part.text.strip():
        yield {"type": "text", "text": part.text}


def _thought(thought: Thought, notes: Notes) -> Iterator[Document]:
    if thought.sealed:
        yield {"type": "redacted_thinking", "data": thought.sealed}
    elif thought.signature:
        yield {"type": "thinking", "thinking": thought.text, "signature": thought.signature}
    else:
        notes.add("reasoning", "a thought that its provider has not signed is not taken there")


def _source(part: Image | File) -> Document:
    if part.url:
        if not part.url.startswith(("https://", "http://")):
            raise InvalidValue(part.where)
        return {"type": "url", "url": part.url}
    return {"type": "base64", "media_type": part.media_type, "data": part.data}


def _result(result: ToolResult, names: dict[str, str], notes: Notes) -> Document:
    blocks = list(_blocks(result.parts, names, notes))
    failed = {"is_error": True} if result.failed else {}
    return {
        "type": "tool_result",
        "tool_use_id": safe(result.call),
        **({"content": _plain(blocks)} if blocks else {}),
        **failed,
    }


def _stops(stops: tuple[str, ...]) -> list[str]:
    if not all(stop.strip() for stop in stops):
        raise Untranslatable("stop", why="a sequence of blanks alone ends no answer there")
    return list(stops)


def _shape(body: Document, system: list[Text], asked: Asked, notes: Notes) -> None:
    """Say that the answer is JSON: as a format, as the arguments of a tool, or in words."""
    form = asked.format
    if form is None:
        return
    if form.schema is None:
        notes.add("response_format", "it is asked for in words there")
        system.append(Text(JSON_ONLY))
    elif manner_of(asked.model) == "adaptive" or asked.tools:
        body["output_config"] = {"format": {"type": "json_schema", "schema": form.schema}}
    else:
        notes.add("response_format", "the answer is the call of a tool there")
        asked.answers_in = ANSWER
        body["tools"] = [_tool(_answering(form), asked.names)]
        body["tool_choice"] = {"type": "tool", "name": ANSWER, "disable_parallel_tool_use": True}


def _answering(form: Format) -> Tool:
    return Tool(ANSWER, "Give the answer.", form.schema)


def _use_tools(body: Document, asked: Asked, notes: Notes) -> None:
    if not asked.tools:
        if asked.choice is not None:
            notes.add("tool_choice", "there is no tool to choose")
        return
    body["tools"] = [_tool(tool, asked.names) for tool in asked.tools]
    choice: Document = {}
    if asked.choice is not None and asked.choice.mode == "named":
        choice = {"type": "tool", "name": safe(asked.choice.name)}
    elif asked.choice is not None:
        choice = {"type": asked.choice.mode}
    if asked.parallel is not None and choice.get("type") != "none" and not (asked.parallel and not choice):
        choice = {"type": "auto", **choice, "disable_parallel_tool_use": not asked.parallel}
    if choice:
        body["tool_choice"] = choice


def _tool(tool: Tool, names: dict[str, str]) -> Document:
    schema = FREE_TEXT if tool.custom else tool.schema or NO_ARGUMENTS
    described = {"description": tool.description} if tool.description else {}
    strict = {"strict": True} if tool.strict else {}
    cached = {} if tool.cached is None else {"cache_control": tool.cached}
    shape = {"type": "object", **schema}
    return {"name": named(tool.name, names), **described, "input_schema": shape, **strict, **cached}


def _think(body: Document, thinking: Thinking | None, notes: Notes) -> None:
    """Ask for thoughts in the way that the model knows (`effort.py`)."""
    if thinking is None:
        return
    manner = manner_of(body["model"])
    if not thinking.on:  # which is how they are if nothing is said
        if not is_sampled(body["model"]):
            notes.add("reasoning_effort", "the model decides itself whether it thinks")
        return
    if body.get("tool_choice", {}).get("type") in ("any", "tool"):
        notes.add("reasoning_effort", "a model that must call a tool does not think there")
        return
    budget = budget_of(thinking, body["max_tokens"]) if manner == "budget" else None
    if manner == "adaptive":
        body["thinking"] = {"type": "adaptive"}
        effort = "low" if thinking.effort == "minimal" else thinking.effort
        body["output_config"] = {**body.get("output_config", {}), "effort": effort}
    elif budget is None:
        notes.add("reasoning_effort", "the model does not think, or max_tokens leaves too little for it")
    elif _in_a_round(body["messages"]):
        notes.add("reasoning_effort", "the thoughts before the tool's result are missing, so there are none behind it")
    else:
        body["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _in_a_round(turns: list[Document]) -> bool:
    """Whether the last turn answers a call of a tool that no thought stands before."""
    content = turns[-1]["content"]
    answers = type(content) is list and content[0]["type"] == "tool_result"
    before = turns[-2]["content"] if answers and len(turns) > 1 else []
    return answers and not (before and before[0]["type"] in ("thinking", "redacted_thinking"))


def _sample(body: Document, asked: Asked, notes: Notes) -> None:
    """The settings of the sampling, as far as they may stand beside each other there."""
    temperature, top_p, top_k = asked.temperature, asked.top_p, asked.top_k
    if not is_sampled(asked.model):
        for name, value in (("temperature", temperature), ("top_p", top_p), ("top_k", top_k)):
            if value is not None and value != 1:
                notes.add(name, "the model takes none")
        return
    if temperature is not None and temperature > HIGHEST_TEMPERATURE:
        notes.add("temperature", "the highest is 1 there")
        temperature = HIGHEST_TEMPERATURE
    if "thinking" in body:
        if temperature not in (None, HIGHEST_TEMPERATURE):
            notes.add("temperature", "a model that thinks has none there")
        if top_k is not None:
            notes.add("top_k", "a model that thinks has none there")
        if top_p is not None and top_p < LEAST_TOP_P:
            notes.add("top_p", "a model that thinks takes none below 0.95 there")
            top_p = None
        temperature = top_k = None
    if temperature is not None and top_p is not None and "claude" in asked.model:
        if top_p != 1:
            notes.add("top_p", "it cannot be given beside the temperature there")
        top_p = None
    given = {"temperature": temperature, "top_p": top_p, "top_k": top_k}
    body.update({name: value for name, value in given.items() if value is not None})
