"""The rows of Anthropic's messages, towards OpenAI's chat completions (`fields.py`)."""

from __future__ import annotations

from server.wire.translate.fields import Rows, carried, noted, refused

_CACHE = "what is cached is said in another way there"
_CITED = "there are no citations there"
_FILE = "the other provider does not have the file; send its bytes"
_SEARCHED = "it belongs to a tool of the other provider"

_CACHED = noted(_CACHE, "cache_control")

BLOCKS: dict[str, Rows] = {
    "messages.block.text": carried("type", "text") | _CACHED | noted(_CITED, "citations"),
    "messages.block.image": carried("type", "source") | _CACHED
    | refused("pictures cannot be changed there", "transformations"),
    "messages.block.document": carried("type", "source", "title", "context") | _CACHED
    | noted(_CITED, "citations", harmless=({"enabled": False},)),
    "messages.block.search_result": carried("type", "source", "title", "content") | _CACHED
    | noted(_CITED, "citations", harmless=({"enabled": False},)),
    "messages.block.thinking": carried("type", "thinking", "signature"),
    "messages.block.redacted_thinking": carried("type")
    | noted("only the provider that made it can read it", "data"),
    "messages.block.tool_use": carried("type", "id", "name", "input") | _CACHED
    | noted("every call is direct there", "caller", harmless=({"type": "direct"},))
    | refused("there are no sets of tools there", "toolset_name"),
    "messages.block.tool_result": carried("type", "tool_use_id", "content", "is_error") | _CACHED
    | refused("there are no sets of tools there", "toolset_name"),
    "messages.source.base64": carried("type", "media_type", "data"),
    "messages.source.url": carried("type", "url"),
    "messages.source.text": carried("type", "media_type", "data"),
    "messages.source.content": carried("type", "content"),
    "messages.source.file": carried("type") | refused(_FILE, "file_id"),
}  # fmt: skip

MESSAGES: dict[str, Rows] = {
    "messages.message": carried("role", "content"),
    "messages.tool": carried("name", "input_schema", "description", "strict", "type")
    | _CACHED
    | noted("every call is direct there", "allowed_callers", harmless=(["direct"],))
    | noted("all tools are known from the beginning there", "defer_loading", harmless=(False,))
    | noted("arguments come as they are written there", "eager_input_streaming")
    | noted("a tool has no examples there", "input_examples"),
    "messages.choice.auto": carried("type", "disable_parallel_tool_use"),
    "messages.choice.any": carried("type", "disable_parallel_tool_use"),
    "messages.choice.none": carried("type"),
    "messages.choice.tool": carried("type", "name", "disable_parallel_tool_use"),
    "messages.thinking.enabled": carried("type", "budget_tokens")
    | noted("thoughts come as they are there", "display", harmless=("summarized",)),
    "messages.thinking.adaptive": carried("type")
    | noted("thoughts come as they are there", "display", harmless=("summarized",)),
    "messages.thinking.between_tools": carried("type")
    | noted("thoughts come as they are there", "display", harmless=("summarized",)),
    "messages.thinking.disabled": carried("type"),
    "messages.output_config": carried("format", "effort")
    | noted("an answer has no budget beside its bound there", "task_budget"),
    "messages.format.json_schema": carried("type", "schema"),
}  # fmt: skip

BODY: Rows = (
    carried(
        "model", "messages", "system", "max_tokens", "temperature", "top_p", "stop_sequences", "stream", "tools",
        "tool_choice", "thinking", "output_config", "output_format",
    )
    | noted(_CACHE, "cache_control")
    | noted("no provider is named the person who asks", "metadata", "user_profile_id")
    | noted("services have other names there", "service_tier", harmless=("auto", "standard_only"))
    | noted("services have other names there", "speed", harmless=("standard",))
    | noted("the sampling has no such setting there", "top_k")
    | noted("the whole conversation is sent there", "context_management")
    | noted("there are no diagnostics there", "diagnostics")
    | noted("features are named in a header", "betas")
    | noted("it is an account's at the other provider", "workspace_id")
    | refused("the place of an answer cannot be chosen there", "inference_geo", harmless=("global",))
    | refused("nothing is kept there", "container", "thread", "fallback_credit_token")
    | refused(_SEARCHED, "mcp_servers")
    | refused("the model is the one that is asked", "fallbacks")
    | refused("the other dialect has nothing of the kind", "compaction", "billing_policy")
)  # fmt: skip

TABLE: dict[str, Rows] = {"messages": BODY} | BLOCKS | MESSAGES
