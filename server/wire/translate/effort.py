"""How much a model is to think: OpenAI has words for it, Anthropic words and tokens, and older models only tokens.

| model | takes |
|---|---|
| Claude up to 3.5, 3 | nothing |
| Claude 3.7, 4, 4.1, 4.5 | `thinking.budget_tokens` |
| later Claudes | `thinking: adaptive` and `output_config.effort` |
| other makers' behind Anthropic's dialect | `thinking.budget_tokens` |
| OpenAI's and others that reason, by name | `reasoning_effort` |
| all others behind OpenAI's dialect | nothing: most refuse the field |

A budget is at least 1,024 tokens and less than the bound of the answer. Where thinking is on, Anthropic takes no other
temperature than 1, no `top_k`, no `top_p` below 0.95, and no tool that must be called. Claudes from 4.7 on take no
sampling settings at all, and cannot be asked not to think.
"""

from __future__ import annotations

import re
from typing import Literal

from server.wire.translate.terms import Thinking

LEAST_BUDGET = 1_024  # tokens
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
Manner = Literal["none", "budget", "adaptive"]

_BUDGETS = {"minimal": 1_024, "low": 2_048, "medium": 8_192, "high": 16_384, "xhigh": 32_768, "max": 32_768}
_UP_TO = ((2_048, "low"), (8_192, "medium"))  # tokens of a budget, and the word for it; above: high
_THOUGHTLESS = re.compile(r"claude-(instant|[12]\b|3-(5|opus|haiku|sonnet))")
_SAMPLED = re.compile(r"claude-(instant|[123]\b|(opus|sonnet|haiku)-4(-[0-6]|-2\d{7})?(?!-?\d))")
_BY_BUDGET = re.compile(r"claude-(3-7|(opus|sonnet|haiku)-4(-[015])?(?!-\d\b|\d))")
_REASONS = re.compile(
    r"(^|/)(o\d|gpt-(5|[6-9])(?!.*chat)|gpt-oss|codex|computer-use|grok-(3-mini|[4-9])|gemini-(2\.5|[3-9]))"
    r"|deepseek-(r1|reasoner)|magistral|qwen3|qwq"
)


def manner_of(model: str) -> Manner:
    """How a model behind Anthropic's dialect is asked to think."""
    if _THOUGHTLESS.search(model):
        return "none"
    return "adaptive" if "claude" in model and not _BY_BUDGET.search(model) else "budget"


def is_sampled(model: str) -> bool:
    """Whether a model behind Anthropic's dialect takes a temperature and its kind."""
    return "claude" not in model or _SAMPLED.search(model) is not None


def reasons(model: str) -> bool:
    """Whether a model behind OpenAI's dialect takes a word for how much it is to think."""
    return _REASONS.search(model.lower()) is not None


def budget_of(thinking: Thinking, limit: int) -> int | None:
    """Tokens to think with, within the bound of the answer; None if that leaves too few."""
    wanted = thinking.budget or _BUDGETS.get(thinking.effort, _BUDGETS["medium"])
    budget = min(wanted, limit - LEAST_BUDGET)
    return budget if budget >= LEAST_BUDGET else None


def word_of(thinking: Thinking) -> str:
    """The word for it in a chat; empty where the model decides."""
    if not thinking.on:
        return "none"
    if thinking.effort or thinking.budget is None:
        return thinking.effort
    return next((word for most, word in _UP_TO if thinking.budget <= most), "high")
