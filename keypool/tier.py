"""Accounts that share by counter, and the time that they share.

The virtual time says where an idle account starts: at what the waiting accounts have been served. It is kept for each
key, because not every person may use every key, and it is moved only by what is known: a dispatch raises a key's time
to the counter of the account that was lowest, without what may still be given back for its requests in flight. Else one
person's guesses, which come back when the answers turn out to be short or cached, would have carried the time far ahead
of what any account was served, and each newcomer would have to wait until the others have caught up with a mistake.

An account starts in a lane at the highest time of the lane's keys, since it will be compared with those who use them,
but at each key not above the lowest that waits there for the same limits: those are whom it competes with.
"""

from __future__ import annotations

from collections.abc import Iterable

from keypool.flow_heap import Entry, FlowAccount, Lane, Order, Reach


class HeadsTier:
    """The order of some accounts and the virtual time of each key. `lost`: keys that serve nothing for a long time."""

    def __init__(self, lost: set[str]) -> None:
        self.order = Order()
        self.lost = lost
        self.times: dict[str, float] = {}  # by key
        self.tags: dict[str, float] = {}  # the highest counter that was dispatched, guesses and all
        self.virtual_time = 0.0  # the highest of the times

    def time_of(self, lane: Lane) -> float:
        """Where an account starts that has nothing waiting in a lane."""
        keys = self._keys(lane.reach)
        firsts = [entry for entry in self.order.firsts() if entry[3].group == lane.group]
        if not keys:
            return min((self.virtual_time, *(entry[0] for entry in firsts)))
        time = 0.0
        for key in keys:
            at_key = self.times.get(key, 0.0)
            for low, _, _, other in firsts:
                if low < at_key and (not other.reach or key in other.reach):
                    at_key = low
            if at_key > time:
                time = at_key
        return time

    def floor_of(self, lane: Lane, credit: float) -> float:
        """How far down an account may stand that was kept from its turn: `credit` below what was dispatched (rule 3).

        Never above the time, since what was dispatched was charged by guess.
        """
        tag = max((self.tags.get(key, 0.0) for key in self._keys(lane.reach) or self.tags), default=0.0)
        return min(self.time_of(lane), tag - credit)

    def dispatched(self, account: FlowAccount, lane: Lane, key: str, passed: Iterable[Entry]) -> None:
        """An account goes next, on this key. Those whom it passes on their own key hold its time back."""
        tag = account.at(lane)
        start = tag - account.guessed / account.weight  # without what may still be given back
        for counter, _, _, other in passed:
            if other.meets(lane, key) and counter < start:
                start = counter
        if start > self.times.get(key, 0.0):
            self.times[key] = start
            self.virtual_time = max(self.virtual_time, start)
        if tag > self.tags.get(key, 0.0):
            self.tags[key] = tag

    def is_ahead(self, account: FlowAccount) -> bool:
        """Has it been served more than those have who would be its equals now?"""
        return account.counter > self.virtual_time or account.counter > self.time_of(account.last)

    def leads(self, key: str, by: float) -> bool:
        """Is this key's time ahead of that of some other one that can be used, by more than this?"""
        others = (time for each, time in self.times.items() if each not in self.lost)
        return self.times.get(key, 0.0) - min(others, default=0.0) > by

    def continues(self, old: HeadsTier, shift: float) -> None:
        """Keep the time of another tier, moved by so much."""
        for mine, theirs in ((self.times, old.times), (self.tags, old.tags)):
            for key, time in theirs.items():
                mine[key] = max(mine.get(key, 0.0), time + shift)
        self.virtual_time = max(self.virtual_time, old.virtual_time + shift)

    def reweigh(self, account: FlowAccount, weight: float) -> None:
        """Another weight from now on: what the account is ahead or behind stays the same cost."""
        time = self.time_of(account.last)
        account.counter = time + (account.counter - time) * account.weight / weight
        account.weight = weight
        self.sort_in(account)

    def sort_in(self, account: FlowAccount) -> None:
        """Its counter may have fallen."""
        for lane in account.lanes:
            self.order.push(account, lane)

    def _keys(self, reach: Reach) -> Reach:
        """Those of a lane that are of use; all of them if none is."""
        if not self.lost or self.lost.isdisjoint(reach):
            return reach
        return reach - self.lost or reach
