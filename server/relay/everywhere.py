"""The requests of all workers of this machine and of all gateways: whichever is asked shows, ends or explains them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from keypool.live import MOST, LiveRequest
from server.cluster.requests import SharedRequests
from server.dispatching import CANCEL, END, JSON, Dispatching, Peers
from server.relay.context import RequestTrace, milliseconds
from server.relay.pipeline import Pipeline
from server.store.base import Caller
from server.wire.errors import PoolAway

EXPLAIN = "explain"
OURS = re.compile("req_[0-9a-f]{24}")  # the ids that gateways give


class Everywhere:
    """`peers` are the workers; without others, this one alone. `beyond`: the other gateways, if there can be any."""

    def __init__(
        self,
        pipeline: Pipeline,
        peers: Peers,
        dispatcher: Dispatching,
        wall: Callable[[], int],
        beyond: SharedRequests | None = None,
    ) -> None:
        self._pipeline, self._peers, self._dispatcher, self._wall = pipeline, peers, dispatcher, wall
        self._beyond = beyond
        peers.answers(CANCEL, self._cancel)
        peers.answers(EXPLAIN, self._explain)
        peers.hears(END, self._end)
        if beyond is not None:
            beyond.ends_by(pipeline.cancel)

    async def live(self) -> list[LiveRequest]:
        """All requests of this moment; of other gateways at most `MOST` each, and they may take some seconds."""
        return [*await self._dispatcher.live(10**6), *(await self._beyond.all() if self._beyond is not None else ())]

    async def seen(self) -> list[LiveRequest]:
        """At most `MOST` for a page that asks again soon: it waits for no other gateway."""
        return [*await self._dispatcher.live(), *(self._beyond.known() if self._beyond is not None else ())][:MOST]

    async def cancel(self, request_ids: Sequence[str]) -> int:
        """End these requests for an administrator; returns how many were still there."""
        ended: int = sum(each or 0 for each in await self._ask(CANCEL, list(request_ids)))
        return ended + (self._beyond.end(request_ids) if self._beyond is not None else 0)

    async def explain(self, caller: Caller, request_id: str) -> JSON:
        """The trace of a request of this caller's as JSON; None if there was none. Raises StoreError."""
        trace = self._pipeline.trace(request_id, caller.person_id)
        if trace is None:
            for found in await self._ask(EXPLAIN, [caller.person_id, request_id]):
                if found is not None:
                    return found
            trace = await self._pipeline.explain(caller, request_id) or await self._elsewhere(caller, request_id)
        return None if trace is None else trace.as_dict()

    async def _elsewhere(self, caller: Caller, request_id: str) -> RequestTrace | None:
        """The trace of a request that another gateway serves now."""
        if self._beyond is None or not OURS.fullmatch(request_id):
            return None
        theirs = (each for each in await self._beyond.all() if each.person == caller.person_id)
        found = next((each for each in theirs if each.id == request_id), None)
        if found is None:
            return None
        queued, arrived = milliseconds(found.waited), self._wall() - milliseconds(found.waited + found.running)
        place = found.position, milliseconds(found.expected)
        done = None if found.key is None else queued
        return RequestTrace(found.id, found.person, found.model, arrived, found.state, *place, queue_ms=done)

    async def _ask(self, what: str, argument: JSON) -> list[JSON]:
        """The answers of all workers; while the pool process is away, of this one alone."""
        try:
            return await self._peers.ask(what, argument)
        except PoolAway:
            return [await (self._cancel if what == CANCEL else self._explain)(argument)]

    def _end(self, request_id: str) -> None:
        self._pipeline.cancel(request_id)

    async def _cancel(self, request_ids: JSON) -> JSON:
        return sum(self._pipeline.cancel(each) for each in request_ids)

    async def _explain(self, argument: JSON) -> JSON:
        person_id, request_id = argument
        trace = self._pipeline.trace(request_id, person_id)
        return None if trace is None else trace.as_dict()
