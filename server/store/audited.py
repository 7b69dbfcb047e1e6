"""The one step of every change that a person can make: the writes, and the entry that names their maker, together.

The commands of administrators go through it (`server.admin`), and so do people who come in by themselves: by a login,
by a name that a trusted proxy vouches for, at the first start.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from server.store.acts import Act
from server.store.base import Audit, Store

Body = Mapping[str, Any]

GATEWAY = "gateway"  # the actor where no person asked


class AuditedStore:
    """`wall` gives UTC milliseconds, `new_id` an id never used."""

    def __init__(self, store: Store, wall: Callable[[], int], new_id: Callable[[], str] | None = None) -> None:
        self._store, self._wall = store, wall
        self._new_id = new_id or (lambda: f"aud_{secrets.token_hex(8)}")

    async def change(
        self, actor: str, action: str, target: str, before: Body | None, after: Body | None, *acts: Act
    ) -> None:
        """Make a change and note it: both or neither. Raises what `Store.change` raises."""
        await self._store.change(Audit(self._new_id(), self._wall(), actor, action, target, before, after), acts)
