"""Escrow: amounts taken from budgets in advance, so that a request is held and settled in memory.

The idea is P. E. O'Neil's (The Escrow Transactional Method, ACM Transactions on Database Systems 11(4), 1986): a
counter on which many change little need not be asked for each change. A gateway that has put an amount aside
there, in *escrow*, may spend it elsewhere and later, and no order of events overspends, since the escrow counts as
taken.

An escrow is a reservation of one counter in the store, which never grows. Of a live one the store holds

    free + held + unwritten

`free` may be held here. `held` is what requests under way hold. `unwritten` was used and is on its way to the store:
the settlement that arrives shrinks the escrow by what it drew and adds it to what is used, in one step. An amount
used beyond a hold was never in the escrow, and is taken on top.

    state   begins with                            is free   ends with
    ASKED   `due`: less is free than is right      no        the store's answer: LIVE, GONE, or ENDED if in doubt
    LIVE    `given`                                yes       a new one, a call, idleness, age, a lower limit, its window
    ENDED   the next `returns`: what is free is    no        GONE, when nothing is held or unwritten any more
            given back, and what becomes free

* **How much is right**: what the last seconds asked for (`SECONDS`), at least `MANY` usual requests, and where the
  store is remote what an outage may use; but of what is left at most one part in `SHARE` times the gateways that have
  escrow there, which the store itself compares. Less than `MANY` usual requests is not taken: so near a limit
  there is no escrow, each hold goes to the store, and exactly as many are admitted as fit.
* **Calling back**: a refusal that another gateway's escrow causes raises `Escrowed.calls`. Each gateway sees that at
  its next heartbeat, gives back what is free there, and takes nothing there for `BARRED_MS`.
* **An outage of the store** stops no one who fits into what is live: it is the same escrow.
* **Death**: the journal says what was drawn, and the next start gives the rest back. Without a next start it expires.
  A request takes only from what expires after the request has surely ended.

Only decisions are made here. Times are UTC milliseconds, amounts are the counter's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from server.ledger.quota import Charge, Escrowed, Hold, Release, Reservation, Reserved, Trim, escrow_id

SECONDS = 4  # of what was asked for lately
MANY = 4  # usual requests, at least
SHARE = 8
LONGEST_MS = 1_200_000
LIFETIME_MS = 3_600_000  # at least
LIVES = 2  # of the longest request, at least
SEEN_MS = 600_000  # a counter that has been unused for so long needs no escrow
BARRED_MS = 10_000  # nothing is taken from a counter that was called back
WATCHED = 10_000  # counters
AT_ONCE = 100  # escrows that are taken at one heartbeat, so that no request waits behind them for long


@dataclass(slots=True)
class _Escrow:
    id: str
    counter: str
    limit: int
    free: int
    stays: int  # to so much it was trimmed
    expires_at: int
    held: int = 0
    unwritten: int = 0

    @property
    def in_use(self) -> int:
        return self.held + self.unwritten


@dataclass(slots=True)
class _Watched:
    """A counter that was used lately. `usual` is a running mean of what requests hold there."""

    limit: int
    usual: int
    seen: int
    ends_at: int | None
    taken: int | None = None  # None until the store has said so
    gateways: int = 1  # that have escrow there, and this one
    calls: int | None = None
    barred_until: int = 0
    asked: int = 0  # since the last heartbeat
    rate: int = 0  # a second
    live: _Escrow | None = None
    waits: bool = False  # another one is asked for

    def over(self, now: int) -> bool:
        return self.ends_at is not None and now >= self.ends_at


class Escrows:
    """The escrows of this gateway. `outage`: so much of a counter that has so much left is worth having in an outage.

    `longest_ms`: from a request's arrival to the moment when its settlement is written, at most.
    """

    def __init__(self, holder: str, outage: Callable[[str, int], int], longest_ms: int = LONGEST_MS) -> None:
        self._holder, self._outage, self._longest = holder, outage, longest_ms
        self._lifetime = max(LIFETIME_MS, LIVES * longest_ms)
        self._made = 0  # escrows so far
        self._beaten_at: int | None = None
        self._watched: dict[str, _Watched] = {}
        self._asked: dict[str, _Escrow] = {}  # by id: the store has not answered yet
        self._ended: dict[str, _Escrow] = {}  # by id
        self._parts: dict[str, dict[str, tuple[_Escrow, int]]] = {}  # by request and counter: what it holds
        self._drawn: dict[str, list[tuple[_Escrow, int]]] = {}  # by request: what is unwritten

    @property
    def holding(self) -> Collection[str]:
        """The requests that hold something here."""
        return self._parts.keys()

    @property
    def live(self) -> int:
        """How many counters have an escrow from which may be held."""
        return sum(each.live is not None for each in self._watched.values())

    def in_use(self, counter: str) -> int:
        """The amount that requests of this gateway hold there from escrow, and have used and not written yet."""
        watched = self._watched.get(counter)
        live = 0 if watched is None or watched.live is None else watched.live.in_use
        return live + sum(each.in_use for each in self._ended.values() if each.counter == counter)

    def hold(self, request_id: str, holds: Sequence[Hold], now: int) -> Reserved | None:
        """Hold all in memory, as the store would, or nothing: None. A hold that a request has already is held once."""
        parts = self._parts.get(request_id, {})
        found: list[tuple[Hold, _Escrow]] = []
        fits = True
        for hold in holds:
            watched = self._watch(hold, now)
            if hold.counter in parts:
                continue
            if watched is not None and (escrow := self._fitting(watched, hold, now)) is not None:
                found.append((hold, escrow))
            else:
                fits = False
        if not fits:
            return None
        for hold, escrow in found:
            escrow.free -= hold.amount
            escrow.held += hold.amount
            parts[hold.counter] = (escrow, hold.amount)
        self._parts[request_id] = parts
        return Reserved(tuple(self._shown(hold.counter) for hold in holds))

    def draws(self, request_id: str, charges: Iterable[Charge]) -> tuple[Charge, ...]:
        """These charges, and which escrows they draw on, if the request ends with them."""
        parts = self._parts.get(request_id)
        return tuple(charges) if not parts else tuple(_drawing(charge, parts) for charge in charges)

    def settle(self, request_id: str, charges: Iterable[Charge]) -> tuple[Charge, ...]:
        """A request has ended: what it did not use is free. Without charges it was never sent. Returns `draws`."""
        settled = self.draws(request_id, charges)
        drawn = {charge.counter: charge.drawn for charge in settled if charge.drawn}
        unwritten = []
        for counter, (escrow, amount) in self._parts.pop(request_id, {}).items():
            used = drawn.get(counter, 0)
            escrow.held -= amount
            escrow.free += amount - used
            escrow.unwritten += used
            if used:
                unwritten.append((escrow, used))
        if unwritten:
            self._drawn[request_id] = unwritten
        return settled

    def written(self, request_id: str) -> None:
        """The store has a request's settlement, and its escrows shrank by what was drawn."""
        for escrow, amount in self._drawn.pop(request_id, ()):
            escrow.unwritten -= amount  # it may be trimmed again: the trim before may have come after the settlement

    def seen(self, holds: Sequence[Hold], taken: Sequence[int]) -> Reserved:
        """The store has admitted a request: so much its counters have taken now. The same beside what is free here."""
        for hold, amount in zip(holds, taken, strict=True):
            if (watched := self._watched.get(hold.counter)) is not None:
                watched.taken = amount
        return Reserved(tuple(amount - self._free(it.counter) for it, amount in zip(holds, taken, strict=True)))

    def beat(self, now: int) -> list[str]:
        """A heartbeat: forget what is not used any more. Returns the counters that the store is to be asked about."""
        elapsed = max(1, now - (now - 1000 if self._beaten_at is None else self._beaten_at))
        self._beaten_at = now
        for counter, watched in list(self._watched.items()):
            watched.rate = max(watched.asked * 1000 // elapsed, watched.rate * 3 // 4)
            watched.asked = 0
            idle = watched.over(now) or now - watched.seen >= SEEN_MS
            if watched.live is not None and (idle or now >= watched.live.expires_at):
                self._end(watched)
            if idle and not watched.waits:
                del self._watched[counter]
        return [name for name, each in self._watched.items() if each.live is not None or self._wants(each, name, now)]

    def looked(self, standing: Escrowed, now: int) -> None:
        """How a counter stands."""
        if (watched := self._watched.get(standing.counter)) is None:
            return
        watched.taken, watched.gateways = standing.taken, len(standing.holders | {self._holder})
        if watched.calls is not None and standing.calls != watched.calls:
            self._bar(watched, now)
        watched.calls = standing.calls

    def due(self, now: int) -> list[Reservation]:
        """The escrows to be taken now. Each is answered by `given`, `refused` or `doubted`."""
        wanting = [(name, each) for name, each in self._watched.items() if self._wants(each, name, now)]
        sized = [(name, each, size) for name, each in wanting if (size := self._size(name, each))]
        return [self._ask(name, each, size, now) for name, each, size in sized[:AT_ONCE]]

    def given(self, escrow: str, taken: int, now: int) -> None:
        """The store holds an escrow: it takes the place of the one before. One that was called back meanwhile ends."""
        found = self._asked.pop(escrow)
        watched = self._watched[found.counter]
        watched.waits, watched.taken = False, taken
        self._end(watched)
        watched.live = found
        if now < watched.barred_until:
            self._end(watched)

    def refused(self, escrow: str) -> None:
        """The counter has too little left for an escrow. The known amount of it is too old."""
        watched = self._watched[self._asked.pop(escrow).counter]
        watched.waits, watched.taken = False, None

    def doubted(self, escrow: str) -> None:
        """It is not known whether the store holds an escrow: it is given back, and never used."""
        self._ended[escrow] = self._asked[escrow]
        self.refused(escrow)

    def call_back(self, counter: str, now: int) -> list[Release | Trim]:
        """End what is live on a counter that refused a request, and take nothing there for a while; what to return."""
        if (watched := self._watched.get(counter)) is not None:
            self._bar(watched, now)
        return self._returned([each for each in self._ended.values() if each.counter == counter])

    def end_all(self) -> None:
        """Limits have changed, or this gateway stops: whatever is free is given back (`returns`)."""
        for watched in self._watched.values():
            self._end(watched)

    def returns(self) -> list[Release | Trim]:
        """The parts of ended escrows that are given back now. May be repeated."""
        return self._returned(list(self._ended.values()))

    def _watch(self, hold: Hold, now: int) -> _Watched | None:
        watched = self._watched.get(hold.counter)
        if watched is None:
            if len(self._watched) >= WATCHED:
                return None
            watched = self._watched[hold.counter] = _Watched(hold.limit, hold.amount, now, hold.ends_at)
        watched.limit, watched.seen = hold.limit, now
        watched.usual += (hold.amount - watched.usual) // 8
        watched.asked += hold.amount
        return watched

    def _fitting(self, watched: _Watched, hold: Hold, now: int) -> _Escrow | None:
        escrow = watched.live
        if escrow is None:
            return None
        if hold.limit < escrow.limit:  # it was lowered: the store decides what fits under the new one
            self._end(watched)
            return None
        return escrow if hold.amount <= escrow.free and now + self._longest <= escrow.expires_at else None

    def _shown(self, counter: str) -> int:
        """The amount that is taken of a counter, as far as this gateway knows, without the part that is free here."""
        return max(0, (self._watched[counter].taken or 0) - self._free(counter))

    def _free(self, counter: str) -> int:
        watched = self._watched.get(counter)
        return 0 if watched is None or watched.live is None else watched.live.free

    def _wants(self, watched: _Watched, counter: str, now: int) -> bool:
        if watched.waits or now < watched.barred_until or watched.over(now):
            return False
        live = watched.live
        old = live is not None and now >= live.expires_at - (self._lifetime + self._longest) // 2
        return live is None or old or 2 * live.free < self._wanted(counter, watched)

    def _wanted(self, counter: str, watched: _Watched) -> int:
        """How much would be right; 0 while it is not known how much is left."""
        if watched.taken is None:
            return 0
        left = max(0, watched.limit - watched.taken)
        target = max(MANY * watched.usual, SECONDS * watched.rate, self._outage(counter, left))
        return min(target, left // (SHARE * watched.gateways))

    def _size(self, counter: str, watched: _Watched) -> int:
        """How much to take: what is right, if that is worth it."""
        size = self._wanted(counter, watched)
        return size if size >= MANY * watched.usual > 0 else 0

    def _ask(self, counter: str, watched: _Watched, size: int, now: int) -> Reservation:
        self._made += 1
        escrow = _Escrow(escrow_id(self._holder, self._made), counter, watched.limit, size, size, now + self._lifetime)
        self._asked[escrow.id] = escrow
        watched.waits = True
        # Admitted only if what it takes is no more than its share of what is left at that moment.
        hold = Hold(counter, size, watched.limit - (SHARE * watched.gateways - 1) * size)
        return Reservation(escrow.id, self._holder, (hold,), escrow.expires_at)

    def _bar(self, watched: _Watched, now: int) -> None:
        watched.barred_until = now + BARRED_MS
        self._end(watched)

    def _end(self, watched: _Watched) -> None:
        if (escrow := watched.live) is not None:
            watched.live = None
            self._ended[escrow.id] = escrow

    def _returned(self, escrows: Iterable[_Escrow]) -> list[Release | Trim]:
        letters: list[Release | Trim] = []
        for escrow in escrows:
            if not escrow.in_use:
                del self._ended[escrow.id]
                letters.append(Release(escrow.id))
            elif escrow.in_use < escrow.stays:
                escrow.stays = escrow.in_use
                letters.append(Trim(escrow.id, escrow.in_use))
        return letters


def _drawing(charge: Charge, parts: dict[str, tuple[_Escrow, int]]) -> Charge:
    """A charge, of which what was held is drawn from the escrow."""
    if (part := parts.get(charge.counter)) is None:
        return charge
    escrow, amount = part
    return Charge(charge.counter, charge.amount, escrow.id, min(charge.amount, amount))
