"""The operator's price file while the gateway runs: read again when it changes.

A file that has a mistake changes nothing: the prices of before stay, and readiness carries a warning until it is
mended. A typing error must neither stop a gateway nor make its models free.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from server.accounting.price_file import read_prices
from server.accounting.runtime_config import RuntimeConfig
from server.ledger.prices import Price

log = logging.getLogger("fairgate")

EVERY_SECONDS = 2.0


class PriceReload:
    """`path` None is no file. `always` are prices that hold beside those of the file."""

    def __init__(self, path: Path | None, always: Sequence[Price], book: RuntimeConfig) -> None:
        self._path, self._always, self._book = path, tuple(always), book
        self._seen: tuple[int, int] | None = None
        self._logged: list[str] = []  # mistakes; a file that is not there is looked for again and again
        self.warnings: list[str] = []

    def look(self) -> None:
        """Read the file if it has changed since the last look."""
        state = self._state()
        if self._path is None or (state is not None and state == self._seen):
            return
        self._seen = state
        prices, mistakes = read_prices(self._path)
        if mistakes and mistakes != self._logged:
            log.error("the price file is not used as it is now: %s", "; ".join(mistakes))
        self._logged = mistakes
        if mistakes:
            self.warnings = [f"the price file has {len(mistakes)} mistake(s), so the prices of before stay"]
        else:
            self.warnings = []
            self._book.use_prices((*self._always, *prices))

    async def follow(self) -> None:
        """Look every few seconds, until cancelled."""
        while self._path is not None:
            await asyncio.sleep(EVERY_SECONDS)
            self.look()

    def _state(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat() if self._path is not None else None
        except OSError:
            return None
        return None if status is None else (status.st_mtime_ns, status.st_size)
