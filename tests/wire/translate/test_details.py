"""What a request becomes, detail by detail."""

from __future__ import annotations

import json
from typing import Any

import pytest

from server.wire.errors import InvalidValue, Untranslatable
from server.wire.translate.translation import Asker, Spoken, Translated, translate

USER = {"role": "user", "content": "x"}
CLAUDES = {
    "old": "claude-3-5-haiku",
    "budget": "claude-sonnet-4-5",
    "sampled": "claude-opus-4-6",
    "new": "claude-opus-5",
}


def said(asker: Asker, spoken: Spoken, **body: Any) -> Translated:
    usual: dict[str, Any] = {"model": "m", **({"input": "x"} if asker == "responses" else {"messages": [USER]})}
    return translate({**usual, **body}, asker, spoken, id="r", now=1, usual_limit=4_000)


def sent(asker: Asker, spoken: Spoken, **body: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(said(asker, spoken, **body).body)
    return document


def to_messages(**body: Any) -> dict[str, Any]:
    return sent("chat", "messages", **body)


def to_chat(**body: Any) -> dict[str, Any]:
    return sent("messages", "chat", **{"max_tokens": 50, **body})


# Turns.


def test_what_the_system_says_stands_in_front() -> None:
    body = to_messages(
        messages=[
            {"role": "system", "content": "a"},
            {"role": "developer", "content": [{"type": "text", "text": "b"}]},
            USER,
            {"role": "system", "content": "c"},
            USER,
        ]
    )
    assert body["system"] == "a\n\nb\n\nc"
    assert body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "x"}] * 2}]


def test_what_the_system_says_later_stays_where_a_chat_has_a_place_for_it() -> None:
    turns = [USER, {"role": "system", "content": "later"}, USER]
    roles = [message["role"] for message in to_chat(system=[{"type": "text", "text": "s"}], messages=turns)["messages"]]
    assert roles == ["system", "user", "system", "user"]


def test_results_of_tools_stand_in_front_and_in_one_turn() -> None:
    calls = [{"id": each, "type": "function", "function": {"name": "f", "arguments": ""}} for each in "ab"]
    results = [{"role": "tool", "tool_call_id": each, "content": each} for each in "ab"]
    body = to_messages(messages=[USER, {"role": "assistant", "content": "", "tool_calls": calls}, *results, USER])
    assert [block["type"] for block in body["messages"][1]["content"]] == ["tool_use", "tool_use"]
    assert [block["type"] for block in body["messages"][2]["content"]] == ["tool_result", "tool_result", "text"]
    body = to_chat(
        messages=[USER, {"role": "assistant", "content": body["messages"][1]["content"]}, body["messages"][2]]
    )
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "tool", "tool", "user"]


def test_a_picture_in_a_result_stands_behind_the_results() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
    content = [{"type": "text", "text": "see"}, {"type": "image", "source": source}]
    result = {"type": "tool_result", "tool_use_id": "a", "content": content, "is_error": True}
    use = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    turns = [USER, {"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    body = to_chat(messages=turns)
    assert body["messages"][2] == {"role": "tool", "tool_call_id": "a", "content": "Error: see"}
    assert body["messages"][3]["content"][1]["image_url"]["url"] == "data:image/png;base64,AAAA"
    assert dict(said("messages", "chat", max_tokens=5, messages=turns).notes).keys() == {"tool_result", "is_error"}


def test_a_conversation_that_the_assistant_begins_gets_a_turn_before() -> None:
    body = to_messages(messages=[{"role": "assistant", "content": "Hello."}, USER])
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]


@pytest.mark.parametrize("pair", [("chat", "messages"), ("messages", "chat")])
def test_a_conversation_that_the_assistant_ends_means_another_thing_there(pair: tuple[Asker, Spoken]) -> None:
    with pytest.raises(Untranslatable) as refusal:
        said(*pair, max_tokens=5, messages=[USER, {"role": "assistant", "content": "{"}])
    assert "messages" in str(refusal.value.param)


@pytest.mark.parametrize("messages", [[], [{"role": "system", "content": "s"}], [{"role": "user", "content": " "}]])
def test_a_conversation_without_words_is_none(messages: list[Any]) -> None:
    with pytest.raises(InvalidValue):
        to_messages(messages=messages)


def test_functions_of_old_are_tools() -> None:
    turns = [
        USER,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "r"},
    ]
    body = to_messages(messages=turns, functions=[{"name": "f", "parameters": {}}], function_call={"name": "f"})
    assert body["messages"][1]["content"][0]["id"] == body["messages"][2]["content"][0]["tool_use_id"] == "call_f"
    assert (body["tools"][0]["name"], body["tool_choice"]) == ("f", {"type": "tool", "name": "f"})


