"""Connections that wait for their next request, within bounds. It does no I/O and asks no clock."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

C = TypeVar("C", bound=Hashable)  # a connection
MOST_EACH, MOST = 256, 2048  # for one place, and in all


class KeptConnections(Generic[C]):
    """By the place that they lead to; the one that was used last is taken first, and the others grow old.

    `seconds`: how long one is kept. `now` is monotonic seconds.
    """

    def __init__(self, seconds: float, most_each: int = MOST_EACH, most: int = MOST) -> None:
        self._seconds, self._most_each, self._most = seconds, most_each, most
        self._places: dict[Hashable, dict[C, float]] = {}  # each with the instant at which it is too old
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def keep(self, place: Hashable, connection: C, now: float, seconds: float | None = None) -> bool:
        """Keep one; False if there are enough. `seconds`: what its server says it keeps it."""
        if self._size >= self._most or len(self._places.get(place, ())) >= self._most_each:
            return False
        self._places.setdefault(place, {})[connection] = now + min(
            self._seconds, self._seconds if seconds is None else seconds
        )
        self._size += 1
        return True

    def take(self, place: Hashable) -> C | None:
        """The one that was kept last, or None."""
        here = self._places.get(place)
        if not here:
            return None
        connection, _ = here.popitem()
        self._size -= 1
        if not here:
            del self._places[place]
        return connection

    def expired(self, now: float) -> list[C]:
        """Those that are too old; they are not kept any more."""
        return self._remove(now)

    def all(self) -> list[C]:
        """All of them; none is kept any more."""
        return self._remove(float("inf"))

    def _remove(self, until: float) -> list[C]:
        found = list(self._due(until))
        for place, connection in found:
            del self._places[place][connection]
            if not self._places[place]:
                del self._places[place]
        self._size -= len(found)
        return [connection for _, connection in found]

    def _due(self, until: float) -> Iterator[tuple[Hashable, C]]:
        return ((place, each) for place, here in self._places.items() for each, due in here.items() if due <= until)
