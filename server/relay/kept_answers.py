"""What providers keep, asked for by its makers: with the key that made it, a few at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from keypool.keys import Key
from server.relay.admission import Admission
from server.relay.background import Background
from server.store.base import Caller, IssuedObject, Store, StoreError
from server.upstream import Answer, AttemptFailed, Upstreams
from server.wire.errors import AccountingUnavailable, BadAnswer, NothingKept, RateLimited, StillRunning
from server.wire.kept import NOTHING_SAID, KeptRoute, Saying, made_by, passed_query
from server.wire.openai import OPENAI

MOST_OF_A_PERSON = 16  # at a time


@dataclass(frozen=True, slots=True)
class Asked:
    """What a caller asks of something that is kept. `ids`: of the object, and perhaps of an item in it."""

    method: str
    route: KeptRoute
    ids: tuple[str, ...]
    query: str = ""
    said: Saying = NOTHING_SAID


class KeptAnswers:
    """`stateful`: whether providers may keep answers for those who made them. `wall` is UTC milliseconds."""

    def __init__(
        self,
        admission: Admission,
        upstreams: Upstreams,
        background: Background,
        store: Store,
        stateful: bool,
        wall: Callable[[], int],
    ) -> None:
        self._admission, self._upstreams, self._background = admission, upstreams, background
        self._store, self._stateful, self._wall = store, stateful, wall
        self._persons: Counter[str] = Counter()

    @asynccontextmanager
    async def ask(self, caller: Caller, asked: Asked) -> AsyncIterator[tuple[Answer, Key]]:
        """What the provider says of something that it keeps for this caller, and the key that was asked with.

        Raises NothingKept, UnknownId, StillRunning, RateLimited, NoConversations, TextsAreLogged, PromptRejected,
        NoKey, AccountingUnavailable, UpstreamError.
        """
        if not self._stateful:
            raise NothingKept
        key = await self._key(caller, asked)
        answer_id = "" if asked.route.makes else asked.ids[0]
        if asked.method == "DELETE" and self._background.watches(answer_id):
            raise StillRunning  # what it costs would never be known
        if self._persons[caller.person_id] >= MOST_OF_A_PERSON:
            raise RateLimited
        self._persons[caller.person_id] += 1
        where, words = asked.route.place(asked.ids), passed_query(asked.query)
        try:
            async with self._upstreams.reach(key.id, OPENAI, asked.method, where, words, asked.said.body) as answer:
                yield answer, key
        except AttemptFailed as failure:
            raise failure.refusal from None
        finally:
            self._persons[caller.person_id] -= 1
            self._persons += Counter()  # forgets those who have none
            self._background.wake(answer_id)

    async def remember(self, caller: Caller, key: Key, body: bytes) -> None:
        """Note whose it is what a provider has just made. Raises BadAnswer, AccountingUnavailable."""
        if (made := made_by(body)) is None:
            raise BadAnswer
        try:
            await self._store.remember_issued((made,), IssuedObject(caller.person_id, key.id, self._wall()))
        except StoreError:
            raise AccountingUnavailable from None

    async def _key(self, caller: Caller, asked: Asked) -> Key:
        """The key that made what is asked for, or that is to make it."""
        said = asked.said
        await self._admission.check_texts(said.texts, caller)
        if asked.route.makes:
            return await self._admission.keeper_for(caller, said.refers, self._upstreams.keeps_conversations)
        key = await self._admission.maker_of(asked.ids[0], caller)
        await self._admission.insist_on_maker(key, said.refers, caller)
        return key
