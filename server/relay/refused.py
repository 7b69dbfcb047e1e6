"""Records refused requests, for those who made them: behind the answers, and a few at a time.

A refusal costs its caller nothing but an entry in memory. Every few seconds what has changed is written; while the
store is away it waits. A token that does not count says by itself whose it is, so it is looked up once more, behind the
answer: of what is presented only the digest is kept for so long. Each address has a few of these look-ups, so that one
who invents tokens takes none from the others; a token that is presented again and again is looked up once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import NamedTuple, Self

from server.auth.accounts import presented_credential
from server.auth.tokens import TokenCheck
from server.ledger.refused import RefusedRequest, RefusedTally
from server.store.base import Store, StoreError
from server.tasks import run_until_closed
from server.wire.errors import AccountingUnavailable

log = logging.getLogger("fairgate")

WRITE_SECONDS = 5.0
# Credentials that are looked up in that time, of one address and of all; of further ones nothing is recorded.
MOST_OF_ADDRESS, MOST_UNKNOWN = 5, 200


class _Unknown(NamedTuple):
    """Refused requests whose credential did not count: of one address, and with one credential."""

    address: str
    refused: RefusedRequest


class RefusedRequests:
    """`check` knows whose a token is that does not count."""

    def __init__(self, store: Store, check: TokenCheck) -> None:
        self._store, self._check = store, check
        self._tally = RefusedTally()
        self._unknown: dict[bytes, _Unknown] = {}  # by the credential's digest
        self._looked_up: Counter[str] = Counter()  # of each address since the last time
        self._writing = asyncio.Lock()  # the timer and each page that is opened ask for it

    def note(self, refused: RefusedRequest) -> None:
        """A caller's request has been refused."""
        self._tally.note(refused)

    def note_unknown(
        self, authorization: str | None, api_key: str | None, address: str, refused: RefusedRequest
    ) -> None:
        """A request has been refused whose credential did not count. Whose it is is not known yet."""
        presented = presented_credential(authorization, api_key)
        if presented is None:
            return
        digest = self._check.digest(presented)
        if (known := self._unknown.get(digest)) is not None:
            again = replace(known.refused, count=known.refused.count + 1, last_at=refused.last_at)
            self._unknown[digest] = known._replace(refused=again)
        elif (
            max(len(self._unknown), self._looked_up.total()) < MOST_UNKNOWN
            and self._looked_up[address] < MOST_OF_ADDRESS
        ):
            self._looked_up[address] += 1
            self._unknown[digest] = _Unknown(address, refused)

    def forget(self, person_id: str) -> None:
        """Forget what is not written yet of a person who is erased."""
        self._tally.forget(person_id)

    def begun(self, stack: AsyncExitStack) -> Self:
        """Write from now on, and once more when the stack is taken down."""
        stack.push_async_callback(self.write)
        run_until_closed(stack, self._keep())
        return self

    async def _keep(self) -> None:
        """Write what has changed, every few seconds until cancelled."""
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            self._looked_up.clear()
            try:
                await self.write()
            except Exception as error:  # the next ones are to be written all the same
                log.error("refused requests were not written: %s", type(error).__name__)

    async def write(self) -> None:
        """Write what has changed. While the store is away it waits."""
        async with self._writing:
            await self._write()

    async def _write(self) -> None:
        try:
            for digest in list(self._unknown):  # not those that come meanwhile: a page waits for this
                await self._recognise(digest)
        except (StoreError, AccountingUnavailable):
            return
        if not (unwritten := self._tally.taken()):
            return
        written = False
        try:
            await self._store.put_refused(unwritten)
            written = True
        except StoreError:
            pass
        finally:
            if not written:  # also where the gateway stops meanwhile
                self._tally.put_back(unwritten)

    async def _recognise(self, digest: bytes) -> None:
        found = await self._check.why_refused(digest, self._unknown[digest].address)
        refused = self._unknown.pop(digest).refused
        if found is not None:
            caller, why = found
            self._tally.note(replace(refused, person_id=caller.person_id, token_id=caller.token_id, detail=why))
