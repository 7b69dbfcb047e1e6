"""Which gateways are alive, as one of them sees it: pure, and without clocks that agree.

Each gateway counts its heartbeats in its record. An observer notes by its own monotonic clock when a count has last
moved. So no time of another machine is ever compared with a time of this one.

    a record                                         is
    moved less than `DEAD_SECONDS` ago               alive
    unmoved for longer                               dead: the first to see that marks it as gone, once
    unmoved, but its process is known to live        alive, for `spared` seconds: it cannot reach the store, and goes on
                                                     with the shares that it has
    marked as gone                                   dead, until it beats again

An observer that could not look itself for `BLIND_SECONDS` knows nothing about that time, and begins anew: after an
outage of the store no gateway takes the others for dead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from server.store.base import GatewayRecord

DEAD_SECONDS = 5.0
DOUBTED_SECONDS = 2.0  # unmoved for so long it is worth a look whether its process lives
BLIND_SECONDS = 2.5


@dataclass(slots=True)
class _Watch:
    beats: int
    moved_at: float


class Membership:
    """What a gateway knows of all. `lives`: whether the process of a gateway is known to live, on this machine.

    Times are seconds, monotonic.
    """

    def __init__(self, me: str, lives: Callable[[str], bool], spared: float) -> None:
        self._me, self._lives, self._spared = me, lives, spared
        self._watches: dict[str, _Watch] = {}
        self._looked_at: float | None = None
        self.alive: tuple[GatewayRecord, ...] = ()  # with this gateway, once its record was read
        self.gone: tuple[GatewayRecord, ...] = ()  # those whose journal no one has adopted yet
        self.doubted = False  # the process of one of them may have died

    def looked(self, records: Iterable[GatewayRecord], now: float) -> list[GatewayRecord]:
        """All records as they are now; returns those that are dead and not marked yet."""
        blind = self._looked_at is None or now - self._looked_at > BLIND_SECONDS
        self._looked_at = now
        found = list(records)
        before = {} if blind else self._watches
        self._watches = {each.id: _watch(before.get(each.id), each, now) for each in found}
        standing = [each for each in found if each.gone_at is None]
        dead = [each for each in standing if self._is_dead(each, now)]
        self.alive = tuple(each for each in standing if each not in dead)
        self.gone = tuple(each for each in found if each.gone_at is not None and each.id != self._me)
        others = (each for each in standing if each.id != self._me)
        self.doubted = bool(self.gone) or any(self.unmoved(each.id, now) >= DOUBTED_SECONDS for each in others)
        return dead

    def unmoved(self, gateway_id: str, now: float) -> float:
        """For how long a gateway has not been heard; 0 if it is not known."""
        watch = self._watches.get(gateway_id)
        return 0.0 if watch is None else now - watch.moved_at

    def _is_dead(self, record: GatewayRecord, now: float) -> bool:
        unmoved = self.unmoved(record.id, now)
        if record.id == self._me or unmoved < DEAD_SECONDS:
            return False
        return unmoved >= self._spared or not self._lives(record.id)


def _watch(known: _Watch | None, record: GatewayRecord, now: float) -> _Watch:
    return known if known is not None and known.beats == record.beats else _Watch(record.beats, now)
