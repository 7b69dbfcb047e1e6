"""Settings of requests, in each dialect, in groups of which any may stand with any."""

from __future__ import annotations

from itertools import product
from typing import Any

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
FUNCTION = {"name": "look_up", "description": "Look up.", "parameters": SCHEMA, "strict": True}
OTHER = {"name": "other"}
_OTHER = {"type": "function", **OTHER}
_PATCH = {"type": "custom", "name": "apply_patch"}

Settings = dict[str, Any]

CHAT: list[list[Settings]] = [
    [{}, {"max_tokens": 50}, {"max_completion_tokens": 60}],
    [{}, {"temperature": 0.5}, {"temperature": 1.7, "top_p": 0.9}, {"top_p": 0.5}],
    [{}, {"stop": "END"}, {"stop": ["A", "B"]}],
    [{}, {"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}],
    [
        {},
        {"tools": [{"type": "function", "function": FUNCTION}]},
        {"tools": [{"type": "function", "function": OTHER}], "tool_choice": "required"},
        {
            "tools": [{"type": "function", "function": FUNCTION}, {"type": "function", "function": OTHER}],
            "tool_choice": {"type": "function", "function": {"name": "look_up"}},
            "parallel_tool_calls": False,
        },
        {"tools": [{"type": "custom", "custom": {"name": "write"}}], "tool_choice": "none"},
    ],
    [
        {},
        {"response_format": {"type": "json_object"}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}},
        {"reasoning_effort": "low"},
        {"reasoning_effort": "none"},
        {"seed": 1, "user": "someone", "n": 1, "logprobs": False, "store": False},
    ],
]

MESSAGES: list[list[Settings]] = [
    [{"max_tokens": 50}, {"max_tokens": 5000}],
    [{}, {"temperature": 0.5}, {"temperature": 1, "top_k": 5}, {"top_p": 0.5}],
    [{}, {"stop_sequences": ["A", "B"]}],
    [{}, {"stream": True}, {"stream": False, "metadata": {"user_id": "someone"}}],
    [
        {},
        {"tools": [{"name": "look_up", "description": "Look up.", "input_schema": SCHEMA}]},
        {"tools": [{"name": "other", "input_schema": {"type": "object"}}], "tool_choice": {"type": "any"}},
        {
            "tools": [{"name": "look_up", "input_schema": SCHEMA, "strict": True, "type": "custom"}],
            "tool_choice": {"type": "tool", "name": "look_up", "disable_parallel_tool_use": True},
        },
        {"tools": [{"name": "other", "input_schema": {"type": "object"}}], "tool_choice": {"type": "none"}},
    ],
    [
        {},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}},
        {"thinking": {"type": "disabled"}},
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
    ],
]

RESPONSES: list[list[Settings]] = [
    [{}, {"max_output_tokens": 50}],
    [{}, {"temperature": 0.5}, {"top_p": 0.5}],
    [{}, {"instructions": None, "store": False, "include": ["reasoning.encrypted_content"]}],
    [{}, {"stream": True}],
    [
        {},
        {"tools": [{"type": "function", **FUNCTION}], "tool_choice": "auto", "parallel_tool_calls": True},
        {"tools": [{"type": "function", **FUNCTION}, {"type": "web_search"}], "parallel_tool_calls": False},
        {
            "tools": [{"type": "namespace", "name": "mcp", "description": "d", "tools": [_OTHER]}],
            "tool_choice": {"type": "function", "name": "look_up"},
        },
        {
            "tools": [{**_PATCH, "format": {"type": "text"}}, _OTHER],
            "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [_PATCH]},
        },
    ],
    [
        {},
        {"reasoning": {"effort": "high", "summary": "auto"}},
        {
            "text": {
                "format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True},
                "verbosity": "low",
            }
        },
        {"text": {"format": {"type": "json_object"}}},
        {"text": {"format": {"type": "text"}}},
    ],
]


def every(groups: list[list[Settings]]) -> list[Settings]:
    """Every choice of one of each group."""
    return [{name: value for each in chosen for name, value in each.items()} for chosen in product(*groups)]