def test_arguments_that_are_no_object_stand_in_one() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{broken"}}
    turns = [USER, {"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "a", "content": "r"}]
    assert to_messages(messages=turns)["messages"][1]["content"][0]["input"] == {"arguments": "{broken"}


def test_ids_and_names_that_a_provider_does_not_take_are_changed_alike() -> None:
    call = {"id": "functions.f:0", "type": "function", "function": {"name": "a.b", "arguments": "{}"}}
    turns = [
        USER,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call["id"], "content": "r"},
    ]
    tools = [{"type": "function", "function": {"name": "a.b"}}]
    body = to_messages(messages=turns, tools=tools, tool_choice={"type": "function", "function": {"name": "a.b"}})
    use, result = body["messages"][1]["content"][0], body["messages"][2]["content"][0]
    assert use["id"] == result["tool_use_id"] and "." not in use["id"] and ":" not in use["id"]
    assert use["name"] == body["tools"][0]["name"] == body["tool_choice"]["name"] != "a.b"


# Documents.


@pytest.mark.parametrize(
    "url", ["data:image/tiff;base64,AAAA", "data:image/png,AAAA", "data:x", "file:///etc/passwd", 5]
)
def test_a_picture_that_is_none_is_refused(url: Any) -> None:
    with pytest.raises(InvalidValue) as refusal:
        to_messages(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}])
    assert refusal.value.param == "messages[0].content[0].image_url.url"


def test_a_text_file_is_text() -> None:
    part = {"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain;base64,aGk="}}
    assert to_messages(messages=[{"role": "user", "content": [part]}])["messages"] == [
        {"role": "user", "content": "hi"}
    ]


def test_a_document_is_fetched_where_that_can_be_said() -> None:
    part = {"type": "input_file", "file_url": "https://example.org/a.pdf"}
    given: Any = [{"role": "user", "content": [part]}]
    source = sent("responses", "messages", input=given)["messages"][0]["content"][0]["source"]
    assert source == {"type": "url", "url": "https://example.org/a.pdf"}
    with pytest.raises(Untranslatable) as refusal:
        sent("responses", "chat", input=given)
    assert refusal.value.param == "input[0].content[0].file_url"


# Bounds and settings.


def test_an_answer_is_bounded_where_it_must_be() -> None:
    assert to_messages()["max_tokens"] == 4_000
    assert to_messages(max_tokens=7)["max_tokens"] == 7
    assert to_messages(max_tokens=7, max_completion_tokens=8)["max_tokens"] == 8
    assert to_chat(model="gpt-5.1", max_tokens=9)["max_completion_tokens"] == 9
    assert to_chat(model="llama-3.3-70b", max_tokens=9)["max_tokens"] == 9
    assert "max_completion_tokens" not in sent("responses", "chat")


