"""Limits per minute hold over all gateways: each record says what its gateway took in the last minute, and when.

An amount stands in the record under the digest of its counter and the second in which it was taken, as it is now, with
a number that grows with each change. A reader takes what has a greater number than it has heard, and adds or corrects
the difference. So a record that is read twice, late, or only every other time, means the same. Only counters that have
a limit are counted at all. The newest `MOST` entries are in a record: with more than that in one heartbeat the others
hear nothing of the oldest. No clocks are compared: a record says how old its entries are, and an entry that was long on
its way counts a little longer. That is never in anybody's favour.

**The bound.** Each gateway by itself keeps a limit exactly, and it knows what was taken elsewhere up to
`UNHEARD_SECONDS` ago: a second until it is written, one until it is read, and the store's own time. So what is let in
above a limit is at most what the other gateways let in within that time.

Where other gateways were found to serve a counter within the last ten minutes, it is less: of what is left under the
limit, each lets in its part within that time, or a single request. Then about one request for each of the others is
above the limit. A gateway that cannot reach the store lets in no more than that part until it can. Whose requests all
come to one gateway has the whole of a limit there at once, always. With workers, each of them takes what is left: they
hear of other gateways through their pool process, which keeps nothing back.
"""

from __future__ import annotations

import base64
import hmac
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from server.ledger.ratelimit import SECONDS
from server.store.base import GatewayRecord

log = logging.getLogger("fairgate")

UNHEARD_SECONDS = 2.5
REMEMBERED_SECONDS = 600.0  # that a counter is served by another gateway, too
LATE_SECONDS = 10.0  # so much later than it counts may an entry be read again
MOST = 2_000  # entries in a record
KEPT = 50_000  # entries that may still be corrected, and counters that are known to be served elsewhere
DIGEST_BYTES = 9  # of a counter's name
NOTHING = 0, 0

Slot = tuple[str, int]  # a counter's digest, and the second of the clock of the gateway that took


class _Entry(NamedTuple):
    amount: int
    at: float  # of the own clock


@dataclass(slots=True)
class _Heard:
    """What was heard of one gateway."""

    number: int = 0  # of the last change
    entries: OrderedDict[Slot, _Entry] = field(default_factory=OrderedDict)

    def forget(self, now: float) -> None:
        while self.entries and next(iter(self.entries.values())).at + SECONDS + LATE_SECONDS <= now:
            self.entries.popitem(last=False)


