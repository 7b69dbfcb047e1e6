"""The requests of all workers of this machine: whichever is asked ends or explains what another one serves."""

from __future__ import annotations

from collections.abc import Sequence

from server.dispatching import JSON, Peers
from server.relay.pipeline import Pipeline
from server.store.base import Caller
from server.wire.errors import PoolAway

CANCEL, EXPLAIN = "cancel", "explain"


class Everywhere:
    """`peers` are the workers; without others, this one alone."""

    def __init__(self, pipeline: Pipeline, peers: Peers) -> None:
        self._pipeline, self._peers = pipeline, peers
        peers.answers(CANCEL, self._cancel)
        peers.answers(EXPLAIN, self._explain)

    async def cancel(self, request_ids: Sequence[str]) -> int:
        """End these requests for an administrator; returns how many were still there."""
        return sum(each or 0 for each in await self._ask(CANCEL, list(request_ids)))

    async def explain(self, caller: Caller, request_id: str) -> JSON:
        """The trace of a request of this caller's as JSON; None if there was none. Raises StoreError."""
        trace = self._pipeline.trace(request_id, caller.person_id)
        if trace is None:
            for found in await self._ask(EXPLAIN, [caller.person_id, request_id]):
                if found is not None:
                    return found
            trace = await self._pipeline.explain(caller, request_id)
        return None if trace is None else trace.as_dict()

    async def _ask(self, what: str, argument: JSON) -> list[JSON]:
        """The answers of all workers; while the pool process is away, of this one alone."""
        try:
            return await self._peers.ask(what, argument)
        except PoolAway:
            return [await (self._cancel if what == CANCEL else self._explain)(argument)]

    async def _cancel(self, request_ids: JSON) -> JSON:
        return sum(self._pipeline.cancel(each) for each in request_ids)

    async def _explain(self, argument: JSON) -> JSON:
        person_id, request_id = argument
        trace = self._pipeline.trace(request_id, person_id)
        return None if trace is None else trace.as_dict()
