"""Conversations in no dialect, written in each and read back from each by code that knows nothing of ours."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

PNG = "iVBORw0KGgo="
PDF = "JVBERi0xLjQ="


@dataclass(frozen=True)
class Say:
    role: str  # "system", "user" or "assistant"
    text: str


@dataclass(frozen=True)
class Show:
    """A picture of the user's: its bytes or its address."""

    data: str = ""
    url: str = ""


@dataclass(frozen=True)
class Attach:
    name: str
    data: str = PDF


@dataclass(frozen=True)
class Call:
    id: str
    name: str
    arguments: str  # JSON, compact


@dataclass(frozen=True)
class Return:
    id: str
    text: str


Step = Say | Show | Attach | Call | Return


def joined(steps: list[Step]) -> list[Step]:
    """The steps, the texts of one role that follow each other as one, and what the system says in front."""
    system = [step.text for step in steps if isinstance(step, Say) and step.role == "system"]
    out: list[Step] = [Say("system", "\n\n".join(system))] if system else []
    for step in steps:
        if isinstance(step, Say) and step.role == "system":
            continue
        last = out[-1] if out else None
        if isinstance(step, Say) and isinstance(last, Say) and last.role == step.role:
            out[-1] = Say(step.role, last.text + step.text)
        else:
            out.append(step)
    return out


# Writing.


