"""What becomes of the fields of an answer in another dialect.

Nothing of an answer is refused: it has been paid for. What the readers (`answer_from_*.py`) do not ask for is left out,
and here is why; the tests hold that each row is true, and that no field of the official SDKs is missing.
"""

from __future__ import annotations

from server.wire.translate.fields import Rows, carried, noted

_SERVICE = "services have other names there"
_KINDS = "figures there do not say of what kind they are"
_OWN = "an answer has a type of its own there"
_ALWAYS = "an answer is always the assistant's"
_OWN_TOOLS = "only tools of the caller's are called"

OF_CHAT: dict[str, Rows] = {
    "chat.answer": carried("id", "choices", "created", "model", "usage") | noted(_OWN, "object")
    | noted("it tags an answer that is kept, and none is kept there", "metadata")
    | noted("there is no such check there", "moderation") | noted(_SERVICE, "service_tier")
    | noted("it names the other provider's machine", "system_fingerprint")
    | noted("it only pads the stream", "obfuscation"),
    "chat.answer.choice": carried("finish_reason", "stop_reason", "message", "delta")
    | noted("there is one answer", "index") | noted("they are refused when they are asked for", "logprobs"),
    "chat.answer.message": carried(
        "content", "refusal", "tool_calls", "function_call", "reasoning_content", "reasoning"
    ) | noted(_ALWAYS, "role") | noted("the text says the same", "annotations")
    | noted("it is refused when it is asked for", "audio"),
    "chat.answer.call": carried("id", "function", "custom", "index") | noted(_OWN_TOOLS, "type"),
    "chat.answer.function": carried("name", "arguments"),
    "chat.answer.usage": carried(
        "prompt_tokens", "completion_tokens", "prompt_tokens_details", "completion_tokens_details"
    ) | noted("it is the sum of two others", "total_tokens"),
    "chat.answer.usage.input": carried("cached_tokens", "cache_write_tokens")
    | noted(_KINDS, "audio_tokens", "image_tokens", "text_tokens"),
    "chat.answer.usage.output": carried("reasoning_tokens")
    | noted(_KINDS, "audio_tokens", "text_tokens", "accepted_prediction_tokens", "rejected_prediction_tokens"),
}  # fmt: skip

OF_MESSAGES: dict[str, Rows] = {
    "messages.answer": carried("id", "content", "model", "stop_reason", "stop_sequence", "stop_details", "usage")
    | noted(_OWN, "type") | noted(_ALWAYS, "role") | noted("nothing is kept there", "container")
    | noted("there are no diagnostics there", "diagnostics"),
    "messages.answer.text": carried("type", "text") | noted("there are no citations there", "citations"),
    "messages.answer.thinking": carried("type", "thinking", "signature"),
    "messages.answer.redacted_thinking": carried("type", "data"),
    "messages.answer.tool_use": carried("type", "id", "name", "input")
    | noted(_OWN_TOOLS, "caller", "toolset_name"),
    "messages.answer.usage": carried(
        "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
        "output_tokens_details",
    ) | noted("figures there do not say how long a cache lasts", "cache_creation")
    | noted(_SERVICE, "service_tier", "speed", "inference_geo") | noted(_OWN_TOOLS, "server_tool_use"),
}  # fmt: skip

ANSWERS: dict[str, Rows] = OF_CHAT | OF_MESSAGES
