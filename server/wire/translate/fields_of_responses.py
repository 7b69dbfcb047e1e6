"""The rows of OpenAI's responses, towards chat completions and Anthropic's messages alike (`fields.py`)."""

from __future__ import annotations

from server.wire.translate.fields import Rows, carried, noted, refused

_CACHE = "what is cached is said in another way there"
_KEPT = "nothing is kept there; send the whole conversation with store: false"
_OWN_ID = "items have no ids there"
_DIRECT = "every call is direct there"
_FILE = "the other provider does not have the file; send file_data"

_CACHED = noted(_CACHE, "prompt_cache_breakpoint")
_ITEM = noted(_OWN_ID, "id", "status") | noted(_DIRECT, "caller", harmless=({"type": "direct"},))
_WAITED = refused("the model waits for each of its tools there", "async", harmless=(False,))

PARTS: dict[str, Rows] = {
    "responses.part.input_text": carried("type", "text") | _CACHED,
    "responses.part.output_text": carried("type", "text")
    | noted("the text says the same", "annotations") | noted("an answer has no probabilities there", "logprobs"),
    "responses.part.text": carried("type", "text"),
    "responses.part.refusal": carried("type", "refusal"),
    "responses.part.input_image": carried("type", "image_url") | _CACHED | refused(_FILE, "file_id")
    | noted("pictures have no detail there", "detail", harmless=("auto",)),
    "responses.part.input_file": carried("type", "file_data", "file_url", "filename") | _CACHED
    | refused(_FILE, "file_id") | noted("files have no detail there", "detail", harmless=("auto",)),
    "responses.part.summary_text": carried("type", "text"),
    "responses.part.reasoning_text": carried("type", "text"),
}  # fmt: skip

ITEMS: dict[str, Rows] = {
    "responses.item.message": carried("type", "role", "content") | _ITEM
    | noted("an answer has no phases there", "phase"),
    "responses.item.function_call": carried("type", "call_id", "name", "arguments", "namespace") | _ITEM | _WAITED,
    "responses.item.custom_tool_call": carried("type", "call_id", "name", "input", "namespace") | _ITEM | _WAITED,
    "responses.item.function_call_output": carried("type", "call_id", "output") | _ITEM
    | noted("the call has the name", "name", "namespace"),
    "responses.item.custom_tool_call_output": carried("type", "call_id", "output") | _ITEM
    | noted("the call has the name", "name", "namespace"),
    "responses.item.local_shell_call": carried("type", "call_id", "action") | _ITEM,
    "responses.item.local_shell_call_output": carried("type", "id", "call_id", "output") | noted(_OWN_ID, "status"),
    "responses.item.shell_call": carried("type", "call_id", "action") | _ITEM
    | noted("only tools of the caller's are called there", "environment", harmless=({"type": "local"},)),
    "responses.item.shell_call_output": carried("type", "call_id", "output") | _ITEM
    | noted("a result is sent as it is there", "max_output_length"),
    "responses.item.apply_patch_call": carried("type", "call_id", "operation") | _ITEM,
    "responses.item.apply_patch_call_output": carried("type", "call_id", "output", "status") | noted(_OWN_ID, "id")
    | noted(_DIRECT, "caller", harmless=({"type": "direct"},)),
    "responses.item.reasoning": carried("type", "summary", "content", "encrypted_content") | _ITEM,
}  # fmt: skip

TOOLS: dict[str, Rows] = {
    "responses.tool.function": carried("type", "name", "description", "parameters", "strict") | _WAITED
    | noted(_DIRECT, "allowed_callers", harmless=(["direct"],))
    | noted("all tools are known from the beginning there", "defer_loading", harmless=(False,))
    | noted("what a tool returns has no schema there", "output_schema"),
    "responses.tool.custom": carried("type", "name", "description", "format") | _WAITED
    | noted(_DIRECT, "allowed_callers", harmless=(["direct"],))
    | noted("all tools are known from the beginning there", "defer_loading", harmless=(False,)),
    "responses.tool.namespace": carried("type", "name", "tools")
    | noted("there are no sets of tools there", "description"),
    "responses.tool.local_shell": carried("type"),
    "responses.tool.shell": carried("type", "environment") | noted(_DIRECT, "allowed_callers", harmless=(["direct"],)),
    "responses.tool.apply_patch": carried("type") | noted(_DIRECT, "allowed_callers", harmless=(["direct"],)),
    "responses.custom.format.text": carried("type"),
    "responses.custom.format.grammar": carried("type", "definition", "syntax"),
    "responses.choice.function": carried("type", "name"),
    "responses.choice.custom": carried("type", "name"),
    "responses.choice.local_shell": carried("type"),
    "responses.choice.shell": carried("type"),
    "responses.choice.apply_patch": carried("type"),
    "responses.choice.allowed_tools": carried("type", "mode", "tools"),
    "responses.text": carried("format")
    | noted("the length of an answer is asked for in words there", "verbosity", harmless=("medium",)),
    "responses.format.text": carried("type"),
    "responses.format.json_object": carried("type"),
    "responses.format.json_schema": carried("type", "name", "schema", "strict")
    | noted("an answer's schema has no description there", "description"),
    "responses.reasoning": carried("effort")
    | noted("thoughts come as they are there", "summary", "generate_summary")
    | noted("earlier thoughts are sent as the client has them", "context")
    | noted("there is no such mode there", "mode", harmless=("standard",)),
    "responses.stream_options": noted("there is no obfuscation", "include_obfuscation", harmless=(False,)),
}  # fmt: skip

BODY: Rows = (
    carried(
        "model", "input", "instructions", "max_output_tokens", "temperature", "top_p", "stream", "stream_options",
        "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning",
    )
    | noted("no provider is named the person who asks", "user", "safety_identifier")
    | noted("it tags an answer that is kept, and none is kept there", "metadata", "client_metadata")
    | noted(_CACHE, "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention")
    | noted("an answer has all that it can have there", "include")
    | noted("services have other names there", "service_tier", harmless=("auto", "default"))
    | noted("the whole conversation is sent there", "context_management")
    | noted("the whole conversation is sent there", "truncation", harmless=("disabled",))
    | noted("only tools of the caller's are called there", "max_tool_calls")
    | noted("programmes are agreed with another provider", "access_programs")
    | noted("pictures are sent as they are there", "image")
    | refused("an answer has no probabilities there", "top_logprobs", harmless=(0,))
    | refused(_KEPT, "store", "background", harmless=(False,))
    | refused(_KEPT, "background_options", "conversation", "previous_response_id", "prompt")
    | refused("there is no such check there", "moderation")
)  # fmt: skip

TABLE: dict[str, Rows] = {"responses": BODY} | PARTS | ITEMS | TOOLS
