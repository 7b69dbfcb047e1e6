"""The rows of OpenAI's chat completions, towards Anthropic's messages (`fields.py`)."""

from __future__ import annotations

from server.wire.translate.fields import Rows, carried, noted, refused

_NAMELESS = "a message has no author's name there"
_CACHE = "what is cached is said in another way there"
_SAMPLING = "the sampling has no such setting there"
_IDENTITY = "no provider is named the person who asks"

PARTS: dict[str, Rows] = {
    "chat.part.text": carried("type", "text", "cache_control") | noted(_CACHE, "prompt_cache_breakpoint"),
    "chat.part.refusal": carried("type", "refusal"),
    "chat.part.image_url": carried("type", "image_url", "cache_control") | noted(_CACHE, "prompt_cache_breakpoint"),
    "chat.image_url": carried("url") | noted("pictures have no detail there", "detail", harmless=("auto",)),
    "chat.part.file": carried("type", "file", "cache_control") | noted(_CACHE, "prompt_cache_breakpoint"),
    "chat.file": carried("file_data", "filename")
    | refused("the other provider does not have the file; send file_data", "file_id"),
    "chat.part.input_audio": carried("type") | refused("there is no sound in the other dialect", "input_audio")
    | noted(_CACHE, "prompt_cache_breakpoint"),
}  # fmt: skip

MESSAGES: dict[str, Rows] = {
    "chat.message.system": carried("role", "content", "cache_control") | noted(_NAMELESS, "name"),
    "chat.message.developer": carried("role", "content", "cache_control") | noted(_NAMELESS, "name"),
    "chat.message.user": carried("role", "content", "cache_control") | noted(_NAMELESS, "name"),
    "chat.message.assistant": carried(
        "role", "content", "tool_calls", "refusal", "function_call", "reasoning_content", "thinking_blocks",
        "cache_control",
    )
    | noted(_NAMELESS, "name")
    | noted("reasoning_content has it", "reasoning", "reasoning_details")
    | noted("the text says the same", "annotations")
    | refused("there is no sound in the other dialect", "audio"),
    "chat.message.tool": carried("role", "content", "tool_call_id", "cache_control")
    | noted("the call has the name", "name"),
    "chat.message.function": carried("role", "content", "name"),
    "chat.tool_call.function": carried("type", "id", "function")
    | noted("a call is known by its id", "index")
    | noted("it belongs to another provider", "extra_content", "provider_specific_fields"),
    "chat.tool_call.custom": carried("type", "id", "custom") | noted("a call is known by its id", "index"),
    "chat.call.function": carried("name", "arguments"),
    "chat.call.custom": carried("name", "input"),
}  # fmt: skip

TOOLS: dict[str, Rows] = {
    "chat.tool.function": carried("type", "function", "cache_control"),
    "chat.tool.custom": carried("type", "custom"),
    "chat.function": carried("name", "description", "parameters", "strict"),
    "chat.custom": carried("name", "description", "format"),
    "chat.custom.format.text": carried("type"),
    "chat.custom.format.grammar": carried("type", "grammar"),
    "chat.grammar": carried("definition", "syntax"),
    "chat.choice.function": carried("type", "function"),
    "chat.choice.custom": carried("type", "custom"),
    "chat.choice.allowed_tools": carried("type", "allowed_tools"),
    "chat.allowed_tools": carried("mode", "tools"),
    "chat.named": carried("name"),
    "chat.format.text": carried("type"),
    "chat.format.json_object": carried("type"),
    "chat.format.json_schema": carried("type", "json_schema"),
    "chat.json_schema": carried("schema")
    | noted("an answer's schema has no name there", "name")
    | noted("an answer's schema has no description there", "description")
    | noted("a schema is always strict there", "strict", harmless=(True,)),
    "chat.stream_options": carried("include_usage")
    | noted("there is no obfuscation", "include_obfuscation", harmless=(False,)),
}

BODY: Rows = (
    carried(
        "model", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "stop", "stream",
        "stream_options", "tools", "tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort",
        "functions", "function_call", "cache_control",
    )
    | noted(_IDENTITY, "user", "safety_identifier")
    | noted("it tags an answer that is kept, and none is kept there", "metadata")
    | noted(_SAMPLING, "seed")
    | noted(_SAMPLING, "frequency_penalty", "presence_penalty", harmless=(0, 0.0))
    | noted(_CACHE, "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention")
    | noted("the length of an answer is asked for in words there", "verbosity", harmless=("medium",))
    | noted("it only makes the answer faster", "prediction")
    | noted("services have other names there", "service_tier", harmless=("auto", "default"))
    | refused("the other dialect gives one answer", "n", harmless=(1,))
    | refused("an answer has no probabilities there", "logprobs", harmless=(False,))
    | refused("an answer has no probabilities there", "top_logprobs", harmless=(0,))
    | refused(_SAMPLING, "logit_bias")
    | refused("there is no sound in the other dialect", "audio")
    | refused("there is only text in the other dialect", "modalities", harmless=(["text"],))
    | refused("nothing is kept there", "store", harmless=(False,))
    | refused("there is no such check there", "moderation")
    | refused("a search is a tool there", "web_search_options")
)  # fmt: skip

TABLE: dict[str, Rows] = {"chat": BODY} | PARTS | MESSAGES | TOOLS
