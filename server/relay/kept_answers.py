"""Answers that providers keep, asked for by their makers: with the key that made them, a few at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from server.relay.admission import Admission
from server.relay.background import Background
from server.store.base import Caller
from server.upstream import Answer, AttemptFailed, Upstreams
from server.wire.errors import NothingKept, RateLimited, StillRunning
from server.wire.kept import passed_query
from server.wire.openai import OPENAI

MOST_OF_A_PERSON = 16  # at a time


class KeptAnswers:
    """`stateful`: whether providers may keep answers for those who made them."""

    def __init__(self, admission: Admission, upstreams: Upstreams, background: Background, stateful: bool) -> None:
        self._admission, self._upstreams, self._background = admission, upstreams, background
        self._stateful = stateful
        self._persons: Counter[str] = Counter()

    @asynccontextmanager
    async def ask(self, caller: Caller, method: str, path: str, answer_id: str, query: str) -> AsyncIterator[Answer]:
        """What the provider says of a kept answer of this caller's. `path` has `{id}` in the place of its id.

        Raises NothingKept, UnknownId, StillRunning, RateLimited, NoKey, AccountingUnavailable, UpstreamError.
        """
        if not self._stateful:
            raise NothingKept
        key = await self._admission.maker_of(answer_id, caller)
        if method == "DELETE" and self._background.watches(answer_id):
            raise StillRunning  # what it costs would never be known
        if self._persons[caller.person_id] >= MOST_OF_A_PERSON:
            raise RateLimited
        self._persons[caller.person_id] += 1
        where, words = path.replace("{id}", answer_id), passed_query(query)
        try:
            async with self._upstreams.reach(key.id, OPENAI, method, where, words) as answer:
                yield answer
        except AttemptFailed as failure:
            raise failure.refusal from None
        finally:
            self._persons[caller.person_id] -= 1
            self._persons += Counter()  # forgets those who have none
            self._background.wake(answer_id)
