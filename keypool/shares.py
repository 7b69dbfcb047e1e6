"""One capacity, many gateways: the document that divides it, and how a part of it changes hands.

A capacity is what a provider grants once, however many gateways use it: a domain's rates, or a key's slots. Its
document stands in the store, with a version. It says what part each gateway has: parts per million of every rate, and
whole slots. What has no owner is the free part. A gateway writes its own entry only, and only if the version is still
the one that it has read, so that of two writers one has to read again. It takes no more than is free: the parts never
add up to more than the whole, whatever is delayed, lost or repeated on the way.

    shrink    first the gateway uses less, then it writes that. If the write is lost, too much is counted as taken.
    grow      first it writes, then, when it knows that this is written, it uses more.

So what is used is at most what is written, and what is written is at most the whole.

Levels. A token bucket holds what may be sent at once. Each gateway has a bucket of its own for each limit, as large as
its part and refilled at its part of the rate; the pot is the bucket of the free part. A part that changes hands takes
its level with it, in proportion: who gives up a third of a part puts a third of the level into the pot, a debt too, and
who takes half of the free part takes half of the pot. So all levels and the pot together are what one bucket with the
same history would hold, or less: a day's requests are neither lost nor doubled by dividing them anew.

The dead. Their part is free at once, but what they had sent last is not known, and they may live on behind a cut cable.
So their level counts as spent. A longer bucket is not spent by that: since its last report a gateway has sent no more
than its shortest bucket of the same kind held then and was refilled with since, and only so much of a day's level is
given up. (The bound is short by one request where that is larger than the gateway's whole part of a bucket, because
such a one starts on a full bucket and leaves a debt.) `holding.py` says how a gateway that is cut off keeps to that.

Clocks. The pot is refilled by the wall clocks of those who write. Its instant never goes back, so that clocks that
differ by some seconds fill it too far by so many seconds of the free part's rate, once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any, NamedTuple

from keypool.limits import LimitMeasure

WHOLE = 1_000_000  # parts
ALIKE = (  # limits of the same kind: what is sent counts for each of them
    (LimitMeasure.REQUESTS.value, LimitMeasure.HOURLY.value, LimitMeasure.DAILY.value),
    (LimitMeasure.TOKENS.value, LimitMeasure.HOURLY_TOKENS.value, LimitMeasure.DAILY_TOKENS.value),
)

Levels = Mapping[str, float]  # by measure, each as a share of the whole capacity: 0.25 of 40,000 tokens are 10,000


NOTHING: Levels = {}


class Part(NamedTuple):
    """What the pool may use from now on. `moved`: what comes to its levels with it, as shares of the whole capacity;
    None: it has lost all that it had. `until`: seconds, monotonic; the end of the lease."""

    part: int = WHOLE
    slots: int = 0
    moved: Levels | None = NOTHING
    until: float = inf

    def differs(self, other: Part) -> bool:
        """Is it more or less than another part? A longer lease of the same is not."""
        return (self.part, self.slots) != (other.part, other.slots) or self.moved is None or any(self.moved.values())


ALL = Part()


class WholeLimit(NamedTuple):
    """One limit of a whole capacity: its amount, and the seconds in which that is refilled."""

    amount: float
    period: float


@dataclass(frozen=True, slots=True)
class Capacity:
    """What there is to divide: limits by measure, and slots."""

    limits: Mapping[str, WholeLimit] = field(default_factory=dict)
    slots: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """What one gateway has. `levels`: what its buckets held at `at` (UTC milliseconds); `turn`: counts its own writes,
    so that it knows them again."""

    part: int = 0
    slots: int = 0
    levels: Levels = field(default_factory=dict)
    at: int = 0
    turn: int = 0


@dataclass(frozen=True, slots=True)
class Shares:
    """The document. `pot`: the levels of the free part, at `at` (UTC milliseconds). A measure that the pot does not
    name has not been used: it is full."""

    entries: Mapping[str, Entry] = field(default_factory=dict)
    pot: Levels = field(default_factory=dict)
    at: int = 0

    @property
    def free(self) -> int:
        """The part that no gateway has."""
        return WHOLE - sum(each.part for each in self.entries.values())

    def free_slots(self, capacity: Capacity) -> int:
        """Slots that no gateway has; negative where there are fewer than there were when they were taken."""
        return capacity.slots - sum(each.slots for each in self.entries.values())

    def as_json(self) -> dict[str, Any]:
        entries = {
            name: [each.part, each.slots, dict(each.levels), each.at, each.turn] for name, each in self.entries.items()
        }
        return {"entries": entries, "pot": dict(self.pot), "at": self.at}

    @classmethod
    def of_json(cls, document: Mapping[str, Any]) -> Shares:
        """What `as_json` made. Raises KeyError, TypeError or ValueError of anything else."""
        entries = {
            str(name): Entry(int(part), int(slots), _levels(levels), int(at), int(turn))
            for name, (part, slots, levels, at, turn) in document["entries"].items()
        }
        return cls(entries, _levels(document["pot"]), int(document["at"]))


def refilled(shares: Shares, capacity: Capacity, wall: int) -> Shares:
    """The document with the pot of this instant."""
    most, passed = shares.free / WHOLE, max(0, wall - shares.at) / 1000
    pot = {
        name: min(most, shares.pot.get(name, most) + passed / limit.period * most)
        for name, limit in capacity.limits.items()
    }
    return replace(shares, pot={**shares.pot, **pot}, at=max(shares.at, wall))


def without(shares: Shares, gone: str, capacity: Capacity, wall: int) -> Shares:
    """The document without a gateway that is dead: its part is free, its level spent as far as that is possible."""
    shares = refilled(shares, capacity, wall)
    entry = shares.entries[gone]
    left = {
        name: min(level, max(0.0, level - _spent(name, entry, capacity, wall))) for name, level in entry.levels.items()
    }
    return leave(shares, gone, left, capacity, wall)


def leave(shares: Shares, me: str, levels: Levels, capacity: Capacity, wall: int) -> Shares:
    """The document without a gateway that sends nothing more and says what it has left."""
    shares = refilled(shares, capacity, wall)
    pot = {name: shares.pot.get(name, 0.0) + level for name, level in levels.items()}
    return replace(shares, entries=_less(shares.entries, me), pot={**shares.pot, **pot})


def resized(shares: Shares, me: str, entry: Entry, capacity: Capacity) -> tuple[Shares, Levels]:
    """The document with a new entry of mine, and the levels that come to me with a larger part.

    `entry.levels` is what I hold now, before the part changes. What goes with a smaller part is less than nothing.
    The pot must be refilled to `entry.at`.
    """
    before = shares.entries.get(me, Entry()).part
    change = entry.part - before
    if change > 0:
        moved = {name: level * change / shares.free for name, level in shares.pot.items()}
    else:
        moved = {name: level * change / before if before else 0.0 for name, level in entry.levels.items()}
    mine = {name: entry.levels.get(name, 0.0) + moved.get(name, 0.0) for name in {**entry.levels, **moved}}
    pot = {name: shares.pot.get(name, 0.0) - amount for name, amount in moved.items()}
    entries = {**shares.entries, me: replace(entry, levels=mine)}
    return replace(shares, entries=entries, pot={**shares.pot, **pot}), moved


def _spent(name: str, entry: Entry, capacity: Capacity, wall: int) -> float:
    """The most that a gateway can have sent since its report, as a share of a limit.

    It is what its tightest limit of the same kind held and was refilled with since; where none is known, all.
    """
    own, passed = capacity.limits.get(name), max(0, wall - entry.at) / 1000
    most = [
        (max(0.0, entry.levels[each]) + passed / limit.period * entry.part / WHOLE) * limit.amount
        for each in next((kind for kind in ALIKE if name in kind), ())
        if each in entry.levels and (limit := capacity.limits.get(each)) is not None
    ]
    return min(most) / own.amount if own is not None and most else inf


def _less(entries: Mapping[str, Entry], name: str) -> dict[str, Entry]:
    return {each: entry for each, entry in entries.items() if each != name}


def _levels(document: Mapping[str, Any]) -> dict[str, float]:
    return {str(name): float(level) for name, level in document.items()}
