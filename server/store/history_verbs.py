"""The verbs of a store about what has been: hours by model, and incidents. The rules at the top of `base` hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from server.ledger.history import HourRow
from server.policy.incidents import Incident


class HistoryVerbs(Protocol):
    """Statistics. Nothing in them belongs to a person, and no bill is made of them."""

    async def put_hours(self, writer: str, rows: Sequence[HourRow]) -> None:
        """Write one gateway's rows; its earlier ones of the same hours and models are replaced."""

    async def hours(self, first: int, last: int) -> list[HourRow]:
        """The rows of the hours that begin from `first` to `last`, both inclusive; one for each hour, model and writer,
        by hour and model."""

    async def put_incidents(self, incidents: Sequence[Incident]) -> None:
        """Write incidents; earlier ones of the same ids are replaced."""

    async def incidents(self, since: int) -> list[Incident]:
        """Those that were seen at `since` or later, by their beginnings."""

    async def forget_history(self, before: int) -> int:
        """Forget hours and incidents that ended before; returns how many rows that were."""
