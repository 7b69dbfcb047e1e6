"""Answers that a provider keeps, for their makers: seen, ended and deleted with the key that made them.

Others' answers, and those that the gateway has never seen, do not exist. What goes upstream is the method, the id and
a few words of the query; what comes back is the provider's answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from server.http.entering import CallingHandler
from server.http.refusals import hang_up, without_delay
from server.http.streaming import stream
from server.relay.keepalive import EVENT_STREAM, STREAM_HEADERS
from server.upstream import Answer, Broken, TooLong
from server.wire.dialect import JSON_TYPE, Dialect, scrub
from server.wire.errors import AnswerTooLong, BadAnswer, MethodNotAllowed, NoKey
from server.wire.faults import relayable
from server.wire.kept import KeptRoute
from server.wire.openai import OPENAI

OF_THE_REQUEST = frozenset({400, 404, 405, 409, 410, 422})  # statuses that are no matter of our key


class KeptHandler(CallingHandler):
    """One of the routes of `wire/kept.py`."""

    route: KeptRoute
    _task: asyncio.Task[object] | None = None

    def initialize(self, route: KeptRoute) -> None:
        self.route = route

    @classmethod
    def answers(cls, row: Mapping[str, Any]) -> set[str]:
        route: KeptRoute = row["route"]
        return set(route.methods)

    @property
    def dialect(self) -> Dialect:
        return OPENAI

    def allowed(self) -> list[str]:
        return list(self.route.methods)

    async def admit(self) -> None:
        if self.request.method not in self.route.methods:
            raise MethodNotAllowed
        await self.enter()

    async def get(self, answer_id: str) -> None:
        await self._pass(answer_id)

    async def post(self, answer_id: str) -> None:
        await self._pass(answer_id)

    async def delete(self, answer_id: str) -> None:
        await self._pass(answer_id)

    async def _pass(self, answer_id: str) -> None:
        self._task = asyncio.current_task()
        method, kept = str(self.request.method), self.services.pipeline.kept
        try:
            async with kept.ask(self.caller, method, self.route.path, answer_id, self.request.query) as answer:
                await self._answer(answer)
        except asyncio.CancelledError:
            hang_up(self)  # the client has gone
        finally:
            self._task = None

    async def _answer(self, answer: Answer) -> None:
        if answer.status >= 400:
            await self._refused(answer)
        elif answer.media_type == EVENT_STREAM:
            await self._stream(answer)
        else:
            try:
                self._give(answer.status, await answer.whole(self.services.settings.max_answer_bytes))
            except Broken:
                raise BadAnswer from None
            except TooLong:
                raise AnswerTooLong from None

    async def _refused(self, answer: Answer) -> None:
        """The provider's refusal, if it is about what was asked for. What it says of our key stays here."""
        body = await answer.beginning()
        if answer.status == 429:
            raise NoKey(retry_after=1.0)
        if answer.status not in OF_THE_REQUEST or (words := relayable(body)) is None:
            raise BadAnswer
        self._give(answer.status, scrub(words))

    async def _stream(self, answer: Answer) -> None:
        for name, value in STREAM_HEADERS.items():
            self.set_header(name, value)
        without_delay(self)
        try:
            await stream(self, _pieces(answer))
        except Broken:
            hang_up(self)

    def _give(self, status: int, body: bytes) -> None:
        self.set_status(status)
        self.set_header("Content-Type", JSON_TYPE)
        self.finish(body)

    def on_connection_close(self) -> None:
        """The client has gone: nothing is asked for it any more."""
        super().on_connection_close()
        if self._task is not None:
            self._task.cancel()


async def _pieces(answer: Answer) -> AsyncGenerator[bytes, None]:
    while piece := await answer.read():
        yield piece
