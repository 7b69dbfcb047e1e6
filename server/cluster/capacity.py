"""What providers grant once is divided among the gateways: the documents and records that `keypool.sharing` decides by.

At each heartbeat this gateway says what it claims, and which flows are active here: by digests under a key of the
installation, since the store need not know who waits. It reads the documents before the records. So an entry whose
gateway has no record belongs to one that is dead or has left, never to one that has just come.

A document is written only as it was read. What shrinks is used less before that is written, what grows is used when it
is known to be written; of an answer that was lost, the next heartbeat shows what became. While the store is away,
nothing of this happens, and the parts stay as they are, for as long as their lease says.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from keypool.holding import Proposal
from keypool.messages import Decision
from keypool.pool import Pool
from keypool.shares import Shares
from keypool.sharing import Sharing
from keypool.targets import Claim
from server.store.base import GatewayRecord, SharedDocument

log = logging.getLogger("fairgate")

DIGEST_BYTES = 6  # of a flow's name: two of ten thousand flows are the same once in five million installations


class DocumentStore(Protocol):
    """The part of a store that is needed here. All verbs raise StoreError."""

    def shared_documents(self) -> Awaitable[list[SharedDocument]]: ...

    def swap_shared(self, document: SharedDocument) -> Awaitable[bool]: ...


class RunningPool(Protocol):
    """The pool, and what carries its decisions out."""

    pool: Pool

    def carry_out(self, decisions: Iterable[Decision]) -> None: ...


class SharedCapacity:
    """A part of the heartbeat. From its construction on, the pool serves nothing that it has no part of.

    `secret` is known to all gateways of the installation and to no one else. `clock` is seconds, monotonic, `wall` UTC
    milliseconds.
    """

    def __init__(
        self,
        store: DocumentStore,
        me: str,
        running: RunningPool,
        secret: bytes,
        clock: Callable[[], float],
        wall: Callable[[], int],
    ) -> None:
        self._store, self._me, self._running, self._secret = store, me, running, secret
        self._clock, self._wall = clock, wall
        self._sharing = Sharing(me, running.pool)
        self._digests: dict[str, str] = {}  # by the names of the flows that are active here
        self._documents: dict[str, tuple[int, Shares]] = {}
        self._unreadable: set[str] = set()

    def said(self) -> Mapping[str, Any]:
        """What this gateway claims, and who is active here."""
        report = self._sharing.report(self._clock())
        self._digests = {name: self._digests.get(name) or self._digest(name) for name in report.flows}
        claims = {name: list(claim) for name, claim in report.claims.items()}
        return {"claims": claims, "flows": sorted(self._digests.values())}

    async def look(self) -> None:
        """Read the documents. Raises StoreError."""
        found = {each.name: self._read(each) for each in await self._store.shared_documents()}
        self._documents = {name: document for name, document in found.items() if document is not None}

    async def heard(self, alive: Sequence[GatewayRecord], since: float) -> None:
        """Take and give what follows from all records; `since` is before the own one was sent. Raises StoreError."""
        now, wall = self._clock(), self._wall()
        living = {each.id for each in alive}
        gone = {name for _, shares in self._documents.values() for name in shares.entries if name not in living}
        claims = {each.id: _claims(each.body) for each in alive}
        self._running.carry_out(self._sharing.split(self._spread(alive), now, wall))
        beat = self._sharing.beat(self._documents, claims, gone, since, now, wall)
        self._running.carry_out(beat.decisions)
        await asyncio.gather(*(self._write(proposal, since) for proposal in beat.proposals))

    async def leave(self) -> None:
        """Give back all that this gateway had. Raises StoreError."""
        await self.look()
        proposals = self._sharing.leave(self._documents, self._clock(), self._wall())
        await asyncio.gather(*map(self._swap, proposals))

    def _spread(self, alive: Iterable[GatewayRecord]) -> dict[str, list[str]]:
        """By each flow that is active here, the gateways where it is active."""
        active: dict[str, list[str]] = {digest: [] for digest in self._digests.values()}
        for each in alive:
            for digest in each.body.get("flows", ()):
                if digest in active:
                    active[digest].append(each.id)
        return {name: active[digest] for name, digest in self._digests.items()}

    async def _write(self, proposal: Proposal, since: float) -> None:
        if await self._swap(proposal):
            self._running.carry_out(self._sharing.written(proposal, since, self._clock()))

    async def _swap(self, proposal: Proposal) -> bool:
        body = proposal.shares.as_json()
        return await self._store.swap_shared(SharedDocument(proposal.capacity, proposal.version, body))

    def _read(self, document: SharedDocument) -> tuple[int, Shares] | None:
        try:
            return document.version, Shares.of_json(document.body)
        except (KeyError, TypeError, ValueError):
            if document.name not in self._unreadable:
                log.error("a document about shared capacity cannot be read: no gateway of this version uses its keys")
            self._unreadable.add(document.name)
            return None

    def _digest(self, name: str) -> str:
        digest = hmac.digest(self._secret, name.encode("utf-8", "surrogatepass"), "sha256")
        return base64.urlsafe_b64encode(digest[:DIGEST_BYTES]).decode()


def _claims(body: Mapping[str, Any]) -> dict[str, Claim]:
    """The claims of a record. Those that cannot be read, of another version, are none: its parts stay as they are."""
    try:
        return {str(name): Claim(float(it[0]), int(it[1]), int(it[2])) for name, it in body.get("claims", {}).items()}
    except (AttributeError, IndexError, TypeError, ValueError):
        return {}
