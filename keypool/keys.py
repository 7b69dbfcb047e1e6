"""Upstream keys.

A key is an upstream account that the operator owns. Here it is an id and limits: its secret is never in the pool.
It is judged as a whole (it was revoked, its money is gone, the
operator paused it) and for each model (unknown to this key, failing); the limits that it shares with others are judged
by its domain. All judgements are a `KeyHealth` and move by the same table.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from keypool.domains import Domain, Quota
from keypool.health import KEY_WIDE, SLOW_REST, KeyEvent, KeyHealth, KeyState
from keypool.trouble import KeyCheck, Trouble


@dataclass(slots=True, eq=False)
class Key:
    """One upstream key: what it may serve, what it serves now, how it stands."""

    id: str
    upstream: str
    dialects: frozenset[str]
    models: frozenset[str]
    slots: int  # most requests in flight, here
    groups: frozenset[str] = frozenset()  # the groups that may use it; empty: all people
    organisation: str = ""  # provider and organisation whose limits it shares; empty: it has limits of its own
    quota: Quota = Quota()  # noqa: RUF009 - immutable
    whole: KeyHealth = field(default_factory=KeyHealth)
    by_model: dict[str, KeyHealth] = field(default_factory=dict, repr=False)
    domains: dict[str, Domain] = field(default_factory=dict, repr=False)  # by model
    running: int = 0
    granted: int = 0
    served: dict[str, float] = field(default_factory=dict, repr=False)  # by model: when an answer ended well last
    troubles: dict[str, Trouble] = field(default_factory=dict, repr=False)  # by model; "": of the whole key
    doubt: Trouble | None = field(default=None, repr=False)  # the last failure that proved nothing
    checked: KeyCheck | None = field(default=None, repr=False)
    next_check: float | None = field(default=None, repr=False)  # when a free check is due
    all_slots: int = field(init=False)  # most requests in flight, at all gateways together

    def __post_init__(self) -> None:
        self.all_slots = self.slots

    def standing(self, model: str) -> KeyHealth:
        """How it stands for one model; made when first asked for."""
        found = self.by_model.get(model)
        if found is None:
            found = self.by_model[model] = KeyHealth()
        return found

    def apply(self, event: KeyEvent, model: str, now: float, rest: float | None = None) -> None:
        """Learn from an event: about the whole key, or about one model."""
        if event in KEY_WIDE:
            self.whole.apply(event, now, rest)
        else:
            self.standing(model).apply(event, now, rest)

    def note(self, trouble: Trouble) -> None:
        """Remember what has just spoken against it, if that is how it stands now."""
        model = "" if trouble.explains(self.whole.state) else trouble.model
        self.troubles[model] = trouble

    def out_of_money(self, model: str, now: float, rest: float | None) -> None:
        """There is no money for a model: nor for any other, unless it has paid for one of those in the last hour.

        Some accounts may use free models only: a request for another model must not close the free ones to others.
        """
        pays = any(
            at > now - SLOW_REST and not self.standing(other).resting
            for other, at in self.served.items()
            if other != model
        )
        (self.standing(model) if pays else self.whole).apply(KeyEvent.OUT_OF_QUOTA, now, rest)

    def served_since(self, instant: float) -> bool:
        """Whether an answer has ended well since."""
        return any(at >= instant for at in self.served.values())

    def stands(self, model: str, now: float) -> bool:
        """Nothing but its slots and its limits keeps a request from it."""
        whole, mine = self.whole, self.by_model.get(model)
        return (whole.well or whole.admits(now)) and (mine is None or mine.well or mine.admits(now))

    def admits(self, model: str, now: float) -> bool:
        """It stands well, and has a free slot."""
        return self.running < self.slots and self.stands(model, now)

    def opens_at(self, model: str) -> float:
        whole, mine = self.whole, self.by_model.get(model)
        if whole.well and (mine is None or mine.well):
            return 0.0
        return whole.opens_at() if mine is None else max(whole.opens_at(), mine.opens_at())

    def next_trial(self, model: str) -> float:
        """The instant of the next trial, if no trial under way ends before."""
        return max(self.whole.next_trial(), self.standing(model).next_trial())

    def share(self, slots: int) -> None:
        """So many of its slots are this gateway's."""
        self.slots = slots
        for domain in self.domains.values():
            if self.id in domain.members:
                domain.members[self.id] = slots

    def retune(self, terms: Key, now: float) -> None:
        """Its models, slots, groups, organisation and limits are these from now on. What is known of it stays."""
        self.models, self.groups = terms.models or self.models, terms.groups
        self.slots = self.all_slots = terms.slots
        if terms.organisation != self.organisation:
            for domain in self.domains.values():
                domain.members.pop(self.id, None)
            self.domains.clear()  # what runs gives back to the domains that it was taken from
        self.organisation = terms.organisation
        if terms.quota != self.quota:
            for domain in self.domains.values():
                domain.anew(terms.quota.buckets(now))
        self.quota = terms.quota

    def anew(self, now: float) -> None:
        """The operator trusts it: nothing bad that was learnt of it, its models or its limits counts any more."""
        self.by_model.clear()
        self.troubles.clear()
        self.doubt = None
        for domain in self.domains.values():
            domain.anew(self.quota.buckets(now))

    def state(self, model: str) -> KeyState:
        """The state to show for one model: the whole key's unless only the model is troubled."""
        if self.whole.resting or self.whole.dead:
            return self.whole.state
        mine = self.standing(model).state
        return self.whole.state if mine is KeyState.UNCHECKED else mine
