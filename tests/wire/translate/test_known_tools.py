"""A shell and a patch that OpenAI's models know are functions elsewhere, and come back as the items that they are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from server.wire.errors import Untranslatable
from server.wire.translate.translation import Spoken, Translated, translate
from tests.wire.translate.replies import (
    Made,
    Reply,
    chat_answer,
    chat_stream,
    data_of,
    messages_answer,
    messages_stream,
)

SPOKEN: list[Spoken] = ["chat", "messages"]
STREAMS = {"chat": chat_stream, "messages": messages_stream}
ANSWERS = {"chat": chat_answer, "messages": messages_answer}
PATCH = {"type": "update_file", "path": "a.txt", "diff": "@@\n-red\n+green"}
# A tool, what a model says to it, and what its caller is sent.
CALLS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("local_shell", {"command": ["ls"]}, {"action": {"type": "exec", "command": ["ls"], "env": {}}}),
    ("local_shell", {}, {"action": {"type": "exec", "command": [], "env": {}}}),
    ("shell", {"commands": ["ls", "pwd"], "timeout_ms": 9}, {"action": {"commands": ["ls", "pwd"], "timeout_ms": 9}}),
    ("apply_patch", PATCH, {"operation": PATCH}),
]


def said(spoken: Spoken, *tools: dict[str, Any], given: Any = "x", **more: Any) -> Translated:
    body = {"model": "m", "input": given, "tools": [*tools], **more}
    return translate(body, "responses", spoken, id="req_1", now=1, usual_limit=9)


@pytest.mark.parametrize("spoken", SPOKEN)
@pytest.mark.parametrize("name", ["local_shell", "shell", "apply_patch"])
def test_it_is_offered_as_a_function(spoken: Spoken, name: str) -> None:
    sent = json.loads(said(spoken, {"type": name}, tool_choice={"type": name}).body)
    tool = sent["tools"][0]["function"] if spoken == "chat" else sent["tools"][0]
    assert tool["name"] == name and tool["description"]
    assert (tool["parameters"] if spoken == "chat" else tool["input_schema"])["required"]
    chosen = sent["tool_choice"]
    assert (chosen["function"] if spoken == "chat" else chosen)["name"] == name


@pytest.mark.parametrize("spoken", SPOKEN)
@pytest.mark.parametrize(("name", "arguments", "item"), CALLS)
def test_its_call_is_the_item_that_it_is(
    spoken: Spoken, name: str, arguments: dict[str, Any], item: dict[str, Any]
) -> None:
    reply = Reply("", (Made("call_1", name, json.dumps(arguments)),), stop="tool_use")
    translated = said(spoken, {"type": name})
    plain = json.loads(translated.reader.answer(ANSWERS[spoken](reply)))["output"]
    reader = translated.reader.again()
    events = data_of(reader.feed(STREAMS[spoken](reply)) + reader.close())
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert plain == done == events[-1]["response"]["output"]
    expected = {"type": f"{name}_call", "call_id": "call_1", "status": "completed", **item}
    assert [{key: value for key, value in each.items() if key != "id"} for each in plain] == [expected]


@pytest.mark.parametrize("spoken", SPOKEN)
@pytest.mark.parametrize(
    ("call", "result", "arguments", "words"),
    [
        (
            {"type": "local_shell_call", "call_id": "c", "action": {"type": "exec", "command": ["ls"], "env": {}}},
            {"type": "local_shell_call_output", "id": "c", "output": "a.txt"},
            {"type": "exec", "command": ["ls"], "env": {}},
            "a.txt",
        ),
        (
            {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}},
            {"type": "shell_call_output", "call_id": "c", "output": [{"stdout": "a.txt"}]},
            {"commands": ["ls"]},
            '[{"stdout":"a.txt"}]',
        ),
        (
            {"type": "apply_patch_call", "call_id": "c", "operation": PATCH},
            {"type": "apply_patch_call_output", "call_id": "c", "status": "completed", "output": "done"},
            PATCH,
            "done",
        ),
    ],
)
def test_a_call_and_its_result_are_sent_again(
    spoken: Spoken, call: dict[str, Any], result: dict[str, Any], arguments: dict[str, Any], words: str
) -> None:
    name = call["type"].removesuffix("_call")
    sent = json.loads(said(spoken, {"type": name}, given=[{"role": "user", "content": "x"}, call, result]).body)
    asked, answered = sent["messages"][-2:]
    if spoken == "chat":
        (made,) = asked["tool_calls"]
        assert (made["id"], made["function"]["name"]) == ("c", name)
        assert json.loads(made["function"]["arguments"]) == arguments
        assert answered == {"role": "tool", "tool_call_id": "c", "content": words}
    else:
        assert asked["content"] == [{"type": "tool_use", "id": "c", "name": name, "input": arguments}]
        assert answered["content"] == [{"type": "tool_result", "tool_use_id": "c", "content": words}]


def test_a_patch_that_failed_says_so() -> None:
    turns = [
        {"role": "user", "content": "x"},
        {"type": "apply_patch_call", "call_id": "c", "operation": PATCH},
        {"type": "apply_patch_call_output", "call_id": "c", "status": "failed", "output": "no such file"},
    ]
    sent = json.loads(said("messages", {"type": "apply_patch"}, given=turns).body)
    assert sent["messages"][-1]["content"][0]["is_error"] is True


@pytest.mark.parametrize(
    "environment", [{"type": "container_auto"}, {"type": "container_reference", "container_id": "c"}]
)
def test_a_shell_at_the_provider_is_none_of_the_callers(environment: dict[str, Any]) -> None:
    with pytest.raises(Untranslatable):
        said("chat", {"type": "shell", "environment": environment})
    own = {"type": "function", "name": "f"}
    assert ("tools", "there only tools of the caller's own are called") in said(
        "chat", own, {"type": "shell", "environment": environment}
    ).notes
    assert len(json.loads(said("chat", {"type": "shell", "environment": {"type": "local"}}).body)["tools"]) == 1
