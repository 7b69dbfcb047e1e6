"""One gateway's side of one capacity: what it uses, what it has asked the store to write, and when it gives way.

A proposal is a whole document for one version. There is one at a time, and it is repeated as it is until it is settled:
either it was written, and then the entry of mine has its turn, or the document has gone on without it, and then it can
never be written any more. A document that is older than one seen before is not looked at.

What is used is the smaller one of what the document says and what is proposed, so that it makes no difference when a
proposal is written.

Calm. Growing into what is free hurts no gateway and is done at once. Shrinking waits until the part has been too large
for some heartbeats, and is left out where it would change little: people come and go all the time, and each change of
hands costs a heartbeat in which the part serves none. Only where a gateway has less than half of what it should have,
the others make room at once. A slot in use is given up when it is free.

Cut off. A gateway that cannot reach the store cannot know whether the others count it as dead. They do so `DEAD`
seconds after its last sign, and from `LEASE` on, which is less, its buckets are refilled at an eighth of their rate. It
goes on with what these held, which the others count as spent (`shares.py`), and with what an answer's headers show to
be left; the eighth is paid for forty seconds by the seconds of refill that every bucket keeps in reserve. Its slots
count twice meanwhile. When it comes back and finds its entry gone, it begins anew with nothing; when it finds it,
another gateway may be about to remove it, so it writes it once more, and its lease begins when that is written.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from keypool.shares import NOTHING, Capacity, Entry, Levels, Part, Shares, refilled, resized, without
from keypool.targets import Claim, parts, slots
from keypool.times import MINUTE

DEAD = 5.0  # seconds without a sign of life
LEASE = 4.0  # seconds from the last sign that is known to have been written
PATIENCE = 3  # heartbeats
STEP = 0.03  # of a part: less is not worth a change
REPORT = 10_000  # milliseconds between two reports of what is left of a long limit


class Proposal(NamedTuple):
    """Write this document if the stored one has still this version; 0: there is none yet."""

    capacity: str
    version: int
    shares: Shares


class Load(NamedTuple):
    """One capacity as it stands at this gateway. `levels`, and all that was ever `sent`, are shares of the whole;
    `running`: requests in flight; `waits`: something waits that might use it."""

    capacity: Capacity
    levels: Levels = NOTHING
    running: int = 0
    sent: Levels = NOTHING
    waits: bool = False


class Others(NamedTuple):
    """What is known of all gateways: the claims of those that live, me among them, and which are dead. `turn`: of the
    slots, the same for all."""

    claims: Mapping[str, Claim]
    gone: Container[str]
    turn: int


@dataclass(slots=True)
class Holding:
    """`entry` is what is used now, as far as part and slots go. `certain`: no gateway that counted this one as dead can
    take that away."""

    me: str
    id: str
    entry: Entry = field(default_factory=Entry)
    version: int = 0
    pending: Proposal | None = None
    certain: bool = False
    _renewing: int = 0  # the turn of the entry that makes it certain again; 0: not written yet
    _moved: Levels = field(default_factory=dict)  # what has gone with the smaller part that is proposed
    _coming: Levels = field(default_factory=dict)  # what comes with the larger one
    _turns: int = 0
    _too_much: int = 0  # heartbeats in a row

    def beat(
        self, version: int, shares: Shares, others: Others, load: Load, wall: int, *, lapsed: bool = False
    ) -> tuple[Part, Proposal | None]:
        """Look at the document: what to use from now on, and what to write, if anything.

        `wall`: UTC milliseconds. `lapsed`: there was a time without a lease since the last heartbeat.
        """
        if lapsed:
            self.certain, self._renewing = False, 0
        if version < self.version:
            return self._part(NOTHING), self.pending
        moved = self._seen(version, shares)
        if moved is None:
            return self._part(None), self._decide(shares, others, load._replace(levels=NOTHING), wall)[1]
        if self.pending is not None:
            return self._part(moved), self.pending
        levels = _sum(load.levels, moved)
        given, proposal = self._decide(shares, others, load._replace(levels=levels), wall)
        return self._part(_sum(moved, given)), proposal

    def written(self) -> Part:
        """The proposal is known to be written: use all of it."""
        assert self.pending is not None, "only what was proposed can be written"
        self.entry, self.version = self.pending.shares.entries[self.me], self.pending.version + 1
        self.pending = None
        self.certain |= self.entry.turn == self._renewing
        return self._part(self._coming)

    def _seen(self, version: int, shares: Shares) -> Levels | None:
        """Settle what is settled. Returns what comes to the levels; None: all is lost."""
        mine, was = shares.entries.get(self.me), self.version
        self.version = version
        if self.pending is not None:
            if version == self.pending.version:
                return NOTHING
            done = mine is not None and mine.turn == self.pending.shares.entries[self.me].turn
            moved = self._coming if done else {name: -amount for name, amount in self._moved.items()}
            self.pending, self.entry = None, mine or Entry()
            self.certain |= done and self.entry.turn == self._renewing
            return moved if mine is not None else None
        if mine is None and was and self.entry.part:
            self.entry = Entry()
            return None
        return NOTHING

    def _decide(self, shares: Shares, others: Others, load: Load, wall: int) -> tuple[Levels, Proposal | None]:
        """Propose what should be otherwise. Returns what goes at once."""
        before, capacity = shares, load.capacity
        for name in [each for each in shares.entries if each in others.gone]:
            shares = without(shares, name, capacity, wall)
        mine = shares.entries.get(self.me, Entry())
        part, slots = self._wanted(shares, mine, others, load)
        unchanged = (part, slots) == (mine.part, mine.slots) and self.me in shares.entries
        if unchanged and shares is before and self.certain and not _is_due(mine, load, wall):
            return NOTHING, None
        self._turns += 1
        self._renewing = self._turns if not self.certain else self._renewing
        entry = Entry(part, slots, load.levels, max(wall, shares.at), self._turns)
        after, moved = resized(refilled(shares, capacity, wall), self.me, entry, capacity)
        shrinks = part < mine.part
        self._moved, self._coming = (moved, NOTHING) if shrinks else (NOTHING, moved)
        self.pending = Proposal(self.id, self.version, after)
        self.entry = replace(mine, part=min(part, mine.part), slots=min(slots, mine.slots))
        return self._moved, self.pending

    def _wanted(self, shares: Shares, mine: Entry, others: Others, load: Load) -> tuple[int, int]:
        """The part and the slots that I should write."""
        fair, fair_slots = parts(others.claims), slots(others.claims, load.capacity.slots, others.turn)
        part, number = 0 if load.capacity.slots else fair[self.me], fair_slots[self.me]
        starved = any(
            2 * entry.part < fair[name] or (not entry.slots and fair_slots[name])
            for name in others.claims
            if name != self.me
            for entry in [shares.entries.get(name, Entry())]
        )
        too_much = part < mine.part * (1.0 - STEP) or number < mine.slots
        self._too_much = self._too_much + 1 if too_much else 0
        stays = not starved and (self._too_much < PATIENCE or not too_much)
        if part > mine.part:
            more = min(part - mine.part, shares.free)
            part = mine.part + (more if more > STEP / 2 * part else 0)
        elif stays:
            part = mine.part
        if number >= mine.slots or not stays:
            number = min(number, mine.slots + shares.free_slots(load.capacity))
        else:
            number = mine.slots
        return part, max(number, min(mine.slots, load.running))

    def _part(self, moved: Levels | None) -> Part:
        return Part(self.entry.part, self.entry.slots, moved)


def _is_due(mine: Entry, load: Load, wall: int) -> bool:
    """Is it time to report what is left of a limit that is longer than a minute?"""
    is_long = any(limit.period > MINUTE for limit in load.capacity.limits.values())
    return is_long and wall - mine.at >= REPORT and dict(mine.levels) != dict(load.levels)


def _sum(one: Levels, other: Levels) -> Levels:
    return {name: one.get(name, 0.0) + other.get(name, 0.0) for name in {**one, **other}}
