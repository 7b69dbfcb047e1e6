"""What a provider keeps, for its makers: made, seen, added to, ended and deleted, always with the key that made it.

What others have made, and what the gateway has never seen, does not exist. What goes upstream is the method, the ids, a
few words of the query and known fields of a body; what comes back is the provider's answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from keypool.keys import Key
from server.http.entering import CallingHandler
from server.http.refusals import hang_up, without_delay
from server.http.streaming import stream
from server.policy.authority import Means
from server.relay.keepalive import EVENT_STREAM, STREAM_HEADERS
from server.relay.kept_answers import Asked
from server.upstream import Answer, Broken, TooLong
from server.wire.dialect import JSON_TYPE, Dialect, scrub
from server.wire.errors import AnswerTooLong, BadAnswer, MethodNotAllowed, NoKey
from server.wire.faults import relayable
from server.wire.kept import NOTHING_SAID, KeptRoute, Saying, read_saying
from server.wire.openai import OPENAI
from server.wire.packed import coding_of, unpacked

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
        if self.request.method == "POST" and self.route.fields:
            self.services.reservations.knock(self.caller, self.dialect.name)  # it counts as a request of this minute

    @property
    def largest_body(self) -> int:
        speaks = self.request.method == "POST" and self.route.fields
        return self.services.settings.max_body_bytes if speaks else 0

    def body_holder(self) -> str | None:
        return None if self.caller.means is Means.SHARED else self.caller.person_id

    async def get(self, *ids: str) -> None:
        await self._pass(ids)

    async def post(self, *ids: str) -> None:
        await self._pass(ids)

    async def delete(self, *ids: str) -> None:
        await self._pass(ids)

    async def _pass(self, ids: tuple[str, ...]) -> None:
        self._task = asyncio.current_task()
        try:
            said = await self._said() if self.largest_body else NOTHING_SAID
            asked = Asked(str(self.request.method), self.route, ids, self.request.query, said)
            async with self.services.pipeline.kept.ask(self.caller, asked) as (answer, key):
                await self._answer(answer, key)
        except asyncio.CancelledError:
            hang_up(self)  # the client has gone
        finally:
            self._task = None

    async def _said(self) -> Saying:
        """What the body says. It is read beside the event loop, since it may be long."""
        coding, body = coding_of(self.request.headers.get("Content-Encoding")), self.body()
        largest, route = self.largest_body, self.route
        return await asyncio.to_thread(lambda: read_saying(route, unpacked(body, coding, largest)))

    async def _answer(self, answer: Answer, key: Key) -> None:
        if answer.status >= 400:
            await self._refused(answer)
        elif answer.media_type == EVENT_STREAM:
            await self._stream(answer)
        else:
            body = await self._whole(answer)
            if self.route.makes:
                await self.services.pipeline.kept.remember(self.caller, key, body)
            self._give(answer.status, body)

    async def _whole(self, answer: Answer) -> bytes:
        try:
            return await answer.whole(self.services.settings.max_answer_bytes)
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
