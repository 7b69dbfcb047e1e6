"""One walk over the heads of an area, in the order of their counters: who may have which key now.

Strict. A head that has to wait for a limit keeps its claim to it: until it has gone, nobody who comes after it in the
order takes anything from the domains in which it might start. It has no claim where it can start nowhere: a key without
a free slot, or one that rests, is of no use to anybody else either.

Headroom. When only the last slots are free that a head might use, a person who already runs a fair share of them
(counting one newcomer who is not here yet) must leave them to others. That costs two percent of the slots under a
flood, and spares everybody else the wait for somebody's answer to end. Who passes a head that is kept waiting so, on a
key that the head might use, must have been served no more than the head's person, but for one request: else the
headroom would undo the order of the queue (measured with eight persons who always have work: a gap of 62 largest
requests instead of 2).
"""

from __future__ import annotations

from keypool.decisions import QueueLimits
from keypool.domains import Domain
from keypool.fairqueue import FairQueue
from keypool.keyring import LEAST_WAIT, Keyring
from keypool.keys import Key
from keypool.order import Lane
from keypool.standing import FOREVER
from keypool.ticket import Ticket


class Turn:
    """The claims of the heads that have been looked at. `fits_at`: when time alone may let one of them go."""

    def __init__(self, keyring: Keyring, fair: FairQueue, limits: QueueLimits, now: float) -> None:
        self._keyring, self._fair, self._limits, self._now = keyring, fair, limits, now
        self._claimed: set[Domain] = set()
        self._held: dict[str, Ticket] = {}  # heads that only the headroom keeps waiting, by flow
        self._open: dict[Lane, bool] = {}
        self.fits_at = FOREVER

    def choose(self, ticket: Ticket) -> Key | None:
        """The key that a head may have now. If there is none, it keeps its claim."""
        if self.held_back(ticket):
            self._held[ticket.flow] = ticket
            return None
        key = self._keyring.choose(ticket, self._barred(ticket), self._now)
        if key is None:
            self._claim(ticket)
        return key

    def is_open(self, lane: Lane) -> bool:
        """Whether some key of a lane might take somebody."""
        found = self._open.get(lane)
        if found is None:
            found = self._open[lane] = self._is_open(lane)
        return found

    def granted(self) -> None:
        """A slot has been taken: what was open may be so no more."""
        self._look_again()

    def held_back(self, ticket: Ticket) -> bool:
        """Only the headroom is free, and its person has a fair share without it."""
        slots, free = self._keyring.slots(ticket, self._now)
        headroom = self._limits.headroom_of(slots)
        return headroom > 0 and free <= headroom and self._fair.has_its_share(ticket, slots)

    def _barred(self, ticket: Ticket) -> frozenset[str]:
        """The keys on which this ticket would take something from somebody who goes before it."""
        barred = set()
        if self._claimed:
            barred = {key.id for key in self._keyring.usable(ticket) if self._domain(key, ticket) in self._claimed}
        for head in self._held.values():
            if not self._fair.is_near(ticket, head):
                barred |= head.reach
        return frozenset(barred)

    def _claim(self, ticket: Ticket) -> None:
        for key in self._keyring.usable(ticket):
            if key.running >= key.slots or not key.stands(ticket.model, self._now):
                continue
            domain = self._domain(key, ticket)
            if (wait := domain.wait(domain.asks(ticket.need), self._now)) > 0.0:
                self._wake_at(self._now + wait)
                if domain not in self._claimed:
                    self._claimed.add(domain)
                    self._look_again()

    def _look_again(self) -> None:
        """What is closed stays so during a walk."""
        self._open = {lane: found for lane, found in self._open.items() if not found}

    def _is_open(self, lane: Lane) -> bool:
        found = False
        for name in lane.reach:
            key = self._keyring.keys.get(name)
            if key is None or key.running >= key.slots:
                continue
            if not key.stands(lane.model, self._now):
                self._wake_at(key.next_trial(lane.model))
                continue
            domain = self._keyring.domain(key, lane.model)
            if domain.standing.until > self._now:
                self._wake_at(domain.standing.until)
            elif domain not in self._claimed:
                found = True
        return found

    def _wake_at(self, instant: float) -> None:
        if instant > self._now:
            self.fits_at = min(self.fits_at, max(instant, self._now + LEAST_WAIT))

    def _domain(self, key: Key, ticket: Ticket) -> Domain:
        return self._keyring.domain(key, ticket.model)
