"""Which fate a request meets: queues by key and model."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from tests.fakes.fates import Fate


class Script:
    """Queues of fates. The most particular one that is not empty decides; when there is none, `default` does."""

    def __init__(self, default: Fate) -> None:
        self.default = default
        self._queues: dict[tuple[str | None, str | None], deque[Fate]] = {}

    def add(self, key: str | None, model: str | None, fates: tuple[Fate, ...]) -> None:
        """Append fates for a key (None: any) and a model (None: any)."""
        self._queues.setdefault((key, model), deque()).extend(fates)

    def forget(self) -> None:
        """Empty all queues."""
        self._queues.clear()

    def take(self, key: str | None, model: str | None) -> Fate:
        """The fate of a request that does work; it is used up once."""
        queue = self._queue(key, model)
        if queue is None:
            return self.default
        fate = queue[0]
        if fate.left == 1:
            queue.popleft()
        elif fate.left is not None:
            queue[0] = replace(fate, left=fate.left - 1)
        return fate

    def peek(self, key: str | None, model: str | None) -> Fate:
        """The fate of a request that costs nothing; nothing is used up."""
        queue = self._queue(key, model)
        fate = queue[0] if queue else self.default
        return fate if fate.seen_by_probes else self.default

    def _queue(self, key: str | None, model: str | None) -> deque[Fate] | None:
        places = [(key, model), (key, None), (None, model), (None, None)]
        return next((queue for place in places if (queue := self._queues.get(place))), None)
