"""The intake: what a caller may ask for, and what the pool must know of a call before it waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial

from keypool.affinity import Affinity, Home
from keypool.keys import Key
from keypool.pool import Ask
from keypool.queues import Forecast
from server.books.book import Book
from server.dispatcher import Dispatcher
from server.heart import Pulse
from server.rules import Rules
from server.store.base import Caller, Issued, StoreError
from server.store.breaker import Guarded
from server.story import Call
from server.terms.groups import Rights
from server.tokenizer import Tokenizer
from server.wire.conversation import bind
from server.wire.dialect import Dialect
from server.wire.errors import (
    AccountingUnavailable,
    InvalidValue,
    NoKey,
    PermissionDenied,
    StatefulDisabled,
    UnknownId,
    UnknownModel,
    UnreadableContent,
)
from server.wire.identity import Identity
from server.wire.request import Request, unkept
from server.wire.stored import Reference

INLINE_BODY = 64 << 10  # bytes that are searched for names on the event loop, in a millisecond or two
READERS_SECONDS = 7 * 86_400.0  # how long it is known who can read encrypted content
READERS = 100_000  # pieces of encrypted content, of which that is known
DISCOVERY_SECONDS = 5.0  # until an upstream's models are asked for again


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds in the queue and for a whole answer, bytes of a plain answer.

    `stateful`: providers may keep answers for later, for those who made them.
    """

    queue_seconds: float = 300.0
    total_seconds: float = 900.0
    answer_bytes: int = 64 << 20
    stateful: bool = False
    pulse: Pulse = Pulse()  # noqa: RUF009 - immutable
    rules: Rules = Rules()  # noqa: RUF009 - immutable
    identity: Identity = Identity()  # noqa: RUF009 - immutable


