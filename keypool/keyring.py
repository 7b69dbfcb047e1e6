"""The keys: which may serve a request, which one should, and what each of them learns.

May: the key serves the model in the request's dialect, the person is in one of its groups, and it has not failed this
request already while others have not. Should: the key that had this conversation, else one of the same organisation
(their prompt cache is shared), else the one with the largest free share of slots, then of tokens, then the least used.
Can it now: a free slot, a good standing of the key and of the model, and room in the capacity domain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from keypool.affinity import Affinity, Home
from keypool.domains import Domain, Need, group_of
from keypool.keys import Key
from keypool.limits import Measure, Window
from keypool.standing import FOREVER, Event, State
from keypool.ticket import Ticket

MOST_REMEMBERED = 10_000  # answers to who may use what
LEAST_WAIT = 1e-6  # seconds: what rounding may leave of a wait must not wake anybody twice


class Keyring:
    """All keys of one process, and the domains in which they share capacity."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self.keys: dict[str, Key] = {}
        self.domains: dict[str, Domain] = {}
        self.affinity = Affinity()
        self._serving: dict[str, list[Key]] = {}
        self._allowed: dict[tuple[str, str, frozenset[str]], tuple[list[Key], frozenset[str]]] = {}
        for key in keys:
            self.keys[key.id] = key
        self._arrange()

    # Which keys there are

    def add(self, key: Key) -> None:
        self.keys[key.id] = key
        self._arrange()

    def remove(self, key_id: str) -> None:
        """Forget a key. What it is serving now ends undisturbed."""
        self.keys.pop(key_id, None)
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

    def reach(self, model: str, dialect: str, groups: frozenset[str]) -> frozenset[str]:
        """The ids of the keys that somebody in these groups may ever use for a model in a dialect."""
        return self._may(model, dialect, groups)[1]

    def has_free_slot(self, model: str) -> bool:
        """Whether anything could start at all: asked first, because most of the time a busy pool has none."""
        return any(key.running < key.slots for key in self.serving(model))

    # Which key for a ticket

    def choose(self, ticket: Ticket, only: frozenset[str] | None, now: float) -> Key | None:
        """The best key that can take it now, perhaps only of some."""
        able = [
            key for key in self.usable(ticket) if (only is None or key.id in only) and self._admits(key, ticket, now)
        ]
        if len(able) < 2:
            return able[0] if able else None
        home = self.affinity.home(ticket.conversation, now) if ticket.conversation else None
        return max(able, key=lambda key: self._rank(key, ticket, home, now))

    def usable(self, ticket: Ticket) -> list[Key]:
        """The keys that a ticket may use, now or later; of these the ones that have not failed it, if there are any."""
        keys = self._may(ticket.model, ticket.dialect, ticket.groups)[0]
        if ticket.bound_to is not None:
            return [key for key in keys if key.id == ticket.bound_to]
        if not ticket.tried:
            return keys
        fresh = [key for key in keys if key.id not in ticket.tried and key.opens_at(ticket.model) <= ticket.deadline]
        return fresh or keys

    def free(self, ticket: Ticket, now: float) -> frozenset[str]:
        """The keys of its model that have a free slot now and are well, whoever may use them."""
        model = ticket.model
        return frozenset(key.id for key in self.serving(model) if key.running < key.slots and key.stands(model, now))

    def has_more_free_slots(self, ticket: Ticket, than: int, now: float) -> bool:
        """Whether the keys that may serve it have more than so many free slots."""
        for key in self.usable(ticket):
            if key.running < key.slots and key.stands(ticket.model, now):
                than -= key.slots - key.running
                if than < 0:
                    return True
        return False

    def slots(self, ticket: Ticket) -> int:
        """The slots of all keys that it may use, the dead ones left out."""
        return sum(key.slots for key in self.usable(ticket) if not key.whole.dead)

    def opens_at(self, ticket: Ticket) -> float:
        """The earliest instant at which some key will stand well for it; `FOREVER` if only an operator can say."""
        earliest = FOREVER
        for key in self.usable(ticket):
            earliest = min(earliest, self._open(key, ticket))
            if earliest <= 0.0:
                break  # it stands well already
        return earliest

    def wait(self, ticket: Ticket, now: float) -> float:
        """Seconds until time alone may let a key of its model be used; infinite when only an end can free one."""
        usable = {key.id for key in self.usable(ticket)}
        waits = [FOREVER]
        for key in self.serving(ticket.model):
            if key.running < key.slots:
                rest = key.opens_at(ticket.model) - now
                room = self._domain(key, ticket.model).wait(ticket.need, now) if key.id in usable else 0.0
                waits.append(max(rest, room))
        return min(max(wait, LEAST_WAIT) for wait in waits if wait > 0.0)

    # What happens to a key

    def take(self, ticket: Ticket, key: Key, now: float) -> None:
        """A ticket starts on a key."""
        domain = self._domain(key, ticket.model)
        key.running += 1
        key.granted += 1
        for standing in (key.whole, key.standing(ticket.model)):
            if standing.resting:
                standing.trial = ticket.id
        ticket.domain, ticket.sent = domain, domain.take(ticket.need, now)
        if ticket.conversation:
            self.affinity.remember(ticket.conversation, Home(key.id, domain.id), now)

    def give(self, ticket: Ticket, used: Need | None, now: float) -> None:
        """A ticket leaves its key. `used` is what it took from the provider's limits, None if that is unknown."""
        key, domain = ticket.key, ticket.domain
        assert key is not None, "only a granted ticket holds a slot"
        assert domain is not None, "only a granted ticket holds capacity"
        key.running -= 1
        domain.give(ticket.need, used, now)
        for standing in (key.whole, key.standing(ticket.model)):
            if standing.trial == ticket.id:
                standing.trial = None

    def answered(self, ticket: Ticket, windows: Mapping[Measure, Window], now: float) -> None:
        """A good answer has begun. An answer to what was sent before a key rested proves nothing."""
        key, domain = ticket.key, ticket.domain
        assert key is not None, "only a granted ticket can be answered"
        assert domain is not None, "only a granted ticket holds capacity"
        domain.learn(windows, ticket.sent, now)
        domain.answered(now, ticket.sent)
        for standing in (key.whole, key.standing(ticket.model)):
            if standing.state is not State.READY and (not standing.resting or standing.trial == ticket.id):
                standing.apply(Event.ANSWERED, now)

    def failed(
        self, ticket: Ticket, event: Event, rest: float | None, windows: Mapping[Measure, Window], now: float
    ) -> None:
        """An attempt has failed: the key learns, or its domain where the rate was the reason."""
        key, domain = ticket.key, ticket.domain
        assert key is not None, "only a granted ticket can fail"
        assert domain is not None, "only a granted ticket holds capacity"
        domain.learn(windows, ticket.sent, now)
        if event is Event.RATE_LIMITED:
            domain.limited(now, rest, ticket.sent)
        else:
            key.apply(event, ticket.model, now, rest)

    def state(self, key: Key, model: str, now: float) -> State:
        """The state to show: COOLING also while the key's domain was asked to wait."""
        state = key.state(model)
        resting = self._domain(key, model).standing.until > now
        return State.COOLING if resting and state in (State.READY, State.UNCHECKED) else state

    # Odds and ends

    def _may(self, model: str, dialect: str, groups: frozenset[str]) -> tuple[list[Key], frozenset[str]]:
        """The keys that may serve a model in a dialect for somebody in these groups, and their ids."""
        asked = (model, dialect, groups)
        found = self._allowed.get(asked)
        if found is None:
            keys = [key for key in self.serving(model) if _may(key, dialect, groups)]
            found = keys, frozenset(key.id for key in keys)
            if len(self._allowed) < MOST_REMEMBERED:
                self._allowed[asked] = found
        return found

    def _admits(self, key: Key, ticket: Ticket, now: float) -> bool:
        return key.admits(ticket.model, now) and self._domain(key, ticket.model).wait(ticket.need, now) <= 0.0

    def _rank(self, key: Key, ticket: Ticket, home: Home | None, now: float) -> tuple[float, ...]:
        domain = self._domain(key, ticket.model)
        return (
            home is not None and home.key == key.id,
            home is not None and home.domain == domain.id,
            1.0 - key.running / key.slots,
            1.0 - max(domain.utilisation(now).values(), default=0.0) if domain.buckets else 1.0,
            -key.granted,
        )

    def _open(self, key: Key, ticket: Ticket) -> float:
        return max(key.opens_at(ticket.model), self._domain(key, ticket.model).standing.until)

    def _domain(self, key: Key, model: str) -> Domain:
        domain = key.domains.get(model)
        if domain is None:
            name = f"{key.organisation or key.id}/{group_of(model)}"
            domain = self.domains.setdefault(name, Domain(name, key.quota.buckets(0.0)))
            domain.members[key.id] = key.slots
            key.domains[model] = domain
        return domain

    def _arrange(self) -> None:
        self._serving, self._allowed = {}, {}
        for key in self.keys.values():
            for model in key.models:
                self._serving.setdefault(model, []).append(key)
        for domain in self.domains.values():
            domain.members = {name: slots for name, slots in domain.members.items() if name in self.keys}


def _may(key: Key, dialect: str, groups: frozenset[str]) -> bool:
    return dialect in key.dialects and (not key.groups or not key.groups.isdisjoint(groups))
