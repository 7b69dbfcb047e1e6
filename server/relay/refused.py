"""Records refused requests, for those who made them: behind the answers, and a few at a time.

A refusal costs its caller nothing but an entry in memory. Every few seconds what has changed is written; while the
store is away it waits. A token that does not count says by itself whose it is, so it is looked up once more, behind the
answer: of what is presented only the digest is kept for so long.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import NamedTuple, Self

from server.auth.accounts import presented_credential
from server.auth.tokens import TokenCheck
from server.ledger.refused import RefusedRequest, RefusedTally
from server.store.base import Store, StoreError
from server.wire.errors import AccountingUnavailable

WRITE_SECONDS = 5.0
MOST_UNKNOWN = 100  # credentials that are looked up in that time; of further ones nothing is recorded


class _Unknown(NamedTuple):
    """A refused request whose credential did not count."""

    digest: bytes
    address: str
    refused: RefusedRequest


class RefusedRequests:
    """`check` knows whose a token is that does not count."""

    def __init__(self, store: Store, check: TokenCheck) -> None:
        self._store, self._check = store, check
        self._tally = RefusedTally()
        self._unknown: list[_Unknown] = []

    def note(self, refused: RefusedRequest) -> None:
        """A caller's request has been refused."""
        self._tally.note(refused)

    def note_unknown(
        self, authorization: str | None, api_key: str | None, address: str, refused: RefusedRequest
    ) -> None:
        """A request has been refused whose credential did not count. Whose it is is not known yet."""
        presented = presented_credential(authorization, api_key)
        if presented is not None and len(self._unknown) < MOST_UNKNOWN:
            self._unknown.append(_Unknown(self._check.digest(presented), address, refused))

    def begun(self, stack: AsyncExitStack) -> Self:
        """Write from now on, and once more when the stack is taken down."""
        stack.push_async_callback(self.write)
        stack.push_async_callback(_end, asyncio.create_task(self._keep()))
        return self

    async def _keep(self) -> None:
        """Write what has changed, every few seconds until cancelled."""
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            await self.write()

    async def write(self) -> None:
        """Write what has changed. While the store is away it waits."""
        try:
            while self._unknown:
                await self._recognise(self._unknown[0])
                del self._unknown[0]
        except (StoreError, AccountingUnavailable):
            return
        if not (unwritten := self._tally.taken()):
            return
        try:
            await self._store.put_refused(unwritten)
        except StoreError:
            self._tally.put_back(unwritten)

    async def _recognise(self, unknown: _Unknown) -> None:
        found = await self._check.why_refused(unknown.digest, unknown.address)
        if found is not None:
            caller, why = found
            self._tally.note(replace(unknown.refused, person_id=caller.person_id, token_id=caller.token_id, detail=why))


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
