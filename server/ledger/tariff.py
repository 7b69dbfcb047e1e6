"""What providers ask beside the price of a model: for calls of their own tools, and for a better service.

The tables are the providers' list prices of November 2026, as they publish them:

    OpenAI      developers.openai.com/api/docs/pricing: tools, priority, flex, pictures by the token
    Anthropic   platform.claude.com/docs/en/about-claude/pricing: searches, code by the hour, `inference_geo`, fast mode
    xAI         docs.x.ai/docs/models: searches, collections, live search by the source
    Google      ai.google.dev/gemini-api/docs/pricing: grounding with search
    OpenRouter  openrouter.ai/docs/features/web-search: five results a request, 4 USD for a thousand

A tool has one price here whoever serves it, as a model has: the dearest of those that ask for it by this name. A tool
that is paid by the time is priced by the hour for each container. What costs nothing beside its tokens stands here with
a price of nothing; what does not stand here has no price, and is refused where a budget applies.

The operator's word comes first: `TOOL_PRICES` and `SERVICE_FACTORS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from server.wire.calls import calls_of

NORMAL = 100  # percent

# Micro-USD for one call; of code for a container, of pictures for a picture or a token.
LISTED_TOOLS: Mapping[str, int] = {
    "web_search": 10_000,
    "web_search_preview": 25_000,  # models that do not reason; 10,000 with those that do
    "web_plugin": 20_000,
    "live_search_source": 25_000,
    "x_search": 5_000,
    "google_search": 35_000,
    "web_fetch": 0,
    "file_search": 2_500,
    "attachment_search": 10_000,
    "code_interpreter": 30_000,  # a container of 1 GB; larger ones have names of their own
    "code_interpreter_4g": 120_000,
    "code_interpreter_16g": 480_000,
    "code_interpreter_64g": 1_920_000,
    "code_interpreter_call": 5_000,
    "code_execution": 50_000,
    "shell": 30_000,
    "image_generation": 250_000,  # where nobody says how many tokens it had
    "image_input_token": 10,
    "image_output_token": 40,
    "computer": 0,
    "mcp": 0,
    "tool_search": 0,
}

# Percent of the standard price, where the model's list does not say what it costs there. `flex` is cheaper on some
# lists only, so without one it costs the full price: too dear, never too cheap.
LISTED_FACTORS: Mapping[str, int] = {
    "priority": 250,  # from 1.7 to 2.5 times, by the model
    "fast": 600,  # Anthropic asked six times the price of Opus 4.6 for its fast mode
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

    def percent(self, word: str) -> int:
        """What a service or a place costs; the standard price if nobody knows it."""
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
