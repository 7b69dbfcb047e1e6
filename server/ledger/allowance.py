"""What may be spent while the store is out of reach, so that an outage stops no one and overspends nothing.

While the store works, a small part of what is left on a counter is *leased*: reserved for this process instead of for a
request. During an outage a request takes what it needs from the leases of all its counters, or is refused. What a lease
holds has been admitted by the store, so that spending it cannot overspend.

* A lease is worth having only if a usual request fits into it; so it is small, and near a limit there is none: the last
  dollar is not kept from those who would spend it elsewhere.
* A lease ends by itself (after an hour, or `LIVES` of the longest request), which gives back what a dead process had.
  It is renewed when half of its time is over, by a new one; a request may take from it only if it will surely have
  ended before.
* What was taken from a lease is settled like everything else, behind the answer. Until the store has that, the lease
  must stay: it stands for what was spent. Then it is worn: it is given back, and a fresh one made.
* A request that the store refuses while a lease holds something on that counter deserves another attempt without it
  (`release_for`).

Only decisions are made here; who asks for them makes the reservations and gives back what is named. Times are UTC
milliseconds, as those of reservations are; amounts are the counter's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from server.ledger.quota import Charge, Hold, Reservation

LEASE_MS = 3_600_000  # at least
LIVES = 3  # of the longest request, at least: at half of its time half a request's life is left for an outage
LONGEST_MS = 1_200_000
SEEN_MS = 600_000  # who has asked for nothing for so long needs no lease
PERCENT = 2  # of what is left
WATCHED = 10_000  # counters


@dataclass(slots=True)
class _Watched:
    """A counter that was used lately. `usual` is a running mean of what requests hold there."""

    limit: int
    left: int
    usual: int
    seen: int
    lease: _Lease | None = None  # the one to take from
    asked: bool = False  # a lease is on its way


@dataclass(slots=True)
class _Lease:
    id: str
    counter: str
    left: int
    expires_at: int
    unwritten: int = 0  # requests that took from it, and are not in the store yet
    worn: bool = False  # something was spent

    def useless(self, now: int) -> bool:
        return now >= self.expires_at or (self.worn and not self.unwritten)


class Allowances:
    """The leases of this process. `most` says how much of a counter is leased at most; 0 is nothing.

    `longest_ms`: from a request's arrival to the moment when its settlement is written, at most.
    """

    def __init__(self, holder: str, most: Callable[[str], int], longest_ms: int = LONGEST_MS) -> None:
        self._holder, self._most, self._longest = holder, most, longest_ms
        self._lifetime = max(LEASE_MS, LIVES * longest_ms)
        self._made = 0  # leases so far
        self._watched: dict[str, _Watched] = {}
        self._asked: dict[str, _Lease] = {}  # by id: the store has not answered yet
        self._ended: dict[str, _Lease] = {}  # by id: nothing is taken from them any more
        self._taken: dict[str, list[tuple[_Lease, int]]] = {}  # by request, from which leases

    @property
    def leases(self) -> int:
        """How many hold something, as far as we know."""
        return len(self._asked) + len(self._ended) + sum(each.lease is not None for each in self._watched.values())

    @property
    def ready(self) -> int:
        """How many counters have a lease from which may be taken while the store is away."""
        return sum(each.lease is not None for each in self._watched.values())

    def seen(self, holds: Sequence[Hold], taken: Sequence[int], now: int) -> None:
        """The store has admitted a request: so much its counters have taken now."""
        for hold, amount in zip(holds, taken, strict=True):
            watched = self._watched.get(hold.counter)
            if watched is None:
                if len(self._watched) >= WATCHED:
                    continue
                watched = self._watched[hold.counter] = _Watched(0, 0, hold.amount, now)
            watched.limit, watched.left, watched.seen = hold.limit, max(0, hold.limit - amount), now
            watched.usual += (hold.amount - watched.usual) // 8

    def due(self, now: int) -> list[Reservation]:
        """The leases to be made now. Each is answered by `given` or `refused`."""
        wanting = [(counter, watched) for counter, watched in self._watched.items() if self._needs_lease(watched, now)]
        sized = [(counter, watched, self._size(counter, watched)) for counter, watched in wanting]
        return [self._ask(counter, watched, size, now) for counter, watched, size in sized if size > watched.usual]

    def given(self, lease_id: str) -> None:
        """The store holds a lease: it takes the place of the one before."""
        lease = self._asked.pop(lease_id)
        watched = self._watched[lease.counter]
        self._end(watched)
        watched.lease, watched.asked = lease, False

    def refused(self, lease_id: str) -> None:
        """The counter does not admit a lease. It is not asked for again until the counter was seen anew."""
        watched = self._watched[self._asked.pop(lease_id).counter]
        watched.left, watched.asked = 0, False

    def doubted(self, lease_id: str) -> None:
        """Nobody knows whether the store holds a lease: it is given back, and never used."""
        self._ended[lease_id] = self._asked[lease_id]
        self.refused(lease_id)

    def take(self, request_id: str, holds: Sequence[Hold], now: int) -> bool:
        """Let a request take all that it needs, or nothing. Each counter is there once; a repetition takes nothing."""
        if request_id in self._taken:
            return True
        found = [self._lease_for(hold, now) for hold in holds]
        leases = [lease for lease in found if lease is not None]
        if len(leases) < len(found):
            return False
        self._taken[request_id] = parts = list(zip(leases, (hold.amount for hold in holds), strict=True))
        for lease, amount in parts:
            lease.left -= amount
            lease.unwritten += 1
        return True

    def settle(self, request_id: str, charges: Iterable[Charge]) -> None:
        """A request has ended: what it did not use may be taken by another one. Without charges it was never sent."""
        used = {charge.counter: charge.amount for charge in charges}
        parts = self._taken.get(request_id, [])
        for number, (lease, amount) in enumerate(parts):
            spent = used.get(lease.counter, 0)
            lease.left += amount - spent
            lease.worn |= spent > 0
            parts[number] = (lease, spent)

    def written(self, request_id: str) -> None:
        """The store has a request's settlement, or there is none: no lease stands for it any more."""
        for lease, _ in self._taken.pop(request_id, []):
            lease.unwritten -= 1

    def give_back(self, now: int) -> list[str]:
        """The leases to be released now: worn ones, those of counters that nobody uses, and what has expired."""
        for counter, watched in list(self._watched.items()):
            idle = now - watched.seen >= SEEN_MS
            if watched.lease is not None and (idle or watched.lease.useless(now)):
                self._end(watched)
            if idle and watched.lease is None and not watched.asked:
                del self._watched[counter]
        return self._gone([each for each in self._ended.values() if not each.unwritten or now >= each.expires_at])

    def release_for(self, counter: str) -> list[str]:
        """The leases to be released because the store has refused a request for this counter's sake."""
        if (watched := self._watched.get(counter)) is not None:
            self._end(watched)
            watched.left = 0
        return self._gone([each for each in self._ended.values() if each.counter == counter and not each.unwritten])

    def close(self) -> list[str]:
        """All leases, to be released. Only those that stand for what is not written yet are left to expire."""
        for watched in self._watched.values():
            self._end(watched)
        self._ended |= self._asked
        self._asked.clear()
        return self._gone([each for each in self._ended.values() if not each.unwritten])

    def _size(self, counter: str, watched: _Watched) -> int:
        return min(self._most(counter), watched.left * PERCENT // 100)

    def _ask(self, counter: str, watched: _Watched, size: int, now: int) -> Reservation:
        self._made += 1
        lease = _Lease(f"lease-{self._holder}-{self._made}", counter, size, now + self._lifetime)
        self._asked[lease.id] = lease
        watched.asked = True
        return Reservation(lease.id, self._holder, (Hold(counter, size, watched.limit),), lease.expires_at)

    def _lease_for(self, hold: Hold, now: int) -> _Lease | None:
        watched = self._watched.get(hold.counter)
        lease = None if watched is None else watched.lease
        if lease is None or lease.left < hold.amount or now + self._longest > lease.expires_at:
            return None
        return lease

    def _end(self, watched: _Watched) -> None:
        """Take nothing from its lease any more."""
        lease, watched.lease = watched.lease, None
        if lease is not None:
            self._ended[lease.id] = lease

    def _gone(self, leases: list[_Lease]) -> list[str]:
        for lease in leases:
            del self._ended[lease.id]
        return [lease.id for lease in leases]

    def _needs_lease(self, watched: _Watched, now: int) -> bool:
        if watched.asked or now - watched.seen >= SEEN_MS:
            return False
        lease = watched.lease
        return lease is None or lease.worn or now >= lease.expires_at - self._lifetime // 2
