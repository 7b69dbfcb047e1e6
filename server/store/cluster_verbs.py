"""The verbs of a store about the gateways that work on it, and about what they share. The rules of `base` hold.

A gateway's record is written by this gateway alone, whole, once a second. A shared document is written by all of them,
each on the condition that it is as it was read: of two that write at once, one is refused and reads again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol


class Versions(NamedTuple):
    """Numbers that grow with every change of what they count, and not before it."""

    keys: int  # added keys and wishes
    book: int  # the operator's records
    people: int  # what decides whether a person or a token is let in, and what for


@dataclass(frozen=True, slots=True)
class GatewayRecord:
    """One life of one gateway. `body` is JSON. `gone_at` (UTC ms): since then the others count it as dead."""

    id: str
    beats: int  # grows with each heartbeat
    body: Mapping[str, Any]
    gone_at: int | None = None


@dataclass(frozen=True, slots=True)
class SharedDocument:
    """A document by its name. `version` is 0 where there is none yet; `body` is a JSON object."""

    name: str
    version: int
    body: Mapping[str, Any]


class ClusterVerbs(Protocol):
    """Gateways and what they share."""

    async def beat(self, gateway: GatewayRecord) -> None:
        """Write a gateway's record in place of its earlier one."""

    async def gateways(self) -> list[GatewayRecord]:
        """All records, by their ids."""

    async def mark_gone(self, gateway: GatewayRecord, gone_at: int) -> bool:
        """Count a gateway as dead. True for one caller: False if it has beaten since, or counts as dead already."""

    async def forget_gateway(self, gateway_id: str) -> bool:
        """Remove a record; False if there is none."""

    async def shared_documents(self) -> list[SharedDocument]:
        """All shared documents, by their names."""

    async def swap_shared(self, document: SharedDocument) -> bool:
        """Write this body if the document still has this version, and count the version; else False."""

    async def versions(self) -> Versions:
        """All versions with one question; cheap enough to be asked every second."""
