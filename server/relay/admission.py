"""Admission: what a caller may ask for, and what the pool must know of a call before it waits."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache, partial
from ipaddress import IPv4Address, ip_address, ip_network

from keypool.affinity import Affinity, Home
from keypool.keys import Key
from keypool.pool import Ask
from keypool.queues import Forecast
from server.accounting.runtime_config import RuntimeConfig
from server.config.settings_rows import Fairness
from server.dispatching import Dispatching
from server.policy.groups import Rights
from server.relay.content_rules import ContentRules
from server.relay.context import Call
from server.relay.keepalive import KeepaliveTiming
from server.relay.naming import served_by
from server.relay.translating import endpoint_in, translated
from server.relay.under_way import UnderWay
from server.store.base import Caller, IssuedObject, StoreError
from server.store.breaker import Guarded
from server.wire.anthropic import ANTHROPIC
from server.wire.conversation import bind
from server.wire.dialect import Dialect
from server.wire.endpoints import Endpoint
from server.wire.errors import (
    AccountingUnavailable,
    InvalidValue,
    NoConversations,
    NoKey,
    PermissionDenied,
    StatefulDisabled,
    TextsAreLogged,
    UnknownId,
    UnknownModel,
    UnreadableContent,
)
from server.wire.identity import Identity
from server.wire.openai import OPENAI
from server.wire.own_keys import institution
from server.wire.published import chats
from server.wire.request import Request, unkept
from server.wire.stored import Reference

INLINE_BODY = 64 << 10  # bytes that are searched for names on the event loop, in a millisecond or two
READERS_SECONDS = 7 * 86_400.0  # how long it is known who can read encrypted content
READERS = 100_000  # pieces of encrypted content, of which that is known
CHATS = ((OPENAI, "/v1/chat/completions"), (ANTHROPIC, "/v1/messages"))
DISCOVERY_SECONDS = 5.0  # until an upstream's models are asked for again


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds in the queue and for a whole answer, bytes of a plain answer.

    `stateful`: providers may keep answers for later, for those who made them. `longest_output`: tokens of an answer
    without a bound of its own, where a budget applies. `usage_seconds`: how long an answer is read on for its usage, if
    its client has left. `fairness`: the parties that have equal shares. `background_seconds`: for a response in the
    background.
    """

    queue_seconds: float = 300.0
    total_seconds: float = 900.0
    answer_bytes: int = 64 << 20
    stateful: bool = False
    longest_output: int = 16_384
    usage_seconds: float = 0.0
    timing: KeepaliveTiming = KeepaliveTiming()  # noqa: RUF009 - immutable
    rules: ContentRules = ContentRules()  # noqa: RUF009 - immutable
    identity: Identity = Identity()  # noqa: RUF009 - immutable
    fairness: Fairness = "person"
    background_seconds: float = 3600.0


