"""The requests of this moment at the other gateways, for administrators, and for who asks after a request of their own.

A gateway says in its record whether a person looks (`looks`); while one does, the others write their requests into
theirs (`live`). So a look costs a heartbeat of each, and while no one looks nothing is written. What is to be ended
stands in the record of the gateway that was asked (`ends`), for some heartbeats: the gateway that serves it ends it,
and to hear it again changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, fields
from math import inf
from typing import Any

from keypool.live import LiveRequest
from server.store.base import GatewayRecord

LOOK_SECONDS = 15.0  # a page asks again every five
END_SECONDS = 5.0
PATIENCE = 3.5  # seconds: the look is heard with the next heartbeat, its answer is written with the one after
_FIELDS = frozenset(each.name for each in fields(LiveRequest))


class SharedRequests:
    """`mine` lists the requests of this gateway; `clock` is seconds, monotonic."""

    def __init__(self, me: str, mine: Callable[[], Sequence[LiveRequest]], clock: Callable[[], float]) -> None:
        self._me, self._mine, self._clock = me, mine, clock
        self._looked_at = -inf
        self._wanted = False
        self._found: dict[str, list[LiveRequest]] = {}  # by gateway
        self._silent: set[str] = set()  # gateways that have not said theirs
        self._ends: dict[str, float] = {}  # when it was wished, by request
        self._end: Callable[[str], object] = lambda _: False
        self._heartbeat = asyncio.Event()

    def ends_by(self, end: Callable[[str], object]) -> None:
        """How a request of this gateway is ended."""
        self._end = end

    def said(self) -> Mapping[str, Any]:
        """What this gateway's record says of it."""
        now = self._clock()
        self._ends = {each: at for each, at in self._ends.items() if now - at < END_SECONDS}
        live = {"live": [asdict(each) for each in self._mine()]} if self._wanted else {}
        return {"looks": now - self._looked_at < LOOK_SECONDS, "ends": sorted(self._ends), **live}

    def heard(self, alive: Sequence[GatewayRecord]) -> None:
        """All living gateways' records."""
        others = [each for each in alive if each.id != self._me]
        self._wanted = any(each.body.get("looks") for each in others)
        self._found = {each.id: [_read(one) for one in each.body["live"]] for each in others if "live" in each.body}
        self._silent = {each.id for each in others} - self._found.keys()
        for each in others:
            for request_id in each.body.get("ends", ()):
                self._end(str(request_id))
        self._heartbeat.set()
        self._heartbeat = asyncio.Event()

    def known(self) -> list[LiveRequest]:
        """The requests of the others, as far as they are known by now; the next look finds them all."""
        self._looked_at = self._clock()
        return [each for found in self._found.values() for each in found]

    async def all(self) -> list[LiveRequest]:
        """The requests of the others; waits for some heartbeats, where no one has looked for a while."""
        begun = self._looked_at = self._clock()
        while self._silent and (left := PATIENCE - (self._clock() - begun)) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._heartbeat.wait(), left)
        return self.known()

    def end(self, request_ids: Sequence[str]) -> int:
        """Wish for the end of those that the others serve; returns how many that are."""
        served = {each.id for each in self.known()}
        wished = [each for each in request_ids if each in served]
        self._ends |= dict.fromkeys(wished, self._clock())
        return len(wished)


def _read(said: Mapping[str, Any]) -> LiveRequest:
    """A request as a record says it, which another version may have written."""
    return LiveRequest(**{name: value for name, value in said.items() if name in _FIELDS})
