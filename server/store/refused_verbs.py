"""The verbs of a store about requests that were refused. The rules at the top of `base` hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from server.ledger.refused import RefusedRequest
from server.ledger.reports import Cursor, Which


class RefusedVerbs(Protocol):
    """Nothing was sent and nothing is billed: these only say why. A cursor is (first_at, request_id)."""

    async def put_refused(self, refused: Sequence[RefusedRequest]) -> None:
        """Write refusals; earlier records of the same ids are replaced."""

    async def refused_before(self, which: Which, cursor: Cursor | None, limit: int) -> list[RefusedRequest]:
        """So many behind the cursor, the newest first. The group, the status and the key of `which` count for nothing:
        a refused request has none."""

    async def refused_request(self, request_id: str) -> RefusedRequest | None:
        """The refusal of this id; None if there is none."""

    async def forget_refused(self, before: int) -> int:
        """Forget those that began before; returns how many."""

    async def forget_refused_of(self, person_id: str) -> int:
        """Forget those of a person; returns how many."""