class Admission:
    """Reads calls for the pool. `clock` is monotonic seconds, `wall` UTC milliseconds."""

    def __init__(
        self,
        dispatcher: Dispatching,
        guard: Guarded,
        book: RuntimeConfig,
        bounds: Bounds,
        clock: Callable[[], float],
        wall: Callable[[], int],
        under_way: UnderWay,
    ) -> None:
        self._dispatcher, self._guard, self._book = dispatcher, guard, book
        self._bounds, self._clock, self._wall = bounds, clock, wall
        self._readers = Affinity(READERS_SECONDS, READERS)
        self._under_way = under_way

    def models(self, caller: Caller, dialect: Dialect) -> list[str]:
        """The models that a caller may use: each has a price, a group that allows it, and a living key for that group.

        A key that rests comes back by itself, so its models stay; those of keys that are refused or paused do not.
        """
        rights, now = self.rights(caller), self._wall()
        names = self._dispatcher.keyring.models_for(dialect.name, key_groups(caller, rights.groups))
        mine = (name for name in names if self._may_use(caller, rights, name) and self._book.prices.of(name, now))
        return [name for name in mine if self._is_alive(caller, rights.payers(name), name, dialect)]

    def reached(self, caller: Caller, dialect: Dialect) -> list[str]:
        """The same with the models that speak another dialect and are translated for: those that are known to chat.

        Retired names are left out, and aliases stand among the models.
        """
        others = (model for other, _ in CHATS if other is not dialect for model in self.models(caller, other))
        return sorted(self._book.aliases.shown({*self.models(caller, dialect), *filter(chats, others)}))

    def _is_alive(self, caller: Caller, payers: Iterable[str | None], model: str, dialect: Dialect) -> bool:
        """Whether a key that lives serves a model for one of the payers."""
        served = self._served(caller, payers, model, dialect.name)
        return served is not None and self._dispatcher.keyring.lives(model, dialect.name, served[1])

    def _served(
        self, caller: Caller, payers: Iterable[str | None], model: str, spoken: str
    ) -> tuple[str | None, frozenset[str]] | None:
        """The first payer that has a key for a model, with the groups of its keys; None if none has."""
        for payer in payers:
            groups = key_groups(caller, () if payer is None else (payer,))
            if self._dispatcher.keyring.serves(model, spoken, groups):
                return payer, groups
        return None

    def _may_use(self, caller: Caller, rights: Rights, model: str) -> bool:
        patterns = caller.terms.models
        return rights.may_use(model) and (not patterns or any(fnmatchcase(model, pattern) for pattern in patterns))

    async def forecast(self, caller: Caller, model: str, dialect: Dialect) -> Forecast:
        """Where a short request of this caller would stand now. Raises UnknownModel."""
        rights, model = self.rights(caller), self._book.aliases.model(model)
        served = self._served(caller, rights.payers(model), model, dialect.name)
        if served is None or not self._may_use(caller, rights, model):
            raise UnknownModel
        payer, groups = served
        deadline = self._clock() + self._bounds.queue_seconds
        ask = Ask("", caller.person_id, model, dialect.name, 0, None, deadline, rights.weight, groups)
        ask = self._shared(ask._replace(batch=rights.batch), payer, "")
        return await self._dispatcher.forecast(ask)

    async def admitted(self, call: Call, rights: Rights) -> Call:
        """The call as it may go on, with the group that pays.

        Raises UnknownModel, NoKey, PromptRejected, InvalidValue.
        """
        if call.group is not None and call.group not in rights.groups:
            raise InvalidValue("X-Fairgate-Group")
        call = await served_by(call, self._book.aliases, self._wait, rights.fallback)
        if not self._may_use(call.caller, rights, call.request.model):
            raise UnknownModel
        group, endpoint = self._payer(call, rights)
        request = await self._as_sent(await self._bounds.rules.applied(call.request), call.caller)
        if request is not call.request or group != call.group:
            call = replace(call, request=request, group=group)
        return call if endpoint is None else await self._translated(call, endpoint)

    async def _wait(self, call: Call, model: str) -> float | None:
        """Seconds that a short request of this caller would wait for a model; None if they cannot use it."""
        own = call.request.endpoint.dialect
        for dialect in (own, *(each for each, _ in CHATS if each is not own)):
            try:
                return (await self.forecast(call.caller, model, dialect)).seconds
            except UnknownModel:
                continue
        return None

    async def _translated(self, call: Call, endpoint: Endpoint) -> Call:
        """The call in the dialect of its model. A long body is translated beside the event loop."""
        if not self._bounds.stateful:
            _refuse_kept_state(call.request)
        translate = partial(translated, call, endpoint, self._wall() // 1000, self._bounds.longest_output)
        return translate() if len(call.request.body) <= INLINE_BODY else await asyncio.to_thread(translate)

    async def passing(self, call: Call) -> Call:
        """The call with the caller's own key as it may go on, with the group that it is booked on.

        It uses nothing of the pool: rights to models, caps and budgets do not concern it. A caller with a token names a
        group of their own; a caller without one names any that the operator knows. Raises PromptRejected, InvalidValue.
        """
        await self._bounds.rules.check_phrases(call.request)
        mine = self.rights(call.caller).groups
        allowed = self._book.groups if call.caller.token_id is None else mine
        return replace(call, group=institution(call.group, mine, allowed))

    def _payer(self, call: Call, rights: Rights) -> tuple[str | None, Endpoint | None]:
        """The group that pays, with its rights and its keys: the group that the call names, if it may.

        With it the endpoint that the request is translated for, if no key serves the model in the caller's dialect.

        If none was named, the first that allows the model and has a key for it. A model that no key serves has no price
        either, and the first of the two is what a caller can mend. Raises InvalidValue, UnknownModel, NoKey.
        """
        request, payers = call.request, rights.payers(call.request.model)
        if call.group is not None:
            if call.group not in payers:
                raise InvalidValue("X-Fairgate-Group")
            payers = (call.group,)
        served = self._served(call.caller, payers, request.model, request.endpoint.spoken)
        return self._payer_elsewhere(call, payers) if served is None else (served[0], None)

    def _payer_elsewhere(self, call: Call, payers: Sequence[str | None]) -> tuple[str | None, Endpoint]:
        """The payer where a model is served in another dialect, and the endpoint there. Raises UnknownModel, NoKey."""
        request, route = call.request, ""
        for dialect, path in CHATS:
            others = dialect.name != request.endpoint.spoken
            served = self._served(call.caller, payers, request.model, dialect.name) if others else None
            if served is not None and (endpoint := endpoint_in(request.endpoint, dialect)) is not None:
                return served[0], endpoint
            route = route if served is None else path
        known = self._dispatcher.keyring.complete or route
        raise UnknownModel(route=route) if known else NoKey(retry_after=DISCOVERY_SECONDS)

    async def _as_sent(self, request: Request, caller: Caller) -> Request:
        """The request as its provider may see it. A long body is searched beside the event loop."""
        applied = partial(self._changed, request, caller.person_id)
        return applied() if len(request.body) <= INLINE_BODY else await asyncio.to_thread(applied)

    def _changed(self, request: Request, person_id: str) -> Request:
        return self._bounds.identity.applied(request if self._bounds.stateful else unkept(request), person_id)

    def rights(self, caller: Caller) -> Rights:
        return self._book.rights(caller.groups, self._wall())

    async def ask(self, call: Call, rights: Rights, arrived: float, tokens: int) -> Ask:
        """The request to the pool for a call whose prompt has so many tokens.

        Raises UnknownId, StatefulDisabled, UnreadableContent, PermissionDenied.
        """
        request, caller = call.request, call.caller
        groups = key_groups(caller, () if call.group is None else (call.group,))
        if not self._bounds.stateful:
            _refuse_kept_state(request)
        if request.keeps == "deferred":
            raise InvalidValue("deferred")  # its answer, and what it costs, could not be asked for
        ask = Ask(
            id=call.id,
            person=caller.person_id,
            model=request.model,
            dialect=request.endpoint.spoken,
            input_tokens=tokens,
            most_output=request.max_tokens if request.endpoint.writes else 0,
            deadline=arrived + self._bounds.queue_seconds,
            weight=rights.weight,
            groups=groups,
            conversation=bind(request.conversation, caller.person_id, request.model),
            bound_to=await self._bound_to(request, caller, groups),
            max_wait=call.max_wait,
            batch=_is_batch(call, rights),
            running_cap=rights.running or None,
        )
        return self._shared(ask, call.group, call.address)

    def _shared(self, ask: Ask, group: str | None, address: str) -> Ask:
        """The party of an ask, where persons are cheap: a person shares with their group, or with all at their address.

        A group has the weight that it gives its members, who are equal within it. A caller in no group, or at no known
        address, shares with all others of that kind: else it would pay to be in none.
        """
        if self._bounds.fairness == "group":
            weight = self._book.groups[group].weight if group in self._book.groups else 1.0
            return ask._replace(party=f"group:{group or ''}", party_weight=weight, weight=1.0)
        if self._bounds.fairness == "address":
            return ask._replace(party=f"address:{network_of(address)}")
        return ask

    def room(self, model: str, read: int) -> int | None:
        """Tokens that the lists' context window leaves for an answer beside `read`; None if no list knows the model."""
        window = self.window(model)
        return None if window is None else window - read

    def window(self, model: str) -> int | None:
        """Tokens of a model's context, as the lists have them; None if no list knows the model."""
        return self._book.window(model)

    def made(self, seals: Sequence[bytes], key: Key) -> None:
        """Note which key made some encrypted content."""
        for seal in seals:
            self._readers.remember(seal, Home(key.id, key.organisation), self._clock())

    async def _bound_to(self, request: Request, caller: Caller, groups: frozenset[str]) -> frozenset[str] | None:
        """The only keys that know what a request refers to; None if any does. Raises UnknownId, UnreadableContent."""
        if not request.refers and not request.seals:
            return None
        reach = self._dispatcher.keyring.reach(request.model, request.endpoint.spoken, groups)
        known = [frozenset((key,)) for key in await self._makers(request.refers, caller)]
        if request.seals and (readers := self._readers_of(request.seals, reach)) is not None:
            known.append(readers)
        if not known:
            return None
        common = frozenset.intersection(*known)
        if not common:
            raise UnknownId  # of several keys: each would say so of the other's
        return common

    async def maker_of(self, object_id: str, caller: Caller) -> Key:
        """The key with which a kept object of this caller's was made.

        Raises UnknownId if another person made it, NoKey if that key is not in use, AccountingUnavailable.
        """
        found = (await self._issued({object_id})).get(object_id)
        if found is None or found.person_id != caller.person_id:
            raise UnknownId
        key = self._dispatcher.keyring.keys.get(found.key)
        if key is None or key.whole.dead:
            raise NoKey
        return key

    async def keeper_for(self, caller: Caller, refers: Sequence[Reference], able: Callable[[Key], bool]) -> Key:
        """The key on which something new is kept for this caller: it stands well, and serves most of what they may use.

        What the new thing refers to decides before that. `able`: whether a key's provider keeps such a thing. Raises
        UnknownId, NoConversations, NoKey, AccountingUnavailable.
        """
        makers, keys = await self._makers(refers, caller), self._dispatcher.keyring.keys
        served = self._models_served(caller)
        found = [keys[each] for each in served if able(keys[each]) and (not makers or makers == {each})]
        if not found:
            raise UnknownId if makers else NoConversations
        alive = [key for key in found if not key.whole.dead]
        if not alive:
            raise NoKey
        return max(alive, key=lambda key: (not key.whole.resting, served[key.id], -key.running))

    def _models_served(self, caller: Caller) -> Counter[str]:
        """For each key that serves responses to this caller: how many models, of those that they may use."""
        rights, now, keyring = self.rights(caller), self._wall(), self._dispatcher.keyring
        served: Counter[str] = Counter()
        for model in keyring.models():
            if self._may_use(caller, rights, model) and self._book.prices.of(model, now):
                paid = (key_groups(caller, () if payer is None else (payer,)) for payer in rights.payers(model))
                served.update({key for groups in paid for key in keyring.reach(model, "responses", groups)})
        return served

    async def insist_on_maker(self, key: Key, refers: Sequence[Reference], caller: Caller) -> None:
        """Raises UnknownId if these objects are not this caller's, or were made with another key."""
        if not await self._makers(refers, caller) <= {key.id}:
            raise UnknownId

    async def check_texts(self, texts: Sequence[str], caller: Caller) -> None:
        """Whether texts may be kept at a provider before any request has brought them.

        Raises PromptRejected, and TextsAreLogged where a group keeps what its members send.
        """
        if texts and self.rights(caller).content_days:
            raise TextsAreLogged
        await self._bounds.rules.check_texts(texts)

    async def _makers(self, references: Sequence[Reference], caller: Caller) -> set[str]:
        """The keys with which kept objects were made. Raises UnknownId if another person made one."""
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

    async def _issued(self, references: set[str]) -> dict[str, IssuedObject]:
        """The makers of some objects. A client may name one before the answer that it came with has been settled."""
        early = self._under_way.makers(references)
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
        keys = [self._dispatcher.keyring.keys[each] for each in reach] if home is not None else []
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


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """The network that one client has for itself: an IPv4 address, or an IPv6 network of 64 bits."""
    try:
        known = ip_address(address)
    except ValueError:
        return ""
    if isinstance(known, IPv4Address):
        return str(known)
    return str(known.ipv4_mapped or ip_network((known, 64), strict=False))


def _is_batch(call: Call, rights: Rights) -> bool:
    """Whether the answer may come late: the call asks for that, or the rights force it.

    Raises PermissionDenied if a call asks for the interactive class against its rights.
    """
    if rights.batch and call.asked_class == "interactive":
        raise PermissionDenied
    return rights.batch or call.asked_class == "batch"


def key_groups(caller: Caller, paying: Iterable[str]) -> frozenset[str]:
    """The groups whose keys serve what these groups pay: each person is a group of one, too, for the keys they own."""
    return frozenset((f"person:{caller.person_name}", *paying))
