"""The keys: which may serve a request, which one should, and what each of them learns.

May: the key serves the model in the request's dialect, the person is in one of its groups, and it has not failed this
request already while others have not. Should: the key that had this conversation, else one of the same organisation
(their prompt cache is shared), else the one with the largest free share of slots, then of tokens, then the least used.
Can it now: a free slot, a good standing of the key and of the model, and room in the capacity domain.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from keypool.affinity import Affinity, Home
from keypool.blame import Blame
from keypool.domains import Domain, Need, group_of
from keypool.keys import Key
from keypool.limits import LimitMeasure, RateWindow
from keypool.order import Lane
from keypool.standing import FOREVER, KEY_WIDE, KeyEvent, KeyState
from keypool.ticket import Ticket
from keypool.verdict import Verdict

MOST_REMEMBERED = 10_000  # answers to who may use what
LEAST_WAIT = 1e-6  # seconds: what rounding may leave of a wait must not wake anybody twice


class Keyring:
    """All keys of one process, and the domains in which they share capacity."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self.keys: dict[str, Key] = {}
        self.domains: dict[str, Domain] = {}
        self.affinity = Affinity()
        self.blame = Blame()
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

    def reach(self, model: str, dialect: str, groups: frozenset[str]) -> frozenset[str]:
        """The ids of the keys that somebody in these groups may ever use for a model in a dialect."""
        return self._may(model, dialect, groups)[1]

    # Which key for a ticket

    def choose(self, ticket: Ticket, barred: Container[str], now: float) -> Key | None:
        """The best key that can take it now, some left out."""
        able = [key for key in self.usable(ticket) if key.id not in barred and self._admits(key, ticket, now)]
        if len(able) < 2:
            return able[0] if able else None
        home = self.affinity.home(ticket.conversation, now) if ticket.conversation else None
        return max(able, key=lambda key: self._rank(key, ticket, home, now))

    def usable(self, ticket: Ticket) -> list[Key]:
        """The keys that a ticket may use, now or later; of these the ones that have not failed it, if there are any."""
        keys = self._may(ticket.model, ticket.dialect, ticket.groups)[0]
        if ticket.bound_to is not None:
            keys = [key for key in keys if key.id in ticket.bound_to]
        if not ticket.tried:
            return keys
        fresh = [key for key in keys if key.id not in ticket.tried and key.opens_at(ticket.model) <= ticket.deadline]
        return fresh or keys

    def has_untried(self, ticket: Ticket) -> bool:
        """Whether some key that it may use in time has not failed it."""
        model, tried = ticket.model, ticket.tried
        return any(key.id not in tried and key.opens_at(model) <= ticket.deadline for key in self.usable(ticket))

    def slots(self, ticket: Ticket, now: float) -> tuple[int, int]:
        """The slots of all keys that it may use, the dead ones left out, and of these the ones that are free now."""
        slots = free = 0
        for key in self.usable(ticket):
            if not key.whole.dead:
                slots += key.slots
                if key.running < key.slots and key.stands(ticket.model, now):
                    free += key.slots - key.running
        return slots, free

    def opens_at(self, ticket: Ticket) -> float:
        """The earliest instant at which some key will stand well for it; `FOREVER` if only an operator can say."""
        earliest = FOREVER
        for key in self.usable(ticket):
            earliest = min(earliest, self._open(key, ticket))
            if earliest <= 0.0:
                break  # it stands well already
        return earliest

    def lane_opens_at(self, lane: Lane) -> float:
        """The earliest instant at which some key of a lane will stand well; `FOREVER` if only an operator can say."""
        earliest = FOREVER
        for key in self.serving(lane.model):
            if key.id in lane.reach:
                earliest = min(earliest, max(key.opens_at(lane.model), self._domain(key, lane.model).standing.until))
                if earliest <= 0.0:
                    break
        return earliest

    def openings(self, ticket: Ticket, now: float) -> list[tuple[float, int]]:
        """When the keys that it may use are of use, in seconds from now, and with how many slots; the dead left out."""
        opens = ((self._open(key, ticket), key.slots) for key in self.usable(ticket))
        return [(max(0.0, at - now), slots) for at, slots in opens if at < FOREVER]

    def has_room(self, ticket: Ticket) -> bool:
        """Whether some key that may serve it has a free slot, whatever else keeps the ticket waiting."""
        return any(key.running < key.slots for key in self.usable(ticket))

    def is_too_large(self, ticket: Ticket) -> bool:
        """No key that may serve it can ever take it: its prompt alone is more than a full bucket holds.

        Only limits on tokens in all count: where the prompt has a limit of its own, what is cached may be free. Our
        count may be off by some, and the provider's word comes first then.
        """
        keys = self.usable(ticket)
        return bool(keys) and all(self.domain(key, ticket.model).is_beyond(ticket.need.input) for key in keys)

    # What happens to a key

    def take(self, ticket: Ticket, key: Key, now: float) -> None:
        """A ticket starts on a key."""
        domain = self._domain(key, ticket.model)
        key.running += 1
        key.granted += 1
        for standing in (key.whole, key.standing(ticket.model)):
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
        self.blame.served(key.id, ticket.model, ticket.witness, now)
        for standing in (key.whole, key.standing(ticket.model)):
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
        assert event is not None, "what is nobody's doing does not fail a key"
        domain.learn(windows, ticket.sent, now)
        if event is KeyEvent.RATE_LIMITED:
            domain.limited(now, verdict.rest, ticket.sent)
        elif event is KeyEvent.OUT_OF_QUOTA and verdict.sure:
            key.out_of_money(ticket.model, now, verdict.rest)
        elif verdict.sure:
            key.apply(event, ticket.model, now, verdict.rest)
        else:
            return self._suspected(ticket, key, event, verdict.rest, now)
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
        resting = self._domain(key, model).standing.until > now
        return KeyState.COOLING if resting and state in (KeyState.READY, KeyState.UNCHECKED) else state

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
        if not key.admits(ticket.model, now):
            return False
        domain = self._domain(key, ticket.model)
        return domain.wait(domain.asks(ticket.need), now) <= 0.0

    def _rank(self, key: Key, ticket: Ticket, home: Home | None, now: float) -> tuple[float, ...]:
        domain = self._domain(key, ticket.model)
        return (
            not self.blame.shuns(key.id, ticket.model, ticket.person, now),
            home is not None and home.key == key.id,
            home is not None and home.domain == domain.id,
            1.0 - key.running / key.slots,
            1.0 - max(domain.utilisation(now).values(), default=0.0) if domain.buckets else 1.0,
            -key.granted,
        )

    def _open(self, key: Key, ticket: Ticket) -> float:
        return max(key.opens_at(ticket.model), self._domain(key, ticket.model).standing.until)

    def domain(self, key: Key, model: str) -> Domain:
        """The capacity that a key shares with others for a model."""
        return self._domain(key, model)

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
