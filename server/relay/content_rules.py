"""The operator's rules about what is sent: no rejected phrase, no prompt and no answer that is too long."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from server.wire.errors import ContextTooLong, InvalidValue, PromptRejected
from server.wire.filters import Caps, Phrases
from server.wire.request import Request, capped

INLINE_TEXT = 16 << 10  # characters that are searched on the event loop, in a tenth of a millisecond


@dataclass(frozen=True, slots=True)
class ContentRules:
    """The rules for all requests. `caps` are those of each dialect, by its name; `words` are said of a phrase."""

    phrases: Phrases = Phrases()  # noqa: RUF009 - immutable
    words: str = ""
    caps: Mapping[str, Caps] = field(default_factory=dict)
    dearer: bool = False  # a request may ask for more than the list price buys

    async def applied(self, request: Request) -> Request:
        """The request as it may go on, its answer bounded. Raises PromptRejected, InvalidValue."""
        if request.dearer is not None and not self.dearer:
            raise InvalidValue(request.dearer)
        await self.check_phrases(request)
        cap = self.caps.get(request.endpoint.dialect.name)
        return capped(request, cap.output) if cap is not None else request

    async def check_phrases(self, request: Request) -> None:
        """Raises PromptRejected if a phrase stands in it that the operator rejects."""
        await self.check_texts(request.prompt.texts)

    async def check_texts(self, texts: Sequence[str]) -> None:
        """Raises PromptRejected if such a phrase stands in one of these texts."""
        if self.phrases.patterns and await self._hit(texts):
            raise PromptRejected(words=self.words)

    def check_length(self, request: Request, tokens: int) -> None:
        """Raises ContextTooLong if a prompt of so many tokens is too long."""
        cap = self.caps.get(request.endpoint.dialect.name)
        if cap is not None and cap.too_long(tokens):
            raise ContextTooLong

    def may_be_too_long(self, request: Request, most: int) -> bool:
        """Whether a prompt of at most so many tokens might be too long."""
        cap = self.caps.get(request.endpoint.dialect.name)
        return cap is not None and cap.too_long(most)

    async def _hit(self, texts: Sequence[str]) -> bool:
        if sum(map(len, texts)) <= INLINE_TEXT:
            return self.phrases.hit(texts)
        return await asyncio.to_thread(self.phrases.hit, texts)
