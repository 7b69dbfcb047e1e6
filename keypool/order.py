"""The flows that wait, by counter: one heap for each set of keys that its flows can reach.

Heap entries are never searched for. An entry is stale when its counter is not the flow's `live` one, or when the flow
has moved to another heap; it is dropped when it surfaces. A flow whose counter has risen is sorted in again then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush, heapreplace

from keypool.ticket import Ticket

Reach = frozenset[str]  # ids of keys; empty: any
Entry = tuple[float, int, "Flow"]


@dataclass(slots=True, eq=False)
class Flow:
    """All that one person wants from one model in one class. `cap`: so many may be in flight; None is any number."""

    id: str
    weight: float
    counter: float
    reach: Reach
    cap: int | None = None
    queue: deque[Ticket] = field(default_factory=deque)
    waiting: int = 0  # live tickets in `queue`
    running: int = 0
    backlog: float = 0.0  # cost of what waits
    live: float | None = None  # the counter under which it stands in its heap
    owing: bool = False  # idle, but remembered because its counter is above the virtual time

    def head(self) -> Ticket:
        """Its first live ticket."""
        while not self.queue[0].waiting:
            self.queue.popleft()
        return self.queue[0]


class Order:
    """Finds the flow with the lowest counter. `resting` says whose entry is to be left out for now."""

    def __init__(self, resting: Callable[[Flow], bool]) -> None:
        self._resting = resting
        self._heaps: dict[Reach, list[Entry]] = {}
        self._pushes = 0

    def push(self, flow: Flow) -> None:
        """Sort a flow in under its counter of now."""
        self._pushes += 1
        flow.live = flow.counter
        heappush(self._heaps.setdefault(flow.reach, []), (flow.counter, self._pushes, flow))

    def lowest(self, keys: Reach | None = None) -> Flow | None:
        """The flow with the lowest counter, perhaps only of those that can reach one of some keys."""
        best: Entry | None = None
        for reach in list(self._heaps):
            if keys is not None and reach and reach.isdisjoint(keys):
                continue
            entry = self._surface(reach)
            if entry is not None and (best is None or entry < best):
                best = entry
        return None if best is None else best[2]

    def take_out(self, flow: Flow) -> Entry:
        """Remove a flow that is on top of its heap, to look at the next one; `put_back` undoes it."""
        return heappop(self._heaps[flow.reach])

    def put_back(self, entry: Entry) -> None:
        heappush(self._heaps.setdefault(entry[2].reach, []), entry)

    def entries(self) -> Iterator[Entry]:
        """Every entry, the stale ones included."""
        return (entry for heap in self._heaps.values() for entry in heap)

    def __len__(self) -> int:
        return sum(map(len, self._heaps.values()))

    def _surface(self, reach: Reach) -> Entry | None:
        heap = self._heaps[reach]
        while heap:
            counter, _, flow = heap[0]
            if flow.live != counter or flow.reach != reach:
                heappop(heap)
            elif not flow.waiting or self._resting(flow):
                heappop(heap)
                flow.live = None
            elif counter < flow.counter:
                self._pushes += 1
                flow.live = flow.counter
                heapreplace(heap, (flow.counter, self._pushes, flow))
            else:
                return heap[0]
        del self._heaps[reach]
        return None
