"""A store that is simulated: its verbs as they are promised, and gateways that cannot reach it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

from server.store.base import GatewayRecord, SharedDocument, StoreError

EPOCH = 1_800_000_000_000


@dataclass
class FakeStore:
    """The verbs of a store, as they are promised. `cut`: gateways that cannot reach it; `loses_answers`: documents are
    written, and no gateway hears so."""

    records: dict[str, GatewayRecord] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)
    documents: dict[str, SharedDocument] = field(default_factory=dict)
    loses_answers: bool = False

    async def beat(self, gateway: GatewayRecord) -> None:
        self.records[gateway.id] = gateway

    async def gateways(self) -> list[GatewayRecord]:
        return sorted(self.records.values(), key=lambda each: each.id)

    async def mark_gone(self, gateway: GatewayRecord, gone_at: int) -> bool:
        known = self.records.get(gateway.id)
        if known is None or known.beats != gateway.beats or known.gone_at is not None:
            return False
        self.records[gateway.id] = replace(known, gone_at=gone_at)
        return True

    async def forget_gateway(self, gateway_id: str) -> bool:
        return self.records.pop(gateway_id, None) is not None

    async def shared_documents(self) -> list[SharedDocument]:
        return sorted(self.documents.values(), key=lambda each: each.name)

    async def swap_shared(self, document: SharedDocument) -> bool:
        known = self.documents.get(document.name)
        if (0 if known is None else known.version) != document.version:
            return False
        body = json.loads(json.dumps(document.body))
        self.documents[document.name] = SharedDocument(document.name, document.version + 1, body)
        if self.loses_answers:
            raise StoreError("the answer was lost")
        return True


class Through:
    """One gateway's way to the store."""

    def __init__(self, store: FakeStore, gateway: str) -> None:
        self._store, self._gateway = store, gateway

    def __getattr__(self, verb: str) -> Any:
        async def ask(*arguments: Any) -> Any:
            if self._gateway in self._store.cut:
                raise StoreError("no route")
            return await getattr(self._store, verb)(*arguments)

        return ask
