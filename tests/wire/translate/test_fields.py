# ruff: noqa: E501 - one body a line reads best
"""The table of fields: nothing of the official SDKs' requests is missing, and what it says is what is done."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import anthropic.types as a
import openai.types.chat as c
import openai.types.responses as r
import openai.types.shared_params as shared
import pytest
import typing_extensions as te
from anthropic.types.beta import message_create_params as beta
from openai.types.responses import response_input_item_param as items
from openai.types.responses import tool_param

from server.wire.errors import InvalidValue, Untranslatable
from server.wire.translate.fields import Row
from server.wire.translate.manual import page
from server.wire.translate.translation import PAIRS, TABLE, Asker, translate

ROOT = Path(__file__).parents[3]

# The SDKs' classes of what stands at each place.
CLASSES: dict[str, list[Any]] = {
    "chat": [c.completion_create_params.CompletionCreateParamsStreaming],
    "chat.part.text": [c.ChatCompletionContentPartTextParam],
    "chat.part.refusal": [c.ChatCompletionContentPartRefusalParam],
    "chat.part.image_url": [c.ChatCompletionContentPartImageParam],
    "chat.image_url": [c.chat_completion_content_part_image_param.ImageURL],
    "chat.part.file": [c.chat_completion_content_part_param.File],
    "chat.file": [c.chat_completion_content_part_param.FileFile],
    "chat.part.input_audio": [c.ChatCompletionContentPartInputAudioParam],
    "chat.message.system": [c.ChatCompletionSystemMessageParam],
    "chat.message.developer": [c.ChatCompletionDeveloperMessageParam],
    "chat.message.user": [c.ChatCompletionUserMessageParam],
    "chat.message.assistant": [c.ChatCompletionAssistantMessageParam],
    "chat.message.tool": [c.ChatCompletionToolMessageParam],
    "chat.message.function": [c.ChatCompletionFunctionMessageParam],
    "chat.tool_call.function": [c.ChatCompletionMessageFunctionToolCallParam],
    "chat.tool_call.custom": [c.ChatCompletionMessageCustomToolCallParam],
    "chat.call.function": [c.chat_completion_message_function_tool_call_param.Function],
    "chat.call.custom": [c.chat_completion_message_custom_tool_call_param.Custom],
    "chat.tool.function": [c.ChatCompletionFunctionToolParam],
    "chat.tool.custom": [c.ChatCompletionCustomToolParam],
    "chat.function": [shared.FunctionDefinition, c.completion_create_params.Function],
    "chat.custom": [c.chat_completion_custom_tool_param.Custom],
    "chat.custom.format.text": [c.chat_completion_custom_tool_param.CustomFormatText],
    "chat.custom.format.grammar": [c.chat_completion_custom_tool_param.CustomFormatGrammar],
    "chat.grammar": [c.chat_completion_custom_tool_param.CustomFormatGrammarGrammar],
    "chat.choice.function": [c.ChatCompletionNamedToolChoiceParam],
    "chat.choice.custom": [c.ChatCompletionNamedToolChoiceCustomParam],
    "chat.choice.allowed_tools": [c.ChatCompletionAllowedToolChoiceParam],
    "chat.allowed_tools": [c.ChatCompletionAllowedToolsParam],
    "chat.named": [c.chat_completion_named_tool_choice_param.Function, c.ChatCompletionFunctionCallOptionParam],
    "chat.format.text": [shared.ResponseFormatText],
    "chat.format.json_object": [shared.ResponseFormatJSONObject],
    "chat.format.json_schema": [shared.ResponseFormatJSONSchema],
    "chat.json_schema": [shared.response_format_json_schema.JSONSchema],
    "chat.stream_options": [c.ChatCompletionStreamOptionsParam],
    "messages": [a.message_create_params.MessageCreateParamsStreaming, beta.MessageCreateParamsStreaming],
    "messages.block.text": [a.TextBlockParam],
    "messages.block.image": [a.ImageBlockParam],
    "messages.block.document": [a.DocumentBlockParam],
    "messages.block.search_result": [a.SearchResultBlockParam],
    "messages.block.thinking": [a.ThinkingBlockParam],
    "messages.block.redacted_thinking": [a.RedactedThinkingBlockParam],
    "messages.block.tool_use": [a.ToolUseBlockParam],
    "messages.block.tool_result": [a.ToolResultBlockParam],
    "messages.source.base64": [a.Base64ImageSourceParam, a.Base64PDFSourceParam],
    "messages.source.url": [a.URLImageSourceParam, a.URLPDFSourceParam],
    "messages.source.text": [a.PlainTextSourceParam],
    "messages.source.content": [a.ContentBlockSourceParam],
    "messages.source.file": [a.FileDocumentSourceParam, a.FileImageSourceParam],
    "messages.message": [a.UserMessageParam, a.AssistantMessageParam, a.SystemMessageParam],
    "messages.tool": [a.ToolParam],
    "messages.choice.auto": [a.ToolChoiceAutoParam],
    "messages.choice.any": [a.ToolChoiceAnyParam],
    "messages.choice.none": [a.ToolChoiceNoneParam],
    "messages.choice.tool": [a.ToolChoiceToolParam],
    "messages.thinking.enabled": [a.ThinkingConfigEnabledParam],
    "messages.thinking.adaptive": [a.ThinkingConfigAdaptiveParam],
    "messages.thinking.between_tools": [a.ThinkingConfigBetweenToolsParam],
    "messages.thinking.disabled": [a.ThinkingConfigDisabledParam],
    "messages.output_config": [a.OutputConfigParam],
    "messages.format.json_schema": [a.JSONOutputFormatParam],
    "responses": [r.response_create_params.ResponseCreateParamsStreaming],
    "responses.part.input_text": [r.ResponseInputTextParam, r.ResponseInputTextContentParam],
    "responses.part.output_text": [r.ResponseOutputTextParam],
    "responses.part.text": [],  # of other makers
    "responses.part.refusal": [r.ResponseOutputRefusalParam],
    "responses.part.input_image": [r.ResponseInputImageParam, r.ResponseInputImageContentParam],
    "responses.part.input_file": [r.ResponseInputFileParam, r.ResponseInputFileContentParam],
    "responses.part.summary_text": [r.response_reasoning_item_param.Summary],
    "responses.part.reasoning_text": [r.response_reasoning_item_param.Content],
    "responses.item.message": [r.EasyInputMessageParam, items.Message, r.ResponseOutputMessageParam],
    "responses.item.function_call": [r.ResponseFunctionToolCallParam],
    "responses.item.custom_tool_call": [r.ResponseCustomToolCallParam],
    "responses.item.function_call_output": [items.FunctionCallOutput],
    "responses.item.custom_tool_call_output": [r.ResponseCustomToolCallOutputParam],
    "responses.item.reasoning": [r.ResponseReasoningItemParam],
    "responses.tool.function": [r.FunctionToolParam],
    "responses.tool.custom": [r.CustomToolParam],
    "responses.tool.namespace": [r.NamespaceToolParam],
    "responses.tool.local_shell": [tool_param.LocalShell],
    "responses.tool.shell": [r.FunctionShellToolParam],
    "responses.tool.apply_patch": [r.ApplyPatchToolParam],
    "responses.item.local_shell_call": [items.LocalShellCall],
    "responses.item.local_shell_call_output": [items.LocalShellCallOutput],
    "responses.item.shell_call": [items.ShellCall],
    "responses.item.shell_call_output": [items.ShellCallOutput],
    "responses.item.apply_patch_call": [items.ApplyPatchCall],
    "responses.item.apply_patch_call_output": [items.ApplyPatchCallOutput],
    "responses.custom.format.text": [shared.custom_tool_input_format.Text],
    "responses.custom.format.grammar": [shared.custom_tool_input_format.Grammar],
    "responses.choice.function": [r.ToolChoiceFunctionParam],
    "responses.choice.custom": [r.ToolChoiceCustomParam],
    "responses.choice.local_shell": [],  # there is no class for it
    "responses.choice.shell": [r.ToolChoiceShellParam],
    "responses.choice.apply_patch": [r.ToolChoiceApplyPatchParam],
    "responses.choice.allowed_tools": [r.ToolChoiceAllowedParam],
    "responses.text": [r.ResponseTextConfigParam],
    "responses.format.text": [shared.ResponseFormatText],
    "responses.format.json_object": [shared.ResponseFormatJSONObject],
    "responses.format.json_schema": [r.ResponseFormatTextJSONSchemaConfigParam],
    "responses.reasoning": [shared.Reasoning],
    "responses.stream_options": [r.response_create_params.StreamOptions],
}


def fields_of(typed_dict: Any) -> set[str]:
    return set(te.get_type_hints(typed_dict))


@pytest.mark.parametrize("place", TABLE)
def test_every_field_of_the_official_sdks_stands_in_the_table(place: str) -> None:
    for typed_dict in CLASSES[place]:
        assert fields_of(typed_dict) <= set(TABLE[place]), typed_dict


def test_the_table_has_these_places_and_no_others() -> None:
    assert set(CLASSES) == set(TABLE)


def test_what_is_not_carried_has_its_reason() -> None:
    for place, rows in TABLE.items():
        assert not [name for name, row in rows.items() if (row.fate == "carried") is bool(row.why)], place


def test_the_manual_has_the_table() -> None:
    assert (ROOT / "docs" / "translation.md").read_text() == page(), "run `python -m server docs`"


# One body for each place, with the path to the object that stands there; and a value for each field that is carried.

PNG = "data:image/png;base64,AAAA"
SCHEMA = {"type": "object", "properties": {}}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
Path_ = list[Any]


def _chat(**more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": "x"}], **more}


def _part(part: dict[str, Any]) -> tuple[dict[str, Any], Path_]:
    return _chat(messages=[{"role": "user", "content": [{"type": "text", "text": "y"}, part]}]), [
        "messages",
        0,
        "content",
        1,
    ]


def _turns(*turns: dict[str, Any]) -> dict[str, Any]:
    return _chat(messages=[{"role": "user", "content": "x"}, *turns])


CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
RESULT = {"role": "tool", "tool_call_id": "c", "content": "r"}


def _messages(**more: Any) -> dict[str, Any]:
    return {"model": "gpt-5.1", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}], **more}


def _block(block: dict[str, Any]) -> tuple[dict[str, Any], Path_]:
    content = [{"type": "text", "text": "y"}, block]
    return _messages(messages=[{"role": "user", "content": content}]), ["messages", 0, "content", 1]


def _said(block: dict[str, Any]) -> tuple[dict[str, Any], Path_]:
    content = [{"type": "text", "text": "y"}, block]
    turns = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": content},
        {"role": "user", "content": "z"},
    ]
    return _messages(messages=turns), ["messages", 1, "content", 1]


def _source(source: dict[str, Any], kind: str = "document") -> tuple[dict[str, Any], Path_]:
    body, path = _block({"type": kind, "source": source})
    return body, [*path, "source"]


def _responses(**more: Any) -> dict[str, Any]:
    return {"model": "m", "input": "x", **more}


def _item(item: dict[str, Any]) -> tuple[dict[str, Any], Path_]:
    ends = {"role": "user", "content": "z"}
    return _responses(input=[{"role": "user", "content": "x"}, item, ends]), ["input", 1]


def _input(part: dict[str, Any]) -> tuple[dict[str, Any], Path_]:
    return _responses(input=[{"role": "user", "content": [part]}]), ["input", 0, "content", 0]


def _output(part: dict[str, Any]) -> tuple[dict[str, Any], Path_]:
    body, path = _item({"type": "message", "role": "assistant", "content": [part]})
    return body, [*path, "content", 0]


CUSTOM = {"type": "custom", "custom": {"name": "f", "format": {"type": "text"}}}
GRAMMAR = {"type": "grammar", "grammar": {"definition": "d", "syntax": "lark"}}
EXEC = {"type": "exec", "command": ["ls"], "env": {}}
SETS = {"type": "namespace", "name": "n", "description": "", "tools": [{"type": "function", "name": "f"}]}
OPEN: dict[str, tuple[dict[str, Any], Path_]] = {
    "chat": (_chat(), []),
    "chat.part.text": _part({"type": "text", "text": "x"}),
    "chat.part.refusal": _part({"type": "refusal", "refusal": "x"}),
    "chat.part.image_url": _part({"type": "image_url", "image_url": {"url": PNG}}),
    "chat.image_url": (_part({"type": "image_url", "image_url": {"url": PNG}})[0], ["messages", 0, "content", 1, "image_url"]),
    "chat.part.file": _part({"type": "file", "file": {"file_data": "AAAA"}}),
    "chat.file": (_part({"type": "file", "file": {"file_data": "AAAA"}})[0], ["messages", 0, "content", 1, "file"]),
    "chat.message.system": (_chat(messages=[{"role": "system", "content": "s"}, {"role": "user", "content": "x"}]), ["messages", 0]),
    "chat.message.developer": (_chat(messages=[{"role": "developer", "content": "s"}, {"role": "user", "content": "x"}]), ["messages", 0]),
    "chat.message.user": (_chat(), ["messages", 0]),
    "chat.message.assistant": (_turns({"role": "assistant", "content": "a"}, {"role": "user", "content": "z"}), ["messages", 1]),
    "chat.message.tool": (_turns({"role": "assistant", "tool_calls": [CALL]}, RESULT), ["messages", 2]),
    "chat.message.function": (_turns({"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
                                     {"role": "function", "name": "f", "content": "r"}), ["messages", 2]),
    "chat.tool_call.function": (_turns({"role": "assistant", "tool_calls": [CALL]}, RESULT), ["messages", 1, "tool_calls", 0]),
    "chat.call.function": (_turns({"role": "assistant", "tool_calls": [CALL]}, RESULT), ["messages", 1, "tool_calls", 0, "function"]),
    "chat.tool_call.custom": (_turns({"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f", "input": "i"}}]}, RESULT),
                              ["messages", 1, "tool_calls", 0]),
    "chat.call.custom": (_turns({"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f", "input": "i"}}]}, RESULT),
                         ["messages", 1, "tool_calls", 0, "custom"]),
    "chat.tool.function": (_chat(tools=[FUNCTION]), ["tools", 0]),
    "chat.function": (_chat(tools=[FUNCTION]), ["tools", 0, "function"]),
    "chat.tool.custom": (_chat(tools=[CUSTOM]), ["tools", 0]),
    "chat.custom": (_chat(tools=[CUSTOM]), ["tools", 0, "custom"]),
    "chat.custom.format.text": (_chat(tools=[CUSTOM]), ["tools", 0, "custom", "format"]),
    "chat.custom.format.grammar": (_chat(tools=[{"type": "custom", "custom": {"name": "f", "format": GRAMMAR}}]), ["tools", 0, "custom", "format"]),
    "chat.grammar": (_chat(tools=[{"type": "custom", "custom": {"name": "f", "format": GRAMMAR}}]), ["tools", 0, "custom", "format", "grammar"]),
    "chat.choice.function": (_chat(tools=[FUNCTION], tool_choice={"type": "function", "function": {"name": "f"}}), ["tool_choice"]),
    "chat.choice.custom": (_chat(tools=[FUNCTION], tool_choice={"type": "custom", "custom": {"name": "f"}}), ["tool_choice"]),
    "chat.named": (_chat(tools=[FUNCTION], tool_choice={"type": "function", "function": {"name": "f"}}), ["tool_choice", "function"]),
    "chat.choice.allowed_tools": (_chat(tools=[FUNCTION], tool_choice={"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [FUNCTION]}}), ["tool_choice"]),
    "chat.allowed_tools": (_chat(tools=[FUNCTION], tool_choice={"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [FUNCTION]}}), ["tool_choice", "allowed_tools"]),
    "chat.format.text": (_chat(response_format={"type": "text"}), ["response_format"]),
    "chat.format.json_object": (_chat(response_format={"type": "json_object"}), ["response_format"]),
    "chat.format.json_schema": (_chat(response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}), ["response_format"]),
    "chat.json_schema": (_chat(response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}), ["response_format", "json_schema"]),
    "chat.stream_options": (_chat(stream=True, stream_options={}), ["stream_options"]),
    "messages": (_messages(), []),
    "messages.block.text": _block({"type": "text", "text": "x"}),
    "messages.block.image": _block({"type": "image", "source": {"type": "url", "url": "https://x.org"}}),
    "messages.block.document": _block({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}),
    "messages.block.search_result": _block({"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "x"}]}),
    "messages.block.thinking": _said({"type": "thinking", "thinking": "x", "signature": ""}),
    "messages.block.redacted_thinking": _said({"type": "redacted_thinking"}),
    "messages.block.tool_use": _said({"type": "tool_use", "id": "c", "name": "f", "input": {}}),
    "messages.block.tool_result": _block({"type": "tool_result", "tool_use_id": "c", "content": "x"}),
    "messages.source.base64": _source({"type": "base64", "media_type": "image/png", "data": "AAAA"}, "image"),
    "messages.source.url": _source({"type": "url", "url": "https://x.org"}, "image"),
    "messages.source.text": _source({"type": "text", "media_type": "text/plain", "data": "x"}),
    "messages.source.content": _source({"type": "content", "content": "x"}),
    "messages.message": (_messages(), ["messages", 0]),
    "messages.tool": (_messages(tools=[{"name": "f", "input_schema": SCHEMA}]), ["tools", 0]),
    "messages.choice.auto": (_messages(tools=[{"name": "f", "input_schema": SCHEMA}], tool_choice={"type": "auto"}), ["tool_choice"]),
    "messages.choice.any": (_messages(tools=[{"name": "f", "input_schema": SCHEMA}], tool_choice={"type": "any"}), ["tool_choice"]),
    "messages.choice.none": (_messages(tools=[{"name": "f", "input_schema": SCHEMA}], tool_choice={"type": "none"}), ["tool_choice"]),
    "messages.choice.tool": (_messages(tools=[{"name": "f", "input_schema": SCHEMA}], tool_choice={"type": "tool", "name": "f"}), ["tool_choice"]),
    "messages.thinking.enabled": (_messages(thinking={"type": "enabled", "budget_tokens": 1024}), ["thinking"]),
    "messages.thinking.adaptive": (_messages(thinking={"type": "adaptive"}), ["thinking"]),
    "messages.thinking.between_tools": (_messages(thinking={"type": "between_tools"}), ["thinking"]),
    "messages.thinking.disabled": (_messages(thinking={"type": "disabled"}), ["thinking"]),
    "messages.output_config": (_messages(output_config={}), ["output_config"]),
    "messages.format.json_schema": (_messages(output_config={"format": {"type": "json_schema", "schema": SCHEMA}}), ["output_config", "format"]),
    "responses": (_responses(), []),
    "responses.part.input_text": _input({"type": "input_text", "text": "x"}),
    "responses.part.text": _input({"type": "text", "text": "x"}),
    "responses.part.output_text": _output({"type": "output_text", "text": "x"}),
    "responses.part.refusal": _output({"type": "refusal", "refusal": "x"}),
    "responses.part.input_image": _input({"type": "input_image", "image_url": PNG}),
    "responses.part.input_file": _input({"type": "input_file", "file_data": "AAAA"}),
    "responses.part.summary_text": (_item({"type": "reasoning", "summary": [{"type": "summary_text", "text": "x"}]})[0], ["input", 1, "summary", 0]),
    "responses.part.reasoning_text": (_item({"type": "reasoning", "content": [{"type": "reasoning_text", "text": "x"}]})[0], ["input", 1, "content", 0]),
    "responses.item.message": _item({"type": "message", "role": "user", "content": "x"}),
    "responses.item.function_call": _item({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}),
    "responses.item.custom_tool_call": _item({"type": "custom_tool_call", "call_id": "c", "name": "f", "input": "x"}),
    "responses.item.function_call_output": _item({"type": "function_call_output", "call_id": "c", "output": "x"}),
    "responses.item.custom_tool_call_output": _item({"type": "custom_tool_call_output", "call_id": "c", "output": "x"}),
    "responses.item.reasoning": (_item({"type": "reasoning", "summary": []})[0], ["input", 1]),
    "responses.item.local_shell_call": _item({"type": "local_shell_call", "call_id": "c", "action": EXEC}),
    "responses.item.local_shell_call_output": _item({"type": "local_shell_call_output", "id": "c", "output": "x"}),
    "responses.item.shell_call": _item({"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}}),
    "responses.item.shell_call_output": _item({"type": "shell_call_output", "call_id": "c", "output": [{"stdout": "x"}]}),
    "responses.item.apply_patch_call": _item({"type": "apply_patch_call", "call_id": "c", "operation": {"type": "delete_file", "path": "x"}}),
    "responses.item.apply_patch_call_output": _item({"type": "apply_patch_call_output", "call_id": "c", "status": "failed", "output": "x"}),
    "responses.tool.local_shell": (_responses(tools=[{"type": "local_shell"}]), ["tools", 0]),
    "responses.tool.shell": (_responses(tools=[{"type": "shell"}]), ["tools", 0]),
    "responses.tool.apply_patch": (_responses(tools=[{"type": "apply_patch"}]), ["tools", 0]),
    "responses.choice.local_shell": (_responses(tools=[{"type": "local_shell"}], tool_choice={"type": "local_shell"}), ["tool_choice"]),
    "responses.choice.shell": (_responses(tools=[{"type": "shell"}], tool_choice={"type": "shell"}), ["tool_choice"]),
    "responses.choice.apply_patch": (_responses(tools=[{"type": "apply_patch"}], tool_choice={"type": "apply_patch"}), ["tool_choice"]),
    "responses.tool.function": (_responses(tools=[{"type": "function", "name": "f"}]), ["tools", 0]),
    "responses.tool.custom": (_responses(tools=[{"type": "custom", "name": "f"}]), ["tools", 0]),
    "responses.tool.namespace": (_responses(tools=[SETS]), ["tools", 0]),
    "responses.custom.format.text": (_responses(tools=[{"type": "custom", "name": "f", "format": {"type": "text"}}]), ["tools", 0, "format"]),
    "responses.custom.format.grammar": (_responses(tools=[{"type": "custom", "name": "f", "format": {"type": "grammar", "definition": "d", "syntax": "lark"}}]), ["tools", 0, "format"]),
    "responses.choice.function": (_responses(tools=[{"type": "function", "name": "f"}], tool_choice={"type": "function", "name": "f"}), ["tool_choice"]),
    "responses.choice.custom": (_responses(tools=[{"type": "custom", "name": "f"}], tool_choice={"type": "custom", "name": "f"}), ["tool_choice"]),
    "responses.choice.allowed_tools": (_responses(tools=[{"type": "function", "name": "f"}], tool_choice={"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}), ["tool_choice"]),
    "responses.text": (_responses(text={}), ["text"]),
    "responses.format.text": (_responses(text={"format": {"type": "text"}}), ["text", "format"]),
    "responses.format.json_object": (_responses(text={"format": {"type": "json_object"}}), ["text", "format"]),
    "responses.format.json_schema": (_responses(text={"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}}), ["text", "format"]),
    "responses.reasoning": (_responses(reasoning={}), ["reasoning"]),
    "responses.stream_options": (_responses(stream=True, stream_options={}), ["stream_options"]),
}  # fmt: skip

CLOSED = {"chat.part.input_audio", "messages.source.file"}  # places of which the one field that matters is refused


def spoken_for(place: str) -> list[tuple[Asker, Any]]:
    return [pair for pair in PAIRS if pair[0] == place.partition(".")[0]]


def said(place: str, body: dict[str, Any], spoken: str | None = None) -> list[Any]:
    return [
        translate(json.dumps(body).encode(), asker, each, id="r", now=1, usual_limit=9)
        for asker, each in spoken_for(place)
    ]


def with_field(place: str, name: str, value: Any) -> dict[str, Any]:
    body, path = copy.deepcopy(OPEN[place])
    target: Any = body
    for step in path:
        target = target[step]
    target[name] = value
    return body


def rows_with(fate: str) -> list[tuple[str, str, Row]]:
    return [
        (place, name, row)
        for place, rows in TABLE.items()
        for name, row in rows.items()
        if row.fate == fate and place not in CLOSED
    ]


def test_every_place_has_a_body() -> None:
    assert set(OPEN) == set(TABLE) - CLOSED
    for place, (body, _) in OPEN.items():
        assert said(place, body)


@pytest.mark.parametrize(("place", "name", "row"), rows_with("refused"))
def test_what_is_refused_is_named(place: str, name: str, row: Row) -> None:
    with pytest.raises(Untranslatable) as refusal:
        said(place, with_field(place, name, "something"))
    assert name in refusal.value.message and row.why in refusal.value.message
    assert refusal.value.status == 400
    for harmless in (None, [], {}, *row.harmless):
        said(place, with_field(place, name, harmless))


@pytest.mark.parametrize(("place", "name", "row"), rows_with("noted"))
def test_what_is_noted_is_left_out_and_named(place: str, name: str, row: Row) -> None:
    marked = said(place, with_field(place, name, "zzzzz"))
    for one, other in zip(marked, said(place, OPEN[place][0]), strict=True):
        assert (name, row.why) in one.notes
        assert name in one.header
        assert one.body == other.body
    for harmless in (None, [], {}, *row.harmless):
        assert all(name not in dict(each.notes) for each in said(place, with_field(place, name, harmless)))


@pytest.mark.parametrize("place", OPEN)
def test_a_field_that_is_not_in_the_table_is_refused(place: str) -> None:
    with pytest.raises(Untranslatable) as refusal:
        said(place, with_field(place, "brand_new", 1))
    assert "brand_new" in refusal.value.message
    with pytest.raises(Untranslatable) as refusal:
        said(place, with_field(place, 'a "quoted" secret', 1))
    assert "secret" not in refusal.value.message
    said(place, with_field(place, "brand_new", None))


@pytest.mark.parametrize(("place", "name", "row"), rows_with("carried"))
def test_what_is_carried_matters(place: str, name: str, row: Row) -> None:
    """A value of another type is refused, or changes what is sent or noted: nobody passes over the field."""
    without, changed = said(place, OPEN[place][0]), 0
    for value in ({"zz": 1}, 77, "zzz", [], True, 1024, "low", ["zzz"], [{"zz": 1}], 0.5):
        try:
            given = said(place, with_field(place, name, value))
        except (InvalidValue, Untranslatable):
            changed += 1
        else:
            changed += [each.body for each in given] != [each.body for each in without]
    assert changed
