"""What the workers of a machine see of the other gateways on their store, which the pool process hears."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from keypool.live import LiveRequest
from server.workers.codec import JSON


class Beyond(Protocol):
    """The other gateways on the store, where there are any."""

    def known(self) -> list[LiveRequest]:
        """Their requests of this moment, as far as they are known by now; the next look finds them all."""

    def load(self) -> JSON:
        """What they have to do, by model: requests that run and that wait, and slots."""

    def end(self, request_ids: Sequence[str]) -> int:
        """Wish for the end of those that they serve; returns how many that are."""


class Alone:
    """No other gateway."""

    def known(self) -> list[LiveRequest]:
        return []

    def load(self) -> JSON:
        return {}

    def end(self, request_ids: Sequence[str]) -> int:
        return 0
