"""What one gateway has found out about keys and limits, all know with the next heartbeat (`keypool/news.py`).

A gateway's record carries all that it knows, as long as that is little; else what it has found out lately. Hearing the
same again changes nothing, so no gateway has to remember what it has heard: only a record that says the same as at the
last heartbeat is not read again.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from server.cluster.capacity import RunningPool
from server.store.base import GatewayRecord

log = logging.getLogger("fairgate")

MOST = 500  # items in a record, if not more are new
LATELY = 30  # heartbeats


class SharedNews:
    """A part of the heartbeat. `clock` is seconds, monotonic, `wall` UTC milliseconds."""

    def __init__(self, me: str, running: RunningPool, clock: Callable[[], float], wall: Callable[[], int]) -> None:
        self._me, self._running, self._clock, self._wall = me, running, clock, wall
        self._numbers: deque[int] = deque([0], LATELY)  # of the last heartbeats
        self._heard: dict[str, object] = {}  # by gateway: what its record said at the last heartbeat
        self._unreadable: set[str] = set()

    def said(self) -> Mapping[str, Any]:
        """What the others should know."""
        news, now, wall = self._running.pool.news, self._clock(), self._wall()
        number, items = news.since(0, now, wall)
        if len(items) > MOST:
            number, items = news.since(self._numbers[0], now, wall)
        self._numbers.append(number)
        return {"news": items}

    async def look(self) -> None:
        """Nothing is read."""

    async def heard(self, alive: Sequence[GatewayRecord], since: float) -> None:
        """Learn what the others have found out."""
        said = {each.id: each.body.get("news", []) for each in alive if each.id != self._me}
        for gateway, items in said.items():
            if self._heard.get(gateway) != items:
                self._hear(gateway, items)
        self._heard = dict(said)

    async def leave(self) -> None:
        """Nothing is held."""

    def _hear(self, gateway: str, items: Any) -> None:
        try:
            decisions = self._running.pool.hear(items, self._clock(), self._wall())
        except (IndexError, TypeError, ValueError):
            if gateway not in self._unreadable:
                log.warning("what gateway %s has found out cannot be read: it is of another version", gateway)
            self._unreadable.add(gateway)
            return
        self._running.carry_out(decisions)
