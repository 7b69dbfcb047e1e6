"""How many bytes of requests are held here at once: by one person, by one address, and in all.

An announced body is held by its whole length before the first byte of it is read, so that a hundred unfinished
uploads hold no more than one who waits politely. A body in chunks takes as it comes. The bytes are held until the
request has ended, in memory or in a file (`spool.py`).

The bound in all is kept by *dynamic thresholds* (Choudhury and Hahne, "Dynamic queue length thresholds for
shared-memory packet switches", 1998): no holder may take more than what is free now. So one who takes all that they can
gets half, two get a third each, and there is always room for a holder with little. Without it the first few
who send large bodies would shut all others out.

Where all are one person (`GATEKEEPER=none` or `shared`), only their addresses distinguish them. Pure: no I/O, no
clock. Sizes are bytes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from server.wire.errors import BodiesFull, TooMuchAtOnce

BOUNDS = ("person", "address", "all")


@dataclass(frozen=True, slots=True)
class MostHeld:
    """The bounds, in bytes."""

    person: int = 128 << 20
    address: int = 256 << 20
    total: int = 512 << 20


class BodyBudget:
    """The bytes that all requests hold."""

    def __init__(self, most: MostHeld) -> None:
        self.most = most
        self.total = 0
        self.refused: Counter[str] = Counter()  # by the bound that refused
        self._by_holder: dict[tuple[str, str], int] = {}  # only of those who hold something

    def open(self, person: str | None, address: str) -> Held:
        """The account of one request, empty at first. `person`: None where requests are not of single persons."""
        return Held(self, person, address)

    def held_by(self, kind: str, name: str) -> int:
        """The bytes that a "person" or an "address" holds."""
        return self._by_holder.get((kind, name), 0)

    def _take(self, held: Held, amount: int) -> None:
        """Raises TooMuchAtOnce, BodiesFull; then nothing is taken."""
        free = self.most.total - self.total
        for holder in held.holders:
            mine = self._by_holder.get(holder, 0) + amount
            if mine > (self.most.person if holder[0] == "person" else self.most.address):
                self.refused[holder[0]] += 1
                raise TooMuchAtOnce
            if mine > free and holder is held.holders[0]:
                self.refused["all"] += 1
                raise BodiesFull
        self._change(held, amount)

    def _change(self, held: Held, by: int) -> None:
        self.total += by
        mine = self._by_holder
        for holder in held.holders:
            if now := mine.get(holder, 0) + by:
                mine[holder] = now
            else:
                del mine[holder]


class Held:
    """The bytes that one request holds: `size`."""

    __slots__ = ("_budget", "_ended", "holders", "size")

    def __init__(self, budget: BodyBudget, person: str | None, address: str) -> None:
        self._budget = budget
        mine = (("person", person),) if person is not None else ()
        self.holders: tuple[tuple[str, str], ...] = (*mine, ("address", address))
        self.size = 0
        self._ended = False

    def becomes(self, size: int) -> None:
        """Hold so many bytes from now on; nothing changes after its end. Raises TooMuchAtOnce, BodiesFull."""
        if self._ended or size == self.size:
            return
        if size > self.size:
            self._budget._take(self, size - self.size)
        else:
            self._budget._change(self, size - self.size)
        self.size = size

    def grows_to(self, size: int) -> None:
        """Hold at least so many bytes. Raises as `becomes`."""
        if size > self.size:
            self.becomes(size)

    def end(self) -> None:
        """Hold nothing any more, for ever. Twice is once."""
        self.becomes(0)
        self._ended = True
