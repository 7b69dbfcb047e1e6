"""The official SDKs as these tests use them: pointed at a gateway by an address and a token, and counted.

Nothing of an SDK is replaced. Two of its own hooks are used: the HTTP client tells of each request that leaves, and a
subclass notes how long the SDK would wait before a retry instead of waiting.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import anthropic
import httpx2
import openai

from server.ledger.usage import UsageRow
from tests.gateways import Running

CHAT, CLAUDE, EMBEDDING = "gpt-5", "claude-opus-4-8", "text-embedding-3-small"
MODERATION, IMAGE, SPEECH, HEARING = "omni-moderation-latest", "gpt-image-1", "gpt-4o-mini-tts", "gpt-4o-transcribe"
RERANKER = "bge-reranker-v2-m3"
MODELS = (CHAT, CLAUDE, EMBEDDING, MODERATION, IMAGE, SPEECH, HEARING, RERANKER)
QUESTION: Any = [{"role": "user", "content": "How many roads must a man walk down"}]


class Hasty(openai.AsyncOpenAI):
    """The SDK with its own retries; what it would wait between them, in seconds, is noted and not waited."""

    def _calculate_retry_timeout(self, *args: Any, **kwargs: Any) -> float:
        self.waits: list[float] = [*getattr(self, "waits", []), super()._calculate_retry_timeout(*args, **kwargs)]
        return 0.0


class HastyAnthropic(anthropic.AsyncAnthropic):
    """The same for Anthropic's."""

    def _calculate_retry_timeout(self, *args: Any, **kwargs: Any) -> float:
        self.waits: list[float] = [*getattr(self, "waits", []), super()._calculate_retry_timeout(*args, **kwargs)]
        return 0.0


class Talk:
    """Clients of one gateway. Leaving the context closes them; `sent` are the requests that really left."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.fake = running.fake
        self.sent: list[httpx2.Request] = []
        self._answered: list[str] = []
        self._stack = AsyncExitStack()
        self._hooks = {"request": [self._note_request], "response": [self._note_answer]}

    async def __aenter__(self) -> Talk:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()
        await self.running.services.pipeline.quiet(5.0)
        self.fake.forget_script()
        if exc[0] is None:
            self.running.assert_idle()

    async def openai(self, prefix: str = "/v1", **options: Any) -> Hasty:
        """OpenAI's SDK, as its user would set it up."""
        options = {"api_key": self.running.token, "base_url": self.running.url + prefix, **options}
        web = openai.DefaultAsyncHttpxClient(event_hooks=self._hooks)
        return await self._stack.enter_async_context(Hasty(http_client=web, **options))

    async def anthropic(self, prefix: str = "", **options: Any) -> HastyAnthropic:
        """Anthropic's SDK, as its user would set it up."""
        options = {"api_key": self.running.token, "base_url": self.running.url + prefix, **options}
        web = anthropic.DefaultAsyncHttpxClient(event_hooks=self._hooks)
        return await self._stack.enter_async_context(HastyAnthropic(http_client=web, **options))

    async def row(self, request_id: str | None) -> UsageRow:
        """The ledger's row of a request, once it has ended."""
        await self.running.services.pipeline.quiet(5.0)
        row = await self.running.services.store.usage(str(request_id))
        assert row is not None, "a dispatched request has a row"
        return row

    async def rows(self) -> list[UsageRow]:
        """All rows so far, the newest first, once every request has ended."""
        await self.running.services.pipeline.quiet(5.0)
        return await self.running.services.store.usage_rows(0, 1000)

    async def last_row(self) -> UsageRow:
        """The row of the request that was answered last."""
        return await self.row(self._answered[-1])

    async def _note_request(self, request: httpx2.Request) -> None:
        self.sent.append(request)

    async def _note_answer(self, response: httpx2.Response) -> None:
        self._answered.append(response.headers["x-request-id"])
