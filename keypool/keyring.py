"""The keys: which may serve a request, which one should, and what each of them learns.

May: the key serves the model in the request's dialect, the person is in one of its groups, and it has not failed this
request already while others have not. Should: the key that had this conversation, else one of the same organisation
(their prompt cache is shared), else the one with the largest free share of slots, then of tokens, then the least used.
Can it now: a free slot, a good standing of the key and of the model, and room in the capacity domain.

All requests of one lane may use the same keys, so these are looked up once a lane and kept until keys come or go.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import NamedTuple

from keypool.affinity import Affinity, Home
from keypool.blame import Blame
from keypool.division import Division, load_of_domain, load_of_key, rates_of, slots_of
from keypool.domains import Domain, Need, group_of
from keypool.flow_heap import Lane
from keypool.health import DEAD, FOREVER, KEY_WIDE, KeyEvent, KeyState
from keypool.holding import Load
from keypool.keys import Key
from keypool.limits import LimitMeasure, RateWindow
from keypool.shares import Part
from keypool.ticket import Ticket
from keypool.trouble import Trouble
from keypool.verdict import Verdict
from keypool.waiting import Opening

MOST_REMEMBERED = 10_000  # answers to who may use what, and lanes
LEAST_WAIT = 1e-6  # seconds: the rest of a wait that rounding may leave must not wake the pool twice


class Candidate(NamedTuple):
    """A key as it may serve a model: with the domain that limits it there."""

    key: Key
    domain: Domain


class Keyring:
    """All keys of one process, and the domains in which they share capacity."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self.keys: dict[str, Key] = {}
        self.domains: dict[str, Domain] = {}
        self.affinity = Affinity()
        self.blame = Blame()
        self.division: Division | None = None  # None: everything is this gateway's
        self._serving: dict[str, list[Key]] = {}
        self._reaches: dict[tuple[str, str, frozenset[str]], frozenset[str]] = {}
        self._candidates: dict[Lane, Sequence[Candidate]] = {}
        for key in keys:
            self.keys[key.id] = key
        self._arrange()

    # Which keys there are

    def add(self, key: Key) -> None:
        self.keys[key.id] = key
        if self.division is not None:
            key.share(self.division.part(slots_of(key)).slots)
        self._arrange()

    def retune(self, terms: Key, now: float) -> None:
        """A key has other terms. In a divided pool its slots are at most the part that is this gateway's."""
        key = self.keys[terms.id]
        key.retune(terms, now)
        if self.division is not None:
            key.share(min(key.all_slots, self.division.part(slots_of(key)).slots))
        self._arrange()

    def remove(self, key_id: str) -> None:
        """Forget a key. What it is serving now ends undisturbed."""
        self.keys.pop(key_id, None)
        self.blame.forget(key_id)
        self._arrange()

    def offer(self, upstream: str, models: frozenset[str]) -> None:
        for key in self.keys.values():
            if key.upstream == upstream:
                key.models = models
        self._arrange()

    def models(self) -> list[str]:
        return sorted(self._serving)

    def serving(self, model: str) -> list[Key]:
        return self._serving.get(model, [])

    def models_for(self, dialect: str, groups: frozenset[str]) -> list[str]:
        """The models that a member of these groups may ask for in this dialect."""
        return [model for model in self.models() if self.serves(model, dialect, groups)]

    def serves(self, model: str, dialect: str, groups: frozenset[str]) -> bool:
        """Whether a member of these groups has a key for a model in this dialect."""
        return bool(self.reach(model, dialect, groups))

    def lives(self, model: str, dialect: str, groups: frozenset[str]) -> bool:
        """Whether a key that a member of these groups may use for a model is neither refused nor paused."""
        return any(self.keys[key].state(model) not in DEAD for key in self.reach(model, dialect, groups))

    @property
    def complete(self) -> bool:
        """The models of all keys are known."""
        return all(key.models for key in self.keys.values())

    def reach(self, model: str, dialect: str, groups: frozenset[str]) -> frozenset[str]:
        """The ids of the keys that a member of these groups may ever use for a model in a dialect."""
        asked = (model, dialect, groups)
        found = self._reaches.get(asked)
        if found is None:
            found = frozenset(key.id for key in self.serving(model) if _may(key, dialect, groups))
            if len(self._reaches) < MOST_REMEMBERED:
                self._reaches[asked] = found
        return found

    def capacities(self, ticket: Ticket) -> frozenset[str]:
        """The capacities that a ticket may use."""
        names = ((rates_of(domain), slots_of(key)) for key, domain in self.candidates(ticket.lane))
        return frozenset(name for pair in names for name in pair)

    def divide(self) -> None:
        """From now on only what a part says is this gateway's."""
        self.division = Division()
        self.division.take_all(self.keys.values(), self.domains.values())

    def share(self, parts: Mapping[str, Part], now: float) -> bool:
        """These parts are this gateway's from now on. Returns whether there is more, or less, than before."""
        assert self.division is not None, "only a pool that is divided has parts"
        return self.division.apply(parts, self.keys.values(), self.domains.values(), now)

    def loads(self, now: float) -> dict[str, Load]:
        """Every capacity as it stands."""
        found = {slots_of(key): load_of_key(key) for key in self.keys.values()}
        domains = {self.domain(key, model) for key in self.keys.values() for model in key.models}
        return found | {rates_of(domain): load_of_domain(domain, now) for domain in domains}

    # Which key for a ticket

    def choose(self, ticket: Ticket, barred: Container[str], now: float) -> Key | None:
        """The best key that can take it now, some left out."""
        open_ = [each for each in self.usable(ticket) if each.key.admits(ticket.model, now)]
        return self.best(ticket, open_, barred, now)

    def best(self, ticket: Ticket, candidates: Iterable[Candidate], barred: Container[str], now: float) -> Key | None:
        """The best of some keys that have a free slot and stand well: of those whose limits have room for a ticket."""
        need = ticket.need
        able = [each for each in candidates if each.key.id not in barred and each.domain.has_room(need, now)]
        if len(able) < 2:
            return able[0].key if able else None
        if self.blame.shunning:
            able = _those(able, lambda each: not self.blame.shuns(each.key.id, ticket.model, ticket.person, now))
        if ticket.conversation and (home := self.affinity.home(ticket.conversation, now)) is not None:
            able = _those(able, lambda each: each.key.id == home.key)
            able = _those(able, lambda each: each.domain.id == home.domain)
        loads = [(1.0 - key.running / key.slots, domain.room(now), -key.granted) for key, domain in able]
        return able[loads.index(max(loads))].key

    def usable(self, ticket: Ticket) -> Sequence[Candidate]:
        """The keys that a ticket may use, now or later; only those that have not failed it, if there are any."""
        fresh = self._untried(ticket) if ticket.tried else ()
        return fresh or self._candidates.get(ticket.lane) or self.candidates(ticket.lane)

    def candidates(self, lane: Lane) -> Sequence[Candidate]:
        """The keys of a lane, with their domains."""
        found = self._candidates.get(lane)
        if found is None:
            keys = (key for key in self.serving(lane.model) if key.id in lane.reach)
            found = [Candidate(key, self.domain(key, lane.model)) for key in keys]
            if len(self._candidates) < MOST_REMEMBERED:
                self._candidates[lane] = found
        return found

    def has_untried(self, ticket: Ticket) -> bool:
        """Whether some key that it may use in time has not failed it."""
        return bool(self._untried(ticket))

    def opens_at(self, ticket: Ticket) -> float:
        """The earliest instant at which some key will stand well for it; `FOREVER` if only an operator can say."""
        return _first_opening(self.usable(ticket), ticket.model)

    def lane_opens_at(self, lane: Lane) -> float:
        """The earliest instant at which some key of a lane will stand well; `FOREVER` if only an operator can say."""
        return _first_opening(self.candidates(lane), lane.model)

    def openings(self, ticket: Ticket, now: float) -> list[Opening]:
        """When the keys that it may use are of use, and with how many slots; the dead left out."""
        opens = [(_opens_at(each, ticket.model), each.key) for each in self.usable(ticket)]
        return [
            Opening(at - now if at > now else 0.0, key.slots or 1, key.id, max(0, key.slots - key.running))
            for at, key in opens
            if at < FOREVER
        ]

    def has_room(self, ticket: Ticket) -> bool:
        """Whether some key that may serve it has a free slot, whatever else keeps the ticket waiting."""
        for key, _ in self.usable(ticket):  # noqa: SIM110 - a third of the time of `any`, at each request that waits
            if key.running < key.slots:
                return True
        return False

    def is_too_large(self, ticket: Ticket) -> bool:
        """No key that may serve it can ever take it: its prompt alone is more than a full bucket holds.

        Only limits on tokens in all count: where the prompt has a limit of its own, what is cached may be free. Our
        count may be off by some, and the provider's word comes first then.
        """
        candidates = self.usable(ticket)
        for _, domain in candidates:
            if not domain.is_beyond(ticket.need.input):
                return False
        return bool(candidates)

    # What happens to a key

    def take(self, ticket: Ticket, key: Key, now: float) -> None:
        """A ticket starts on a key."""
        domain = self.domain(key, ticket.model)
        key.running += 1
        key.granted += 1
        for standing in (key.whole, key.standing(ticket.model)):
            if standing.resting:
                standing.try_with(ticket.id, now)
        ticket.domain, ticket.taken = domain, domain.asks(ticket.need)
        ticket.sent = domain.take(ticket.taken, now)
        if ticket.conversation:
            self.affinity.remember(ticket.conversation, Home(key.id, domain.id), now)

    def give(self, ticket: Ticket, used: Need | None, now: float) -> None:
        """A ticket leaves its key. `used` is what it took from the provider's limits, None if that is unknown."""
        key, domain = ticket.key, ticket.domain
        assert key is not None, "only a granted ticket holds a slot"
        assert domain is not None, "only a granted ticket holds capacity"
        key.running -= 1
        domain.give(ticket.taken, used, now)
        for standing in (key.whole, key.standing(ticket.model)):
            if standing.trial == ticket.id:
                standing.trial = None

    def answered(self, ticket: Ticket, windows: Mapping[LimitMeasure, RateWindow], now: float) -> None:
        """A good answer has begun."""
        key, domain = ticket.key, ticket.domain
        assert key is not None, "only a granted ticket can be answered"
        assert domain is not None, "only a granted ticket holds capacity"
        domain.learn(windows, ticket.sent, now)
        domain.answered(now, ticket.sent)
        for standing in (key.whole, key.standing(ticket.model)):
            standing.begins_well(ticket.id, ticket.granted, now)

    def served(self, ticket: Ticket, now: float) -> None:
        """A good answer has ended."""
        key = ticket.key
        assert key is not None, "only a granted ticket can be served"
        key.served[ticket.model] = now
        if self.blame.suspecting:
            self.blame.served(key.id, ticket.model, ticket.witness, now)
        for standing in (key.whole, key.standing(ticket.model)):
            if standing.failures:
                standing.ends_well()

    def rejected(
        self, ticket: Ticket, windows: Mapping[LimitMeasure, RateWindow], now: float, *, elsewhere: bool
    ) -> None:
        """A request was rejected by its own fault. That shows what the limits are, and not how the key stands."""
        key, domain = ticket.key, ticket.domain
        assert key is not None, "only a granted ticket can be rejected"
        assert domain is not None, "only a granted ticket holds capacity"
        domain.learn(windows, ticket.sent, now)
        if elsewhere:
            self.blame.shun(key.id, ticket.model, ticket.person, now)

    def failed(self, ticket: Ticket, verdict: Verdict, windows: Mapping[LimitMeasure, RateWindow], now: float) -> bool:
        """An attempt has failed: the key learns, or its domain where the rate was the reason.

        Returns whether that was their doing; False where only this request speaks against them.
        """
        key, domain, event = ticket.key, ticket.domain, verdict.event
        assert key is not None, "only a granted ticket can fail"
        assert domain is not None, "only a granted ticket holds capacity"
        assert event is not None, "a failure that says nothing about the key does not fail it"
        domain.learn(windows, ticket.sent, now)
        trouble = Trouble(event, now, ticket.model, verdict.status, verdict.cause, verdict.words)
        if event is KeyEvent.RATE_LIMITED:
            domain.limited(now, verdict.rest, ticket.sent)
        elif event is KeyEvent.OUT_OF_QUOTA and verdict.sure:
            key.out_of_money(ticket.model, now, verdict.rest)
        elif verdict.sure:
            key.apply(event, ticket.model, now, verdict.rest)
        elif not self._suspected(ticket, key, event, verdict.rest, now):
            key.doubt = trouble
            return False
        key.note(trouble)
        return True

    def _suspected(self, ticket: Ticket, key: Key, event: KeyEvent, rest: float | None, now: float) -> bool:
        """A request has failed by its own fault or by the key's: which, the requests of others tell."""
        self.blame.shun(key.id, ticket.model, ticket.person, now)
        model, standing = ("", key.whole) if event in KEY_WIDE else (ticket.model, key.standing(ticket.model))
        if standing.dead or (standing.resting and ticket.granted < standing.until):
            return True  # others have convicted it meanwhile
        due = self.blame.failed(key.id, model, event.value, ticket.witness, now)
        if due is None:
            return False
        key.apply(event, ticket.model, now, due or rest)
        return True

    def anew(self, key: Key, now: float) -> None:
        """The operator trusts a key: all that was learnt and suspected of it is forgotten."""
        key.anew(now)
        self.blame.forget(key.id)

    def state(self, key: Key, model: str, now: float) -> KeyState:
        """The state to show: COOLING also while the key's domain was asked to wait."""
        state = key.state(model)
        resting = self.domain(key, model).standing.until > now
        return KeyState.COOLING if resting and state in (KeyState.READY, KeyState.UNCHECKED) else state

    # Odds and ends

    def _untried(self, ticket: Ticket) -> Sequence[Candidate]:
        """The keys that have not failed the ticket and open before its deadline."""
        fresh = (each for each in self.candidates(ticket.lane) if each.key.id not in ticket.tried)
        return [each for each in fresh if each.key.opens_at(ticket.model) <= ticket.deadline]

    def domain(self, key: Key, model: str) -> Domain:
        """The capacity that a key shares with others for a model."""
        domain = key.domains.get(model)
        if domain is None:
            name = f"{key.organisation or key.id}/{group_of(model)}"
            domain = self.domains.get(name) or self._new_domain(name, key)
            domain.members[key.id] = key.slots
            key.domains[model] = domain
        return domain

    def _new_domain(self, name: str, key: Key) -> Domain:
        domain = self.domains[name] = Domain(name, key.quota.buckets(0.0))
        if self.division is not None:
            domain.share(self.division.part(rates_of(domain))._replace(moved=None), 0.0)
        return domain

    def _arrange(self) -> None:
        self._serving, self._reaches, self._candidates = {}, {}, {}
        for key in self.keys.values():
            for model in key.models:
                self._serving.setdefault(model, []).append(key)
        for domain in self.domains.values():
            domain.members = {name: slots for name, slots in domain.members.items() if name in self.keys}


def _may(key: Key, dialect: str, groups: frozenset[str]) -> bool:
    return dialect in key.dialects and (not key.groups or not key.groups.isdisjoint(groups))


def _opens_at(each: Candidate, model: str) -> float:
    """The instant from which a key stands well for a model, as does its domain; `FOREVER`: only an operator can say."""
    at, rests = each.key.opens_at(model), each.domain.standing.until
    return at if at > rests else rests


def _first_opening(candidates: Iterable[Candidate], model: str) -> float:
    earliest = FOREVER
    for each in candidates:
        earliest = min(earliest, _opens_at(each, model))
        if earliest <= 0.0:
            break  # it stands well already
    return earliest


def _those(candidates: list[Candidate], wanted: Callable[[Candidate], bool]) -> list[Candidate]:
    """The ones that are preferred, or all if none is."""
    return [each for each in candidates if wanted(each)] or candidates
