"""Affinity: the key that served a conversation last.

A provider keeps the beginning of a conversation in a cache, per organisation, for some minutes; a request with the
same beginning costs a tenth for it and is answered sooner. So a conversation goes to the key that had it, if that key
can take it now. It is a preference and never a reason to wait.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

SECONDS = 300.0  # how long providers keep a prefix
CAPACITY = 50_000  # conversations that are remembered


@dataclass(frozen=True, slots=True)
class Home:
    """Where a conversation was served: by which key, in which capacity domain."""

    key: str
    domain: str


class Affinity:
    """Remembers the homes of the most recent conversations. A conversation is named by a digest, never by its text."""

    def __init__(self, seconds: float = SECONDS, capacity: int = CAPACITY) -> None:
        self._seconds, self._capacity = seconds, capacity
        self._homes: OrderedDict[bytes, tuple[Home, float]] = OrderedDict()

    def home(self, conversation: bytes, now: float) -> Home | None:
        found = self._homes.get(conversation)
        return found[0] if found is not None and now < found[1] else None

    def remember(self, conversation: bytes, home: Home, now: float) -> None:
        self._homes[conversation] = (home, now + self._seconds)
        self._homes.move_to_end(conversation)
        while self._homes and (len(self._homes) > self._capacity or next(iter(self._homes.values()))[1] <= now):
            self._homes.popitem(last=False)

    def __len__(self) -> int:
        return len(self._homes)