@pytest.mark.parametrize(
    ("model", "given", "kept"),
    [
        ("sampled", {"temperature": 0.5}, {"temperature": 0.5}),
        ("sampled", {"temperature": 1.8}, {"temperature": 1}),
        ("sampled", {"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5}),
        ("sampled", {"top_p": 0.9, "top_k": 4}, {"top_p": 0.9, "top_k": 4}),
        ("new", {"temperature": 0.5, "top_p": 0.9, "top_k": 4}, {}),
        ("budget", {"temperature": 0.5, "reasoning_effort": "low", "max_tokens": 9_000}, {}),
        ("budget", {"top_p": 0.99, "reasoning_effort": "low", "max_tokens": 9_000}, {"top_p": 0.99}),
    ],
)
def test_the_sampling_is_what_the_model_takes(model: str, given: dict[str, Any], kept: dict[str, Any]) -> None:
    body = to_messages(model=CLAUDES[model], **given)
    assert {name: body[name] for name in ("temperature", "top_p", "top_k") if name in body} == kept


@pytest.mark.parametrize(
    ("model", "effort", "more", "thinking"),
    [
        ("old", "high", {}, None),
        ("budget", "low", {}, {"type": "enabled", "budget_tokens": 2_048}),
        ("budget", "high", {}, {"type": "enabled", "budget_tokens": 2_976}),
        ("budget", "high", {"max_tokens": 50_000}, {"type": "enabled", "budget_tokens": 16_384}),
        ("budget", "high", {"max_tokens": 1_500}, None),
        ("budget", "none", {}, None),
        ("sampled", "medium", {}, {"type": "adaptive"}),
        ("new", "xhigh", {}, {"type": "adaptive"}),
    ],
)
def test_an_effort_is_a_budget_or_an_effort(model: str, effort: str, more: dict[str, Any], thinking: Any) -> None:
    body = to_messages(model=CLAUDES[model], reasoning_effort=effort, **more)
    assert body.get("thinking") == thinking
    assert body.get("output_config") == ({"effort": effort} if thinking == {"type": "adaptive"} else None)


def test_a_model_that_must_call_a_tool_does_not_think() -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    body = to_messages(model=CLAUDES["new"], tools=tools, tool_choice="required", reasoning_effort="low")
    assert "thinking" not in body


def test_thoughts_are_not_asked_for_behind_a_call_that_lacks_them() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    result = {"role": "tool", "tool_call_id": "a", "content": "r"}
    thought = {"type": "thinking", "thinking": "t", "signature": "s"}
    for blocks, thinks in (([], False), ([thought], True)):
        turns = [USER, {"role": "assistant", "tool_calls": [call], "thinking_blocks": blocks}, result]
        body = to_messages(model=CLAUDES["budget"], messages=turns, reasoning_effort="low")
        assert ("thinking" in body) is thinks


@pytest.mark.parametrize(
    ("model", "given", "effort"),
    [
        ("gpt-5.1", {"thinking": {"type": "enabled", "budget_tokens": 1_024}}, "low"),
        ("gpt-5.1", {"thinking": {"type": "enabled", "budget_tokens": 5_000}}, "medium"),
        ("gpt-5.1", {"thinking": {"type": "enabled", "budget_tokens": 30_000}}, "high"),
        ("gpt-5.1", {"thinking": {"type": "adaptive"}}, None),
        ("gpt-5.1", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, "high"),
        ("gpt-5.1", {"thinking": {"type": "disabled"}}, "none"),
        ("o3", {"thinking": {"type": "disabled"}}, None),
        ("gpt-4o", {"thinking": {"type": "enabled", "budget_tokens": 5_000}}, None),
        ("llama-3.3-70b", {"output_config": {"effort": "low"}}, None),
        ("openai/gpt-oss-20b", {"output_config": {"effort": "low"}}, "low"),
    ],
)
def test_thinking_is_an_effort_where_the_model_knows_one(model: str, given: dict[str, Any], effort: str | None) -> None:
    assert to_chat(model=model, **given).get("reasoning_effort") == effort


@pytest.mark.parametrize(
    ("given", "choice"),
    [
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": "none"}, {"type": "none"}),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        ({"parallel_tool_calls": True}, None),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, {"type": "tool", "name": "f"}),
        ({"tool_choice": "required", "parallel_tool_calls": False}, {"type": "any", "disable_parallel_tool_use": True}),
    ],
)
def test_the_choice_of_tools(given: dict[str, Any], choice: Any) -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    assert to_messages(tools=tools, **given).get("tool_choice") == choice


@pytest.mark.parametrize(
    ("given", "choice", "parallel"),
    [
        ({"type": "auto"}, "auto", None),
        ({"type": "any"}, "required", None),
        ({"type": "none"}, "none", None),
        ({"type": "tool", "name": "f"}, {"type": "function", "function": {"name": "f"}}, None),
        ({"type": "auto", "disable_parallel_tool_use": True}, "auto", False),
        ({"type": "any", "disable_parallel_tool_use": False}, "required", True),
    ],
)
def test_the_choice_of_tools_in_a_chat(given: Any, choice: Any, parallel: bool | None) -> None:
    body = to_chat(tools=[{"name": "f", "input_schema": {"type": "object"}}], tool_choice=given)
    assert (body["tool_choice"], body.get("parallel_tool_calls")) == (choice, parallel)


def test_only_tools_that_are_allowed_are_sent() -> None:
    tools = [{"type": "function", "function": {"name": name}} for name in ("f", "g")]
    allowed = {"mode": "required", "tools": [tools[1]]}
    body = to_messages(tools=tools, tool_choice={"type": "allowed_tools", "allowed_tools": allowed})
    assert ([tool["name"] for tool in body["tools"]], body["tool_choice"]) == (["g"], {"type": "any"})


def test_a_providers_own_tool_is_an_offer_beside_others_and_a_purpose_alone() -> None:
    search, own = {"type": "web_search"}, {"type": "function", "name": "f"}
    assert len(sent("responses", "messages", tools=[search, own])["tools"]) == 1
    assert ("tools" in dict(said("responses", "messages", tools=[search, own]).notes)) is True
    with pytest.raises(Untranslatable):
        said("responses", "messages", tools=[search])


def test_a_schema_is_strict_where_openai_takes_it_so() -> None:
    def strict(schema: dict[str, Any]) -> bool:
        form = {"type": "json_schema", "schema": schema}
        found: bool = to_chat(output_config={"format": form})["response_format"]["json_schema"]["strict"]
        return found

    inner = {"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False}
    assert strict(inner)
    assert strict({"type": "array", "items": inner})
    assert not strict({**inner, "required": []})
    assert not strict({"type": "array", "items": {"type": "object"}})


def test_a_stop_of_blanks_is_refused() -> None:
    assert to_messages(stop="\nUser:")["stop_sequences"] == ["\nUser:"]
    with pytest.raises(Untranslatable):
        to_messages(stop=["\n"])


def test_a_stream_of_a_chat_tells_its_usage_to_us() -> None:
    assert to_chat(stream=True)["stream_options"] == {"include_usage": True}
    assert to_messages(stream=True, stream_options={"include_usage": True})["stream"] is True


def test_keys_of_kept_things_are_refused_with_what_to_do() -> None:
    for name in ("previous_response_id", "conversation", "prompt"):
        with pytest.raises(Untranslatable) as refusal:
            said("responses", "messages", **{name: "resp_1"})
        assert "send the whole conversation" in refusal.value.message
    with pytest.raises(Untranslatable) as refusal:
        said("responses", "messages", input=[{"type": "item_reference", "id": "msg_1"}])
    assert refusal.value.param == "input[0].type"


def test_a_refusal_names_the_callers_own_field() -> None:
    ended: Any = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]
    with pytest.raises(Untranslatable) as refusal:
        said("responses", "messages", input=ended)
    assert refusal.value.param == "input"
    picture = {"type": "input_image", "image_url": "https://example.org/a.png"}
    for spoken in ("chat", "messages"):
        with pytest.raises(InvalidValue) as invalid:
            said(
                "responses", spoken, input=[{"role": "system", "content": [picture]}, {"role": "user", "content": "x"}]
            )
        assert invalid.value.param == "input[0].content[0].image_url"


def test_a_choice_without_tools_is_noted_and_one_of_a_tool_that_is_not_called_refused() -> None:
    assert "tool_choice" in dict(said("chat", "messages", tool_choice="none").notes)
    search, own = {"type": "web_search_20250305", "name": "web_search"}, {"name": "f", "input_schema": {}}
    with pytest.raises(Untranslatable) as refusal:
        to_chat(tools=[search, own], tool_choice={"type": "tool", "name": "web_search"})
    assert refusal.value.param == "tool_choice.name"


def test_what_a_client_says_of_the_cache_in_a_chat_is_carried() -> None:
    mark = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    body = to_messages(
        messages=[
            {"role": "system", "content": [{"type": "text", "text": "s", **mark}]},
            {"role": "user", "content": [{"type": "text", "text": "x", **mark}]},
            {"role": "assistant", "tool_calls": [call], **mark},
            {"role": "tool", "tool_call_id": "a", "content": "r", **mark},
        ],
        tools=[{"type": "function", "function": {"name": "f"}, **mark}],
        **mark,
    )
    blocks = [body, *body["system"], *body["tools"], *(turn["content"][-1] for turn in body["messages"])]
    assert [block["cache_control"] for block in blocks] == [mark["cache_control"]] * 6
    with pytest.raises(InvalidValue):
        to_messages(messages=[{"role": "user", "content": "x", "cache_control": "always"}])
