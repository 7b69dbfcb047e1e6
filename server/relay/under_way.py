"""The requests that were dispatched and are not settled yet, and what their answers have made so far.

A client may name an object that its provider keeps before the answer that it came with is on the ledger.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from server.relay.context import RequestContext
from server.store.base import IssuedObject


@dataclass(slots=True)
class UnderWay:
    """`stateful`: providers may keep answers for those who made them. `wall` is UTC milliseconds."""

    stateful: bool
    wall: Callable[[], int]
    contexts: dict[str, RequestContext] = field(default_factory=dict)  # by the request's id

    def makers(self, references: set[str]) -> dict[str, IssuedObject]:
        """The makers of these objects, as far as they are of answers that are not settled yet."""
        return {
            each: IssuedObject(context.call.caller.person_id, context.lease.key.id, self.wall())
            for context in self.contexts.values()
            for each in context.kept(stateful=self.stateful)
            if each in references
        }
