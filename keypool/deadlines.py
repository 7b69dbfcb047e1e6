"""Until when those who wait may wait: the next one of all, and those of one lane whose time ends before an instant.

Tickets that wait no longer stay in the heaps until they surface, or until they are the larger part of a heap.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush

from keypool.flow_heap import Lane
from keypool.health import FOREVER
from keypool.ticket import Ticket

Due = tuple[float, int, Ticket]
SPARE = 64  # entries that a heap may hold beyond twice those that wait


class Deadlines:
    """Times are seconds, monotonic."""

    def __init__(self) -> None:
        self._heaps: dict[Lane, list[Due]] = {}
        self._sizes: dict[Lane, int] = {}  # at which a heap is cleaned up
        self._added = 0

    def add(self, ticket: Ticket) -> None:
        """A ticket waits until its deadline."""
        self._added += 1
        heap = self._heaps.setdefault(ticket.lane, [])
        heappush(heap, (ticket.deadline, self._added, ticket))
        if len(heap) > self._sizes.get(ticket.lane, SPARE):
            self._clean(ticket.lane)

    def due(self, now: float) -> Iterator[Ticket]:
        """The tickets whose time is up."""
        for lane in list(self._heaps):
            yield from self.before(lane, now, including=True)

    def before(self, lane: Lane, instant: float, *, including: bool = False) -> Iterator[Ticket]:
        """The tickets that wait in a lane and whose time ends before an instant. They are taken out."""
        while (first := self._first(lane)) is not None:
            if first.deadline > instant or (first.deadline == instant and not including):
                return
            heappop(self._heaps[lane])
            yield first

    def first(self) -> float:
        """The earliest deadline of all who wait."""
        firsts = (self._first(lane) for lane in list(self._heaps))
        return min((ticket.deadline for ticket in firsts if ticket is not None), default=FOREVER)

    def lanes(self) -> list[Lane]:
        """The lanes in which tickets wait, or did lately."""
        return list(self._heaps)

    def _first(self, lane: Lane) -> Ticket | None:
        heap = self._heaps[lane]
        while heap:
            ticket = heap[0][2]
            if ticket.waiting and ticket.lane == lane:
                return ticket
            heappop(heap)
        del self._heaps[lane]
        self._sizes.pop(lane, None)
        return None

    def _clean(self, lane: Lane) -> None:
        kept = [due for due in self._heaps[lane] if due[2].waiting and due[2].lane == lane]
        heapify(kept)
        self._heaps[lane] = kept
        self._sizes[lane] = 2 * len(kept) + SPARE
