"""One gateway among many: what it says of itself at each heartbeat, and what it does when it hears of the others.

The server carries this through the store. At each heartbeat, in this order:

    report      what this gateway says in its record: claims, and the flows that are active here
    beat        with all records and documents: the parts to use, and the documents to write, each if its version stands
    written     for each document that is known to be written; of the others the next heartbeat shows what became

Nothing here asks whether the store can be reached: while it cannot, nothing of this is called, the parts stay as they
are, and their lease ends by itself (`holding.py`). Times: `now` seconds, monotonic; `wall` UTC milliseconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable, Mapping
from math import inf
from typing import NamedTuple

from keypool.activity import weights
from keypool.holding import LEASE, Holding, Load, Others, Proposal
from keypool.messages import Decision
from keypool.pool import Pool
from keypool.shares import WHOLE, Capacity, Part, Shares, leave
from keypool.targets import Claim
from keypool.ticket import Spread

TURN = 10_000  # milliseconds for which the gateways hold the slots, and parts of caps, that do not divide evenly
LOOK_BACK = 10  # heartbeats: a gateway wants what it has needed in these
AMPLE = 2.0  # times what it has used, where nothing waits


class Report(NamedTuple):
    """What a gateway says of itself: a claim for each capacity, and the names of its active flows."""

    claims: Mapping[str, Claim]
    flows: frozenset[str]


class Beat(NamedTuple):
    """What follows from a heartbeat: documents to write, and the pool's decisions to carry out."""

    proposals: list[Proposal]
    decisions: list[Decision]


class Needs:
    """What a gateway has needed of one capacity in the last heartbeats."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, Load]] = deque(maxlen=LOOK_BACK)

    def claim(self, load: Load, weight: float, now: float) -> Claim:
        """The claim that follows."""
        self._seen.append((now, load))
        if any(each.waits for _, each in self._seen):
            return Claim(weight)
        running = max(each.running for _, each in self._seen)
        return Claim(weight, min(WHOLE, round(AMPLE * self._used() * WHOLE)), running + max(1, running // 2))

    def _used(self) -> float:
        """Of the limit that is used most, the share that is used at this pace."""
        (start, first), (end, last) = self._seen[0], self._seen[-1]
        if end <= start:
            return 1.0
        return max(
            (
                (sent - first.sent.get(name, 0.0)) / (end - start) * last.capacity.limits[name].period
                for name, sent in last.sent.items()
            ),
            default=0.0,
        )


class Sharing:
    """This gateway's side of every capacity."""

    def __init__(self, me: str, pool: Pool) -> None:
        self.me, self._pool = me, pool
        self._holdings: dict[str, Holding] = {}
        self._needs: dict[str, Needs] = {}
        self._spreads: Mapping[str, Spread] = {}
        self._since, self._living = -inf, 1
        pool.keyring.divide()

    def report(self, now: float) -> Report:
        """What this gateway says of itself now."""
        activity, loads = self._pool.activity.look(now), self._pool.activity.loads(now)
        weight = weights(activity, self._spreads)
        self._needs = {name: self._needs.get(name) or Needs() for name in loads}
        claims = {name: self._needs[name].claim(load, weight.get(name, 0.0), now) for name, load in loads.items()}
        return Report(claims, frozenset(activity))

    def split(self, active: Mapping[str, Iterable[str]], now: float, wall: int) -> list[Decision]:
        """Divide the flows that are active elsewhere, too. `active`: the gateways where each of mine is active."""
        spreads = {}
        for name, gateways in active.items():
            ordered = sorted({*gateways, self.me})
            if len(ordered) > 1:
                spreads[name] = Spread(len(ordered), ordered.index(self.me), wall // TURN)
        self._spreads = spreads
        return self._pool.split(spreads, now)

    def beat(
        self,
        documents: Mapping[str, tuple[int, Shares]],
        claims: Mapping[str, Mapping[str, Claim]],
        gone: Container[str],
        since: float,
        now: float,
        wall: int,
    ) -> Beat:
        """Look at all documents, by capacity, with their versions.

        `claims` are those of all gateways that live, by gateway, mine among them; `gone` the gateways that are dead.
        `since`: the instant before the last of my own heartbeats that is known to be written was sent.
        """
        if now > since + LEASE:
            return Beat([], [])  # the others may not know of this gateway
        lapsed, self._since, self._living = now > self._since + LEASE, since, len(claims)
        parts: dict[str, Part] = {}
        proposals: list[Proposal] = []
        for name, load in self._pool.activity.loads(now).items():
            version, shares = documents.get(name, (0, Shares()))
            holding = self._holdings.get(name) or self._holdings.setdefault(name, Holding(self.me, name))
            mine = {gateway: each[name] for gateway, each in claims.items() if name in each}
            others = Others({self.me: Claim(), **mine}, gone, wall // TURN)
            part, proposal = holding.beat(version, shares, others, load, wall, lapsed=lapsed)
            parts[name] = part._replace(until=self._until(holding, since))
            proposals += [proposal] if proposal is not None else []
        return Beat(proposals + self._left(documents, parts, wall), self._pool.share(parts, now))

    def written(self, proposal: Proposal, since: float, now: float) -> list[Decision]:
        """A document is known to be written."""
        if proposal.capacity not in self._holdings:
            return []
        holding = self._holdings[proposal.capacity]
        part = holding.written()
        return self._pool.share({proposal.capacity: part._replace(until=self._until(holding, since))}, now)

    def leave(self, documents: Mapping[str, tuple[int, Shares]], now: float, wall: int) -> list[Proposal]:
        """This gateway sends nothing more: what it had is for the others."""
        loads, found = self._pool.activity.loads(now), []
        for name, (version, shares) in documents.items():
            if self.me in shares.entries and name in loads:
                after = leave(shares, self.me, loads[name].levels, loads[name].capacity, wall)
                found.append(Proposal(name, version, after))
        self._pool.share(dict.fromkeys(loads, Part(0, 0, None)), now)
        return found

    def _until(self, holding: Holding, since: float) -> float:
        """How long a part is certain."""
        if not holding.certain:
            return -inf
        return inf if self._living == 1 else since + LEASE

    def _left(self, documents: Mapping[str, tuple[int, Shares]], loads: Container[str], wall: int) -> list[Proposal]:
        """Give up what is here no more: its key or its models are gone."""
        found = []
        for name, (version, shares) in documents.items():
            if self.me in shares.entries and name not in loads:
                self._holdings.pop(name, None)
                found.append(Proposal(name, version, leave(shares, self.me, {}, Capacity(), wall)))
        return found
