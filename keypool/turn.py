"""One walk over the heads of an area, in the order of their counters: which of them gets which key now.

Strict. A head that has to wait for a limit keeps its claim to it: until it has gone, no head that comes after it in the
order takes anything from the domains in which it might start. It has no claim where it can start nowhere: a key without
a free slot, or one that rests, is of no use to the others either.

Headroom. When only the last slots are free that a head might use, a person who already runs a fair share of them
(counting one newcomer who is not here yet) must leave them to others. That costs two percent of the slots under a
flood, and spares all others the wait for the end of an answer. A person may pass a head that is kept waiting so, on a
key that the head might use, only if that person was served no more than the head's person, but for one request: else
the headroom would undo the order of the queue (measured with eight persons who always have work: a gap of 62 largest
requests instead of 2).

A walk looks at the keys of a lane once, and again when it has granted one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from keypool.domains import Domain
from keypool.fairqueue import FairQueue
from keypool.flow_heap import Lane
from keypool.health import FOREVER
from keypool.keyring import LEAST_WAIT, Candidate, Keyring
from keypool.keys import Key
from keypool.messages import QueueLimits
from keypool.ticket import Ticket

NONE: frozenset[str] = frozenset()


class View(NamedTuple):
    """The keys of some requests now. `slots`: of those that are not dead; `free`: of these, the ones to start on."""

    slots: int
    free: int
    open: list[Candidate]  # a free slot, and the key stands well
    trial: float  # when the first of the others that have a free slot is tried again


class Turn:
    """The claims of the heads that have been looked at. `fits_at`: when time alone may let one of them go."""

    def __init__(self, keyring: Keyring, fair: FairQueue, limits: QueueLimits, now: float) -> None:
        self._keyring, self._fair, self._limits, self._now = keyring, fair, limits, now
        self._claimed: set[Domain] = set()
        self._held: dict[str, Ticket] = {}  # heads that only the headroom keeps waiting, by flow
        self._open: dict[Lane, bool] = {}
        self._views: dict[Lane, View] = {}
        self.fits_at = FOREVER

    def choose(self, ticket: Ticket) -> Key | None:
        """The key that a head may have now. If there is none, it keeps its claim."""
        view = self._view(ticket)
        if self._leaves_headroom(ticket, view):
            self._held[ticket.flow] = ticket
            return None
        key = self._keyring.best(ticket, view.open, self._barred(ticket), self._now)
        if key is None:
            self._claim(ticket, view)
        return key

    def is_open(self, lane: Lane) -> bool:
        """Whether some key of a lane might take a request."""
        found = self._open.get(lane)
        if found is None:
            found = self._open[lane] = self._is_open(lane)
        return found

    def granted(self) -> None:
        """A slot has been taken: what was open may be so no more."""
        self._views.clear()
        self._look_again()

    def held_back(self, ticket: Ticket) -> bool:
        """Only the headroom is free, and its person has a fair share without it."""
        return self._leaves_headroom(ticket, self._view(ticket))

    def _leaves_headroom(self, ticket: Ticket, view: View) -> bool:
        headroom = self._limits.headroom_of(view.slots)
        return headroom > 0 and view.free <= headroom and self._fair.has_its_share(ticket, view.slots)

    def _barred(self, ticket: Ticket) -> frozenset[str]:
        """The keys on which this ticket would take something from a ticket that goes before it."""
        if not self._claimed and not self._held:
            return NONE
        barred = {key.id for key, domain in self._keyring.usable(ticket) if domain in self._claimed}
        for head in self._held.values():
            if not self._fair.is_near(ticket, head):
                barred |= head.reach
        return frozenset(barred)

    def _claim(self, ticket: Ticket, view: View) -> None:
        for _, domain in view.open:
            if (wait := domain.wait(domain.asks(ticket.need), self._now)) > 0.0:
                self._wake_at(self._now + wait)
                if domain not in self._claimed:
                    self._claimed.add(domain)
                    self._look_again()

    def _look_again(self) -> None:
        """Forget which lanes are open; a closed one stays closed during a walk."""
        self._open = {lane: found for lane, found in self._open.items() if not found}

    def _is_open(self, lane: Lane) -> bool:
        view, found = self._lane(lane), False
        self._wake_at(view.trial)
        for _, domain in view.open:
            if domain.standing.until > self._now:
                self._wake_at(domain.standing.until)
            elif domain not in self._claimed:
                found = True
        return found

    def _view(self, ticket: Ticket) -> View:
        """The keys that a ticket may use: those of its lane, unless some have failed it."""
        if ticket.tried:
            return _view(self._keyring.usable(ticket), ticket.model, self._now)
        return self._lane(ticket.lane)

    def _lane(self, lane: Lane) -> View:
        view = self._views.get(lane)
        if view is None:
            view = self._views[lane] = _view(self._keyring.candidates(lane), lane.model, self._now)
        return view

    def _wake_at(self, instant: float) -> None:
        if self._now < instant < self.fits_at:
            self.fits_at = max(instant, self._now + LEAST_WAIT)


def _view(candidates: Sequence[Candidate], model: str, now: float) -> View:
    slots = free = 0
    trial, open_ = FOREVER, []
    for each in candidates:
        key = each.key
        if not key.whole.dead:
            slots += key.slots
        if key.running < key.slots:
            if key.stands(model, now):
                free += key.slots - key.running
                open_.append(each)
            elif now < (again := key.next_trial(model)) < trial:
                trial = again
    return View(slots, free, open_, trial)
