"""The intake: what a caller may ask for, and what the pool must know of a call before it waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from ipaddress import IPv4Address, ip_address, ip_network

from keypool.pool import Ask
from keypool.queues import Forecast
from server.books.book import Book
from server.config.settings_rows import Fairness
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
)
from server.wire.identity import Identity
from server.wire.request import Request

INLINE_BODY = 64 << 10  # bytes that are searched for names on the event loop, in a millisecond or two
DISCOVERY_SECONDS = 5.0  # until an upstream's models are asked for again


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds in the queue and for a whole answer, bytes of a plain answer.

    `stateful`: providers may keep answers for later, for those who made them. `fairness`: who has equal shares.
    """

    queue_seconds: float = 300.0
    total_seconds: float = 900.0
    answer_bytes: int = 64 << 20
    stateful: bool = False
    pulse: Pulse = Pulse()  # noqa: RUF009 - immutable
    rules: Rules = Rules()  # noqa: RUF009 - immutable
    identity: Identity = Identity()  # noqa: RUF009 - immutable
    fairness: Fairness = "person"


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
        # Who made an object whose answer has not been settled yet: a client may name it sooner.
        self.under_way: Callable[[str], Issued | None] = lambda reference: None

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
        ask = self._shared(replace(ask, batch=rights.batch), _booked_on(None, rights), "")
        return self._dispatcher.pool.forecast(ask, self._clock())

    async def admitted(self, call: Call, rights: Rights) -> Call:
        """The call as it may go on. Raises UnknownModel, PromptRejected, InvalidValue."""
        if not self._may_use(call.caller, rights, call.request.model):
            raise UnknownModel
        group = _booked_on(call.group, rights)
        request = await self._nameless(await self._bounds.rules.applied(call.request), call.caller)
        if request is call.request and group == call.group:
            return call
        return replace(call, request=request, group=group)

    async def _nameless(self, request: Request, caller: Caller) -> Request:
        """The request as its provider may see it. A long body is searched beside the event loop."""
        applied = partial(self._bounds.identity.applied, request, caller.person_id)
        return applied() if len(request.body) <= INLINE_BODY else await asyncio.to_thread(applied)

    def rights(self, caller: Caller) -> Rights:
        return self._book.rights(caller.groups, self._wall())

    async def ask(self, call: Call, rights: Rights, arrived: float) -> Ask:
        """What the pool must know of a call.

        Raises UnknownModel, UnknownId, StatefulDisabled, ContextTooLong, PermissionDenied.
        """
        request, caller = call.request, call.caller
        pool, dialect, groups = self._dispatcher.pool, request.endpoint.dialect.name, key_groups(caller, rights)
        if not pool.serves(request.model, dialect, groups):
            raise UnknownModel if pool.complete else NoKey(retry_after=DISCOVERY_SECONDS)
        if request.keeps is not None and not self._bounds.stateful:
            raise StatefulDisabled(request.keeps)
        tokens = await self._tokenizer.count(request.prompt, request.model)
        self._bounds.rules.check_length(request, tokens)
        ask = Ask(
            id=call.id,
            person=caller.person_id,
            model=request.model,
            dialect=dialect,
            input_tokens=tokens,
            most_output=request.max_tokens if request.endpoint.output_limits else 0,
            deadline=arrived + self._bounds.queue_seconds,
            weight=rights.weight,
            groups=groups,
            conversation=bind(request.conversation, caller.person_id, request.model),
            bound_to=await self._key_that_issued(request.follows, caller),
            max_wait=call.max_wait,
            batch=_is_batch(call, rights),
            running_cap=rights.running or None,
        )
        return self._shared(ask, call.group, call.address)

    def _shared(self, ask: Ask, group: str | None, address: str) -> Ask:
        """With whom a person shares, where persons are cheap: with their group, or with all at their address.

        A group has the weight that it gives its members, who are equal within it. Who is in no group, or at no known
        address, shares with all others of that kind: else it would pay not to be.
        """
        if self._bounds.fairness == "group":
            weight = self._book.groups[group].weight if group in self._book.groups else 1.0
            return replace(ask, party=f"group:{group or ''}", party_weight=weight, weight=1.0)
        if self._bounds.fairness == "address":
            return replace(ask, party=f"address:{network_of(address)}")
        return ask

    async def _key_that_issued(self, reference: str | None, caller: Caller) -> str | None:
        """The only key that knows what a request refers to. What somebody else made does not exist."""
        if reference is None:
            return None
        issued = await self._issued(reference) if self._bounds.stateful else None
        if issued is None or issued.person_id != caller.person_id:
            raise UnknownId
        return issued.key

    async def _issued(self, reference: str) -> Issued | None:
        """Who made an object. A client may name it before the answer that it came with has been settled."""
        if (issued := self.under_way(reference)) is not None:
            return issued
        try:
            return await self._guard.issued(reference)
        except StoreError:
            raise AccountingUnavailable from None


def network_of(address: str) -> str:
    """What one client has for itself: an IPv4 address, or an IPv6 network of 64 bits."""
    try:
        known = ip_address(address)
    except ValueError:
        return ""
    if isinstance(known, IPv4Address):
        return str(known)
    return str(known.ipv4_mapped or ip_network((known, 64), strict=False))


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