class SharedRates:
    """A part of the heartbeat. `note` adds to the windows here: a digest, by how much more, and the instant.

    Counters go by their digests here. `clock` is seconds, monotonic.
    """

    def __init__(self, me: str, note: Callable[[str, int, float], None], clock: Callable[[], float]) -> None:
        self._me, self._note, self._clock = me, note, clock
        self._own: OrderedDict[Slot, tuple[int, int]] = OrderedDict()  # the change's number and the amount, in order
        self._number = 0
        self._heard: dict[str, _Heard] = {}  # by gateway
        self._servers: OrderedDict[str, dict[str, float]] = OrderedDict()  # by counter: gateways, and when last
        self._alive: frozenset[str] = frozenset()
        self._said_at = clock()
        self._unreadable: set[str] = set()

    def took(self, counter: str, by: int, at: float) -> None:
        """So much was taken here of the counter of this digest; less than 0: given back of what was taken then."""
        slot = counter, int(at)
        if slot not in self._own and (by < 0 or at + UNHEARD_SECONDS < self._clock()):
            return  # a correction of what is not known any more: the others count what they have heard
        self._number += 1
        self._own[slot] = self._number, self._own.pop(slot, NOTHING)[1] + by
        while len(self._own) > KEPT:
            self._own.popitem(last=False)

    def wait(self, counter: str, needs: int, left: int) -> float:
        """Seconds until this gateway may take so much of what is left, as far as it knows; 0 if it may now."""
        now = self._clock()
        servers = self._servers.get(counter, {})
        others = sum(each in self._alive and at + REMEMBERED_SECONDS > now for each, at in servers.items())
        if not others or not needs:
            return 0
        since = max(now - SECONDS, min(now - UNHEARD_SECONDS, self._said_at))
        taken = {second: self._own.get((counter, second), NOTHING)[1] for second in range(int(since), int(now) + 1)}
        unheard = sum(taken.values())
        part = -(-(left + unheard) // (others + 1))
        if not unheard or unheard + needs <= part:
            return 0
        first = next(second for second, amount in taken.items() if amount)
        return max(1.0, first + 1 + UNHEARD_SECONDS - now)

    def said(self) -> Mapping[str, Any]:
        """What was taken here, the newest first."""
        now = self._clock()
        while self._own and next(iter(self._own))[1] + 1 + SECONDS <= now:
            self._own.popitem(last=False)
        newest = islice(reversed(self._own.items()), MOST)
        return {"rates": {"at": now, "taken": [[number, *slot, amount] for slot, (number, amount) in newest]}}

    async def look(self) -> None:
        """Nothing is read."""

    async def heard(self, alive: Sequence[GatewayRecord], since: float) -> None:
        """Add what the others took."""
        self._said_at, self._alive = since, frozenset(each.id for each in alive)
        now = self._clock()
        for each in alive:
            if each.id != self._me:
                self._hear(each, now)
        for gateway, heard in list(self._heard.items()):
            heard.forget(now)
            if not heard.entries and gateway not in self._alive:
                del self._heard[gateway]
        while self._servers and self._is_old(next(iter(self._servers.values())), now):
            self._servers.popitem(last=False)

    async def leave(self) -> None:
        """What was taken counts until its minute is over."""

    def _is_old(self, servers: dict[str, float], now: float) -> bool:
        return len(self._servers) > KEPT or max(servers.values()) + REMEMBERED_SECONDS <= now

    def _hear(self, record: GatewayRecord, now: float) -> None:
        heard = self._heard.setdefault(record.id, _Heard())
        try:
            entries = list(_entries(record.body, heard.number, now))
        except (AttributeError, KeyError, TypeError, ValueError):
            if record.id not in self._unreadable:
                log.warning("the rates of gateway %s cannot be read: it is of another version", record.id)
            self._unreadable.add(record.id)
            return
        for heard.number, slot, entry in reversed(entries):
            self._add(record.id, heard, slot, entry, now)

    def _add(self, gateway: str, heard: _Heard, slot: Slot, entry: _Entry, now: float) -> None:
        """Count by how much more it is than was heard before, from the instant on that was found then."""
        known = heard.entries.get(slot) or _Entry(0, entry.at)
        more = entry.amount - known.amount
        heard.entries[slot] = _Entry(entry.amount, known.at)
        if more:
            self._note(slot[0], more, known.at)
        if more > 0:
            servers = self._servers.pop(slot[0], {})
            self._servers[slot[0]] = servers | {gateway: now}


def digester(secret: bytes) -> Callable[[str], str]:
    """What gives counters their digests, so that the store need not know who asks. `secret` is known to all gateways of
    the installation and to no one else."""

    def digest(counter: str) -> str:
        found = hmac.digest(secret, counter.encode("utf-8", "surrogatepass"), "sha256")[:DIGEST_BYTES]
        return base64.urlsafe_b64encode(found).decode()

    return digest


def _entries(body: Mapping[str, Any], after: int, now: float) -> Iterator[tuple[int, Slot, _Entry]]:
    """What has changed after that number, the newest first. Raises AttributeError, KeyError, TypeError, ValueError."""
    said = body.get("rates")
    if said is None:
        return
    at = float(said["at"])
    for number, counter, second, amount in said["taken"]:
        if number <= after:
            return
        age = max(0.0, at - (int(second) + 1))
        yield int(number), (str(counter), int(second)), _Entry(max(0, int(amount)), now - age)
