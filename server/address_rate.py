"""How many requests an address sends in a minute: judged by the head alone, before the sender is known.

Persons and tokens have limits of their own. This one is for what comes before them: guesses, scans, and a client that
repeats without end. It is off unless the operator sets it, since one address may be many people: a campus behind one
router, an application that asks for all of its users.

The requests of one IPv6 network of 64 bits count as one address, and so do all requests whose address is unknown. The
limit holds in any sixty seconds (`ledger/ratelimit.py`), in the memory of each process.
"""

from __future__ import annotations

from collections.abc import Callable

from server.ledger.holds import HoldEntry
from server.ledger.limits import Limit, LimitWindow, Scope, Unit
from server.ledger.ratelimit import RateLimits, Wait

REMEMBERED = 20_000  # addresses; those that asked longest ago are forgotten first


class AddressRate:
    """`most`: requests of an address in a minute; 0 is no limit. `clock` is monotonic seconds."""

    def __init__(self, most: int, clock: Callable[[], float], remembered: int = REMEMBERED) -> None:
        self.most, self.refused = most, 0
        self._clock, self._taken = clock, RateLimits(remembered)
        self._limit = Limit("address", Scope.EVERYONE, "", Unit.REQUESTS, LimitWindow.MINUTE, most)

    def __len__(self) -> int:
        """How many addresses are remembered."""
        return len(self._taken)

    @property
    def words(self) -> str:
        """The limit, for a caller who has reached it."""
        return f"{self.most:,} request{'' if self.most == 1 else 's'} a minute, for each address"

    def take(self, address: str) -> float:
        """Count a request; returns 0, or the seconds after which there is room for it, and then nothing is counted."""
        if not self.most:
            return 0.0
        taken = self._taken.take([HoldEntry(address, self._limit, self.most, 1, None)], self._clock())
        if not isinstance(taken, Wait):
            return 0.0
        self.refused += 1
        return taken.seconds or 0.0