def as_chat(steps: list[Step]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for step in steps:
        last = messages[-1] if messages else {}
        if isinstance(step, Say) and step.role != "user":
            messages.append({"role": step.role, "content": step.text})
        elif isinstance(step, Return):
            messages.append({"role": "tool", "tool_call_id": step.id, "content": step.text})
        elif isinstance(step, Call):
            call = {"id": step.id, "type": "function", "function": {"name": step.name, "arguments": step.arguments}}
            if last.get("role") != "assistant":
                last = {"role": "assistant", "content": None}
                messages.append(last)
            last.setdefault("tool_calls", []).append(call)
        else:
            if last.get("role") != "user":
                last = {"role": "user", "content": []}
                messages.append(last)
            last["content"].append(_chat_part(step))
    return messages


def _chat_part(step: Step) -> dict[str, Any]:
    if isinstance(step, Show):
        return {"type": "image_url", "image_url": {"url": step.url or f"data:image/png;base64,{step.data}"}}
    if isinstance(step, Attach):
        file = {"filename": step.name, "file_data": f"data:application/pdf;base64,{step.data}"}
        return {"type": "file", "file": file}
    assert isinstance(step, Say)
    return {"type": "text", "text": step.text}


def as_messages(steps: list[Step]) -> dict[str, Any]:
    body: dict[str, Any] = {"messages": []}
    for step in steps:
        if isinstance(step, Say) and step.role == "system":
            body.setdefault("system", []).append({"type": "text", "text": step.text})
            continue
        role = "assistant" if isinstance(step, Call) else getattr(step, "role", "user")
        if not body["messages"] or body["messages"][-1]["role"] != role:
            body["messages"].append({"role": role, "content": []})
        body["messages"][-1]["content"].append(_block(step))
    return body


def _block(step: Step) -> dict[str, Any]:
    if isinstance(step, Show):
        bytes_ = {"type": "base64", "media_type": "image/png", "data": step.data}
        return {"type": "image", "source": {"type": "url", "url": step.url} if step.url else bytes_}
    if isinstance(step, Attach):
        source = {"type": "base64", "media_type": "application/pdf", "data": step.data}
        return {"type": "document", "title": step.name, "source": source}
    if isinstance(step, Call):
        return {"type": "tool_use", "id": step.id, "name": step.name, "input": json.loads(step.arguments)}
    if isinstance(step, Return):
        return {"type": "tool_result", "tool_use_id": step.id, "content": step.text}
    return {"type": "text", "text": step.text}


def as_responses(steps: list[Step]) -> dict[str, Any]:
    items: list[dict[str, Any]] = []
    for step in steps:
        if isinstance(step, Call):
            items.append({"type": "function_call", "call_id": step.id, "name": step.name, "arguments": step.arguments})
        elif isinstance(step, Return):
            items.append({"type": "function_call_output", "call_id": step.id, "output": step.text})
        elif isinstance(step, Say) and step.role != "user":
            items.append({"role": step.role, "content": step.text})
        else:
            items.append({"type": "message", "role": "user", "content": [_input(step)]})
    return {"input": items}


def _input(step: Step) -> dict[str, Any]:
    if isinstance(step, Show):
        return {"type": "input_image", "image_url": step.url or f"data:image/png;base64,{step.data}", "detail": "auto"}
    if isinstance(step, Attach):
        data = f"data:application/pdf;base64,{step.data}"
        return {"type": "input_file", "filename": step.name, "file_data": data}
    assert isinstance(step, Say)
    return {"type": "input_text", "text": step.text}


# Reading back.


def of_chat(body: dict[str, Any]) -> list[Step]:
    steps: list[Step] = []
    for message in body["messages"]:
        role, content = message["role"], message.get("content")
        if role == "tool":
            steps.append(Return(message["tool_call_id"], content))
            continue
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
        steps += [_of_chat_part(role, part) for part in parts]
        for call in message.get("tool_calls", []):
            assert call["type"] == "function"
            steps.append(Call(call["id"], call["function"]["name"], compact(call["function"]["arguments"])))
    return joined(steps)


def _of_chat_part(role: str, part: dict[str, Any]) -> Step:
    if part["type"] == "image_url":
        url = part["image_url"]["url"]
        prefix = "data:image/png;base64,"
        return Show(data=url.removeprefix(prefix)) if url.startswith(prefix) else Show(url=url)
    if part["type"] == "file":
        return Attach(part["file"]["filename"], part["file"]["file_data"].removeprefix("data:application/pdf;base64,"))
    return Say(role, part["text"])


def of_messages(body: dict[str, Any]) -> list[Step]:
    steps: list[Step] = [Say("system", body["system"])] if "system" in body else []
    roles = [message["role"] for message in body["messages"]]
    assert roles[0] == "user"
    assert all(one != other for one, other in pairwise(roles)), "turns alternate"
    for message in body["messages"]:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        assert blocks
        steps += [_of_block(message["role"], block) for block in blocks]
    return joined(steps)


def _of_block(role: str, block: dict[str, Any]) -> Step:
    kind = block["type"]
    if kind == "image":
        source = block["source"]
        return Show(url=source["url"]) if source["type"] == "url" else Show(data=source["data"])
    if kind == "document":
        return Attach(block["title"], block["source"]["data"])
    if kind == "tool_use":
        return Call(block["id"], block["name"], compact(json.dumps(block["input"])))
    if kind == "tool_result":
        return Return(block["tool_use_id"], block["content"])
    assert block["text"].strip(), "no empty texts"
    return Say(role, block["text"])


def compact(text: str) -> str:
    return json.dumps(json.loads(text), separators=(",", ":"), sort_keys=True, ensure_ascii=False)


# Making them.

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(lambda text: text.strip())
names = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
jsons = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(words, jsons, max_size=3).map(lambda value: compact(json.dumps(value)))
pictures = st.sampled_from([Show(data=PNG), Show(url="https://example.org/a.png")])


@st.composite
def rounds(draw: st.DrawFn) -> list[Step]:
    """What the user says, and perhaps what the model answers and its tools return."""
    steps: list[Step] = [Say("user", draw(words))]
    steps += draw(st.lists(pictures | st.builds(Attach, names), max_size=2))
    steps += [Say("user", text) for text in draw(st.lists(words, max_size=1))]
    return steps


@st.composite
def conversations(draw: st.DrawFn) -> list[Step]:
    steps: list[Step] = [Say("system", text) for text in draw(st.lists(words, max_size=2))]
    steps += draw(rounds())
    for number in range(draw(st.integers(0, 3))):
        spoken = draw(st.lists(words, max_size=1))
        calls = [Call(f"call_{number}_{index}", draw(names), draw(objects)) for index in range(draw(st.integers(0, 3)))]
        if not spoken and not calls:
            continue
        steps += [Say("assistant", text) for text in spoken]
        steps += calls
        steps += [Return(call.id, draw(words)) for call in calls]
        if not calls or draw(st.booleans()):
            steps += draw(rounds())
    return steps
