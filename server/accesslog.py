"""One line for each request, written once a second: a write of its own for each would cost a quarter of the request.

A line holds what an operator needs and nothing that identifies a person or repeats what was sent: no query, no address,
no header, no body.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

INTERVAL = 1.0  # seconds between two writes
MOST = 10_000  # lines kept for one write; what is more is counted instead


class AccessLog:
    """Collects lines and hands them to `write` in batches."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._lines: list[str] = []
        self._dropped = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, line: str) -> None:
        if len(self._lines) >= MOST:
            self._dropped += 1
            return
        self._lines.append(line)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(INTERVAL, self.flush)

    def flush(self) -> None:
        """Write what was collected."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._dropped:
            self._lines.append(f"{self._dropped} more requests")
        if self._lines:
            self._write("\n".join(self._lines) + "\n")
        self._lines, self._dropped = [], 0
