"""Every gateway follows what was changed through another one, and forgets what it remembers of it.

Each second it asks the store for three numbers that grow with changes (`Versions`). Where one has grown, all that
depends on it is read anew or forgotten. A number is counted after its change. So what is read once the number is known
is no older than the change, however the clocks stand and in whatever order changes came. Where the change was made it
holds at once (`take_effect`); elsewhere within a second and the time of a question to the store.

    remembered by                                    for how long otherwise     forgotten when this has changed
    auth/tokens.TokenCheck: callers of tokens        TOKEN_CACHE_SECONDS        people
    auth/guest_passes.PassCheck: passes that stand   TOKEN_CACHE_SECONDS        people, book (they are records)
    auth/oidc/bearer.OidcBearer: callers             a minute                   people
    accounting/RuntimeConfig: limits, prices,        KEYS_POLL_SECONDS          book
      groups, notices, maintenance
    accounting/Counters: the limits of a caller      as long as the limits      book (a new set of limits)
    accounting/EscrowKeeper: escrow under a limit    a heartbeat                book (a lower limit ends it at the hold)
    keys/KeySync: added, removed, paused keys        KEYS_POLL_SECONDS          keys
    status/StatusSnapshot: the public page           a second                   any of them

Sessions, the makers of providers' objects and budgets are asked of the store each time. Figures, such as the sums of
today and the leaderboard, are as old as their own modules say: no one is let in or shut out by them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from server.store.base import StoreError, Versions
from server.store.patience import in_time

log = logging.getLogger("fairgate")

EVERY_SECONDS = 1.0
PATIENCE = 2.0  # seconds that the store may take for three numbers
NEVER = Versions(-1, -1, -1)


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is remembered: `keys` and `book` are read anew, `callers` and `pages` forgotten. None of them raises."""

    keys: Callable[[], Awaitable[object]]
    book: Callable[[], Awaitable[object]]
    callers: Callable[[], None]
    pages: Callable[[], None]


class ChangeFollower:
    """Follows the store's versions. `sleep` waits for seconds."""

    def __init__(
        self,
        versions: Callable[[], Awaitable[Versions]],
        remembered: Remembered,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._versions, self._remembered, self._sleep = versions, remembered, sleep
        self._seen: Versions | None = None
        self._looking = asyncio.Lock()  # who finds nothing new may rely on it that it has been carried out

    async def keep(self) -> None:
        """Look each second, until cancelled. One look that fails is not the last."""
        while True:
            await self._sleep(EVERY_SECONDS)
            try:
                await self.look()
            except StoreError:
                continue  # those who read the store for requests say so
            except Exception as error:
                log.error("following the changes of others failed: %s", type(error).__name__)

    async def look(self) -> None:
        """Carry out what has changed since the last time. Raises StoreError; then nothing is forgotten."""
        async with self._looking:
            await self._carry_out(await in_time(self._versions, PATIENCE))

    async def _carry_out(self, found: Versions) -> None:
        before, self._seen = self._seen or NEVER, found
        if (found.people, found.book) != (before.people, before.book):
            self._remembered.callers()
        if found.book != before.book:
            await self._remembered.book()
        if found.keys != before.keys:
            await self._remembered.keys()
        if found != before:
            self._remembered.pages()  # once a second at most: many readers share what is made for them

    async def take_effect(self) -> None:
        """Let what was changed here hold here at once."""
        self._remembered.callers()
        await self._remembered.book()
        await self._remembered.keys()
