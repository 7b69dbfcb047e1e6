"""How long a prompt is: guessed where that decides nothing, counted where it does.

Counting takes a millisecond for four kilobytes, more than all else that the gateway does for a request. A prompt has at
most as many tokens as bytes (`wire/prompt_length.py`). It is counted only where this bound may not fit:

* into the operator's longest prompt, or with its answer into the model's context window: at the start (`decides`);
* into what the gateway has in escrow of the budgets that apply (`holds.py`);
* when the provider has reported no usage, so that our count is what is billed (`settlement.py`).

A body that may wait in a file is counted at the start: its words are gone when it is settled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from server.relay.content_rules import ContentRules
from server.tokenizer import Tokenizer
from server.wire.prompt_length import PromptDensities
from server.wire.published import published
from server.wire.request import Request
from server.wire.usage import Usage


@dataclass(frozen=True, slots=True)
class PromptLength:
    """Tokens, media with a fixed amount each. `counted`: by a tokenizer; else it is a guess."""

    tokens: int
    counted: bool


NOT_READ = PromptLength(0, counted=True)  # with a key of one's own: what it reads costs nothing here


class PromptLengths:
    """`window` says what the lists know of a model's context, in tokens; `longest` is our bound of an answer.

    `least_spooled`: bytes from which a body may wait in a file.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        rules: ContentRules,
        window: Callable[[str], int | None],
        longest: int,
        least_spooled: int,
    ) -> None:
        self._tokenizer, self._rules, self._window = tokenizer, rules, window
        self._longest, self._least_spooled = longest, least_spooled
        self._densities = PromptDensities()

    async def of(self, request: Request, person: str) -> PromptLength:
        """The length that is enough for the start. Raises ContextTooLong."""
        if not self._decides(request):
            return PromptLength(self._densities.guess(person, request.model, request.prompt), counted=False)
        found = await self.count(request, person)
        self._rules.check_length(request, found.tokens)
        return found

    async def count(self, request: Request, person: str) -> PromptLength:
        """The length by a tokenizer. Persons take turns."""
        return PromptLength(await self._tokenizer.count(request.prompt, request.model, person), counted=True)

    def learn(self, request: Request, person: str, usage: Usage) -> None:
        """Note what the provider has reported of a request."""
        if not (usage.estimated or request.refers or request.hosted.fields):  # what these read is not in the prompt
            self._densities.learn(person, request.model, request.prompt, usage.input)

    def _decides(self, request: Request) -> bool:
        """Whether the exact length may decide anything at the start."""
        most = request.prompt.most
        if len(request.body) >= self._least_spooled or self._rules.may_be_too_long(request, most):
            return True
        window, listed = published(request.model).window, self._window(request.model)
        if listed is not None and listed < window:
            window = listed
        return most + max(self._longest, request.max_tokens or 0) > window
