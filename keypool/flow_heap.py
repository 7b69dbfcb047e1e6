"""The accounts that wait, by counter: one heap for each lane.

A lane is what competes for the same thing in the same way: requests for one model that the same keys may serve. An
account stands in every lane in which it has something waiting. Heap entries are never searched for: an entry is stale
when its counter is not the account's `live` one, and is dropped when it surfaces. An account whose counter has risen is
sorted in again then; one whose counter falls has to be pushed anew.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from heapq import heappop, heappush, heapreplace
from typing import NamedTuple

from keypool.domains import group_of

Reach = frozenset[str]  # ids of keys; empty: any


class Lane(NamedTuple):
    """A model, the group of models with which it shares limits, and the keys that may serve it."""

    model: str
    group: str
    reach: Reach

    def meets(self, other: Lane, key: str) -> bool:
        """Do both compete for the limits of this key?"""
        return self.group == other.group and (not self.reach or key in self.reach)


@lru_cache(maxsize=4096)
def lane_of(model: str, reach: Reach) -> Lane:
    return Lane(model, group_of(model), reach)


@dataclass(slots=True)
class Waits:
    """The requests that an account has waiting in one lane, and their cost."""

    count: int = 0
    cost: float = 0.0


@dataclass(slots=True, eq=False)
class FlowAccount(ABC):
    """A flow or a party: the cost that it was served, by weight, and its requests that wait and run.

    `guessed`: the part of what was charged for what is in flight that may still be given back, in cost. `offsets`: how
    much higher the account stands in some lanes, because it came there later than to others.
    """

    id: str
    weight: float
    counter: float
    last: Lane  # in which it asked last
    lanes: dict[Lane, Waits] = field(default_factory=dict)
    live: dict[Lane, float] = field(default_factory=dict)  # the counters under which it stands in the heaps
    offsets: dict[Lane, float] = field(default_factory=dict)
    waiting: int = 0
    running: int = 0
    backlog: float = 0.0  # cost of what waits
    guessed: float = 0.0
    came: int = 0  # among equal counters the lower one goes first
    owing: bool = False  # idle, but remembered because its counter is above the virtual time

    @property
    def idle(self) -> bool:
        return not (self.waiting or self.running)

    @abstractmethod
    def rests(self, lane: Lane) -> bool:
        """Whether it is left out of the order for now, though it waits in this lane."""

    def at(self, lane: Lane) -> float:
        """Its counter as it counts in a lane."""
        return self.counter + self.offsets.get(lane, 0.0) if self.offsets else self.counter


Entry = tuple[float, int, FlowAccount, Lane]


class Order:
    """Finds the account with the lowest counter."""

    def __init__(self) -> None:
        self._heaps: dict[Lane, list[Entry]] = {}
        self._pushes = 0

    def push(self, account: FlowAccount, lane: Lane) -> None:
        """Sort an account in under its counter of now, unless it stands there already or lower."""
        counter, live = account.at(lane), account.live.get(lane)
        if live is None or counter < live:
            self._pushes += 1
            account.live[lane], account.came = counter, self._pushes
            heap = self._heaps.get(lane)
            if heap is None:
                heap = self._heaps[lane] = []
            heappush(heap, (counter, self._pushes, account, lane))

    def first(self, lane: Lane) -> Entry | None:
        """The entry of the lowest account of one lane."""
        heap = self._heaps.get(lane)
        while heap:
            entry = heap[0]
            counter, _, account, _ = entry
            if account.live.get(lane) != counter:
                heappop(heap)
            elif lane not in account.lanes or account.rests(lane):
                heappop(heap)
                del account.live[lane]
            elif counter < (now := account.at(lane) if account.offsets else account.counter):
                self._pushes += 1
                account.live[lane], account.came = now, self._pushes
                heapreplace(heap, (now, self._pushes, account, lane))
            else:
                return entry
        self._heaps.pop(lane, None)
        return None

    def firsts(self) -> list[Entry]:
        """The lowest entry of every lane."""
        return [entry for lane in list(self._heaps) if (entry := self.first(lane)) is not None]

    def take_out(self, entry: Entry) -> None:
        """Remove an entry that is on top of its lane, to look at the next one; `put_back` undoes it."""
        heappop(self._heaps[entry[3]])

    def put_back(self, entry: Entry) -> None:
        heappush(self._heaps.setdefault(entry[3], []), entry)

    def entries(self) -> Iterator[Entry]:
        """Every entry, the stale ones included."""
        return (entry for heap in self._heaps.values() for entry in heap)

    def __len__(self) -> int:
        return sum(map(len, self._heaps.values()))
