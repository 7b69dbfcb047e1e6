"""Providers' prices beside the price of a model: for calls of their own tools, and for a better service.

The tables are the providers' list prices. xAI's, OpenRouter's and Moonshot's were read on these pages (copies of 2026,
undated), the others in reports of these pages from the date beside them:

    xAI         docs.x.ai/developers/pricing: searches and code 5 USD a thousand, attachments 10, collections 2.50
    OpenAI      developers.openai.com/api/docs/pricing, March and June 2026: searches 10, the preview 25 with models
                that do not reason, file search 2.50; a container 0.03 (1 GB) to 1.92 (64 GB) for 20 minutes, by
                the minute since 2 June 2026; priority up to 2.5 times (GPT-5.5)
    Anthropic   platform.claude.com/docs/en/about-claude/pricing, April and June 2026: searches 10, code 0.05 an hour,
                `inference_geo: us` 1.1 times; fast mode 6 times with Opus 4.6 and 4.7, twice with Opus 4.8
    Google      ai.google.dev/gemini-api/docs/pricing, September 2026: 35 a thousand prompts (Gemini 2.5),
                14 a thousand queries (Gemini 3)
    OpenRouter  openrouter.ai/docs/features/web-search: 4 USD a thousand results, five a request
    Moonshot    platform.kimi.ai/docs/pricing/tools: searches 5 a thousand
    Cohere      cohere.com/pricing, as reported in June 2026: 2 USD a thousand search units, 2.50 with Rerank 4 Pro

Not found on any page: xAI's live search by the source (it is gone since, and answers 410), pictures without their
tokens (the dearest by size and quality), and that a container is billed which no code ran in.

A tool has one price here, whichever key serves it, as a model has: the dearest of those that ask for it by this name. A
tool that is paid by the time is priced by the hour for each container. A tool that costs nothing beside its tokens
stands here with a price of nothing; one that does not stand here has no price, and is refused where a budget applies.

The operator's word comes first: what a group has been given for its own requests, then `TOOL_PRICES` and
`SERVICE_FACTORS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from server.wire.calls import calls_of

NORMAL = 100  # percent

# Micro-USD for one call; of code for a container, of pictures for a picture or a token.
LISTED_TOOLS: Mapping[str, int] = {
    "web_search": 10_000,
    "web_search_preview": 25_000,  # models that do not reason; 10,000 with those that do
    "web_plugin": 20_000,  # five results
    "live_search_source": 25_000,  # not verified
    "x_search": 5_000,
    "google_search": 35_000,
    "web_fetch": 0,
    "file_search": 2_500,
    "attachment_search": 10_000,
    "code_interpreter": 30_000,  # a container of 1 GB for 20 minutes; larger ones have names of their own
    "code_interpreter_4g": 120_000,
    "code_interpreter_16g": 480_000,
    "code_interpreter_64g": 1_920_000,
    "code_interpreter_call": 5_000,
    "code_execution": 50_000,
    "shell": 30_000,  # the same containers
    "shell_4g": 120_000,
    "shell_16g": 480_000,
    "shell_64g": 1_920_000,
    "image_generation": 250_000,  # where the answer does not say how many tokens it had; not verified
    "image_input_token": 10,
    "image_output_token": 40,
    "computer": 0,
    "mcp": 0,
    "tool_search": 0,
    "search_unit": 2_500,  # of a reranker (`wire/rerank.py`)
}

# Percent of the standard price, where the model's list does not say what it costs there. `flex` is cheaper on some
# lists only, so without one it costs the full price: too dear, never too cheap.
LISTED_FACTORS: Mapping[str, int] = {
    "priority": 250,  # from 1.67 (GPT-4o mini) to 2.5 times (GPT-5.5), by the model
    "fast": 600,  # six times with Opus 4.6 and 4.7, twice with 4.8
    "us": 110,
}


@dataclass(frozen=True, slots=True)
class Tariff:
    """The prices that hold: micro-USD by tool, and percent by the word for a service or a place.

    `own` are the words for services that the operator has decided: they count before what a list says.
    """

    tools: Mapping[str, int] = field(default_factory=lambda: LISTED_TOOLS)
    factors: Mapping[str, int] = field(default_factory=lambda: LISTED_FACTORS)
    own: frozenset[str] = frozenset()

    @classmethod
    def of(cls, tools: Iterable[tuple[str, int]], factors: Iterable[tuple[str, int]]) -> Tariff:
        """The lists, and upon them what the operator says: micro-USD by tool, percent by word."""
        decided = dict(factors)
        return cls({**LISTED_TOOLS, **dict(tools)}, {**LISTED_FACTORS, **decided}, frozenset(decided))

    def with_tools(self, prices: Iterable[tuple[str, int]]) -> Tariff:
        """The same with other prices for some tools: micro-USD for a call."""
        return replace(self, tools={**self.tools, **dict(prices)})

    def percent(self, word: str) -> int:
        """The price of a service or a place in percent of the standard price; 100 for an unknown word."""
        return self.factors.get(word, NORMAL)

    def calls(self, text: str) -> int:
        """Micro-USD of calls (`wire/calls.py`). A picture whose tokens are known is paid by these alone."""
        if not text:
            return 0
        calls = calls_of(text)
        if "image_output_token" in calls:
            calls.pop("image_generation", None)
        return sum(self.tools.get(name, 0) * number for name, number in calls.items())


LISTED = Tariff()