class Intake:
    """Reads calls for the pool. `clock` is monotonic seconds, `wall` UTC milliseconds."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        guard: Guarded,
        tokenizer: Tokenizer,
        book: Book,
        bounds: Bounds,
        clock: Callable[[], float],
        wall: Callable[[], int],
    ) -> None:
        self._dispatcher, self._guard, self._tokenizer, self._book = dispatcher, guard, tokenizer, book
        self._bounds, self._clock, self._wall = bounds, clock, wall
        self._readers = Affinity(READERS_SECONDS, READERS)
        # Who made objects whose answers have not been settled yet: a client may name them sooner.
        self.under_way: Callable[[set[str]], dict[str, Issued]] = lambda references: {}

    def models(self, caller: Caller, dialect: Dialect) -> list[str]:
        """The models that a caller may use."""
        rights = self.rights(caller)
        names = self._dispatcher.pool.models(dialect.name, key_groups(caller, rights))
        return [name for name in names if self._may_use(caller, rights, name)]

    def _may_use(self, caller: Caller, rights: Rights, model: str) -> bool:
        patterns = caller.terms.models
        return rights.may_use(model) and (not patterns or any(fnmatchcase(model, pattern) for pattern in patterns))

    def forecast(self, caller: Caller, model: str, dialect: Dialect) -> Forecast:
        """Where a short request of this caller would stand now. Raises UnknownModel."""
        rights = self.rights(caller)
        groups = key_groups(caller, rights)
        if not self._dispatcher.pool.serves(model, dialect.name, groups) or not self._may_use(caller, rights, model):
            raise UnknownModel
        deadline = self._clock() + self._bounds.queue_seconds
        ask = Ask("", caller.person_id, model, dialect.name, 0, None, deadline, rights.weight, groups)
        return self._dispatcher.pool.forecast(replace(ask, batch=rights.batch), self._clock())

    async def admitted(self, call: Call, rights: Rights) -> Call:
        """The call as it may go on. Raises UnknownModel, NoKey, PromptRejected, InvalidValue."""
        self._check_model(call, rights)
        group = _booked_on(call.group, rights)
        request = await self._as_sent(await self._bounds.rules.applied(call.request), call.caller)
        if request is call.request and group == call.group:
            return call
        return replace(call, request=request, group=group)

    def _check_model(self, call: Call, rights: Rights) -> None:
        """A model that nobody serves here has no price either, and the first of the two is what a caller can mend."""
        pool, model, dialect = self._dispatcher.pool, call.request.model, call.request.endpoint.dialect.name
        if not self._may_use(call.caller, rights, model):
            raise UnknownModel
        if not pool.serves(model, dialect, key_groups(call.caller, rights)):
            raise UnknownModel if pool.complete else NoKey(retry_after=DISCOVERY_SECONDS)

    async def _as_sent(self, request: Request, caller: Caller) -> Request:
        """The request as its provider may see it. A long body is searched beside the event loop."""
        applied = partial(self._changed, request, caller.person_id)
        return applied() if len(request.body) <= INLINE_BODY else await asyncio.to_thread(applied)

    def _changed(self, request: Request, person_id: str) -> Request:
        return self._bounds.identity.applied(request if self._bounds.stateful else unkept(request), person_id)

    def rights(self, caller: Caller) -> Rights:
        return self._book.rights(caller.groups, self._wall())

    async def ask(self, call: Call, rights: Rights, arrived: float) -> Ask:
        """What the pool must know of a call.

        Raises UnknownId, StatefulDisabled, UnreadableContent, ContextTooLong, PermissionDenied.
        """
        request, caller, groups = call.request, call.caller, key_groups(call.caller, rights)
        if not self._bounds.stateful:
            _refuse_kept_state(request)
        tokens = await self._tokenizer.count(request.prompt, request.model)
        self._bounds.rules.check_length(request, tokens)
        return Ask(
            id=call.id,
            person=caller.person_id,
            model=request.model,
            dialect=request.endpoint.dialect.name,
            input_tokens=tokens,
            most_output=request.max_tokens if request.endpoint.output_limits else 0,
            deadline=arrived + self._bounds.queue_seconds,
            weight=rights.weight,
            groups=groups,
            conversation=bind(request.conversation, caller.person_id, request.model),
            bound_to=await self._bound_to(request, caller, groups),
            max_wait=call.max_wait,
            batch=_is_batch(call, rights),
            running_cap=rights.running or None,
        )

    def made(self, seals: Sequence[bytes], key: Key) -> None:
        """Note which key made some encrypted content."""
        for seal in seals:
            self._readers.remember(seal, Home(key.id, key.organisation), self._clock())

    async def _bound_to(self, request: Request, caller: Caller, groups: frozenset[str]) -> frozenset[str] | None:
        """The only keys that know what a request refers to; None if any does. Raises UnknownId, UnreadableContent."""
        if not request.refers and not request.seals:
            return None
        reach = self._dispatcher.pool.keyring.reach(request.model, request.endpoint.dialect.name, groups)
        known = [frozenset((key,)) for key in await self._makers(request.refers, caller)]
        if request.seals and (readers := self._readers_of(request.seals, reach)) is not None:
            known.append(readers)
        if not known:
            return None
        common = frozenset.intersection(*known)
        if not common:
            raise UnknownId  # of several keys: each would say so of the other's
        return common

    async def _makers(self, references: Sequence[Reference], caller: Caller) -> set[str]:
        """The keys with which kept objects were made. What somebody else made does not exist."""
        if not references or not self._bounds.stateful:
            return set()
        issued, keys = await self._issued({each.id for each in references}), set()
        for each in references:
            found = issued.get(each.id)
            if found is not None and found.person_id == caller.person_id:
                keys.add(found.key)
            elif found is not None or each.needed:
                raise UnknownId(each.param)
        return keys

    async def _issued(self, references: set[str]) -> dict[str, Issued]:
        """Who made some objects. A client may name one before the answer that it came with has been settled."""
        early = self.under_way(references)
        late = references - early.keys()
        try:
            return early | (await self._guard.issued(late) if late else {})
        except StoreError:
            raise AccountingUnavailable from None

    def _readers_of(self, seals: Sequence[bytes], reach: frozenset[str]) -> frozenset[str] | None:
        """The keys that can read encrypted content: those of the organisation that made the latest, within reach.

        None where that is not known, or where the model is another organisation's: the provider decides then.
        """
        homes = (self._readers.home(seal, self._clock()) for seal in seals)
        home = next((each for each in homes if each is not None), None)
        keys = [self._dispatcher.pool.keys[each] for each in reach] if home is not None else []
        able = [
            key for key in keys if home and (key.id == home.key or (home.domain and key.organisation == home.domain))
        ]
        if able and all(key.whole.dead for key in able):
            raise UnreadableContent("input")
        return frozenset(key.id for key in able) or None


def _refuse_kept_state(request: Request) -> None:
    """Raises StatefulDisabled, which names the field that keeps something or names what is kept."""
    if request.keeps is not None:
        raise StatefulDisabled(request.keeps)
    for each in request.refers:
        if each.needed:
            raise StatefulDisabled(each.param)


def _booked_on(named: str | None, rights: Rights) -> str | None:
    """The group whose pot pays, and in whose sums a request counts: the one that was named, else the caller's first."""
    if named is None:
        return rights.groups[0] if rights.groups else None
    if named not in rights.groups:
        raise InvalidValue("X-Fairgate-Group")
    return named


def _is_batch(call: Call, rights: Rights) -> bool:
    """Whether nobody sits and waits for the answer. Anybody may say so; the contrary only who has the right."""
    if rights.batch and call.asked_class == "interactive":
        raise PermissionDenied
    return rights.batch or call.asked_class == "batch"


def key_groups(caller: Caller, rights: Rights) -> frozenset[str]:
    """The groups whose keys a caller may use: everybody is a group of one, too, for the keys that they own."""
    return frozenset((f"person:{caller.person_name}", *rights.groups))
