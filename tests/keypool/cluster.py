"""Several gateways on one store, in virtual time: what they write may be lost or late, and they may stop."""

from __future__ import annotations

from collections.abc import Mapping

from keypool.holding import DEAD, Proposal
from keypool.keys import Key
from keypool.pool import Pool
from keypool.shares import Shares
from keypool.sharing import Report, Sharing


class Documents:
    """A store: each document with its version, written if the version still stands."""

    def __init__(self) -> None:
        self.stored: dict[str, tuple[int, Shares]] = {}

    def swap(self, proposal: Proposal) -> bool:
        version, _ = self.stored.get(proposal.capacity, (0, Shares()))
        if version != proposal.version:
            return False
        self.stored[proposal.capacity] = (version + 1, Shares.of_json(proposal.shares.as_json()))
        return True


class Gateway:
    """One gateway: a pool, and its record."""

    def __init__(self, name: str, keys: list[Key]) -> None:
        self.name, self.pool = name, Pool(keys)
        self.sharing = Sharing(name, self.pool)
        self.report: Report | None = None
        self.sent = 0.0  # its last record

    def beat(self, documents: Documents, gateways: Mapping[str, Gateway], now: float) -> None:
        """One whole heartbeat with a store that does what it should."""
        self.report, self.sent = self.sharing.report(now), now
        living = {each.name: each.report for each in gateways.values() if each.report and now - each.sent < DEAD}
        active = {flow: [name for name, report in living.items() if flow in report.flows] for flow in self.report.flows}
        wall = int(now * 1000)
        self.sharing.split(active, now, wall)
        named = {name for _, shares in documents.stored.values() for name in shares.entries}
        claims = {name: report.claims for name, report in living.items()}
        beat = self.sharing.beat(dict(documents.stored), claims, named - living.keys(), now, now, wall)
        for proposal in beat.proposals:
            if documents.swap(proposal):
                self.sharing.written(proposal, now, now)
