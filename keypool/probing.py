"""When each key is asked about. Pure: the shell asks, and reports the result here.

    new, or back from a pause       at once
    the last asking settled it      after the interval, give or take a tenth, so that many keys are not asked together
    it settled nothing              after 1, 2, 4, 8, 15, 30 and then every 60 s: its host is away or gives no list yet
    it was refused                  after 1, 2, 4, 8, 16 and then every 24 hours: a key may be let in again
    suspected                       at once, but again only 10 s later: a burst of failures counts once
    the operator wants to know      at once

One asking per key at a time and a bounded number in all; what is wanted of a key during an asking comes after it. All
times are seconds, monotonic.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

MISSED = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
HOUR = 3600.0
HOURS = (1, 2, 4, 8, 16, 24)  # until a refused key is looked at again
FORGOTTEN = 48 * HOUR  # after the last refusal the next one counts as the first
SPREAD = 0.1  # of the interval, to either side
CALM = 10.0  # seconds between two askings that suspicion brings


@dataclass(slots=True)
class ProbeWatch:
    """One key: when it is due, and how it went so far."""

    due: float
    asking: bool = False
    wanted: float = inf  # seconds after the end of this asking until the next
    ended: float = -inf
    suspected: float = -inf  # when suspicion brought the last asking
    misses: int = 0  # in a row
    retired: bool = False  # refused, and planned to be looked at again
    refusals: int = 0
    refused: float = -inf  # the last time


class Schedule:
    """The keys that are watched. `interval` is seconds; with 0 a key that settled or was refused is not asked again."""

    def __init__(self, interval: float, most: int) -> None:
        self._interval = interval or inf
        self._most = most
        self._watches: dict[str, ProbeWatch] = {}

    # The watched keys

    def watch(self, key: str, now: float) -> None:
        """Ask about a key from now on; nothing changes for one that is watched already."""
        if key not in self._watches:
            self._watches[key] = ProbeWatch(due=now)

    def forget(self, key: str) -> None:
        self._watches.pop(key, None)

    def suspect(self, key: str, now: float) -> None:
        """Something made this key look bad."""
        watch = self._watches.get(key)
        if watch is None or watch.retired:
            return
        at = max(now, watch.suspected + CALM)
        if watch.asking or at < watch.due:
            watch.suspected = at
        _hasten(watch, at, CALM)

    def want(self, key: str, now: float) -> None:
        """The operator wants to know."""
        if (watch := self._watches.get(key)) is not None:
            _hasten(watch, now, 0.0)

    def retire(self, key: str, now: float) -> None:
        """This key is refused: it is looked at again in some hours. Nothing changes for one that is retired already."""
        watch = self._watches.get(key)
        if watch is None or watch.asking or watch.retired:
            return
        watch.refusals = watch.refusals + 1 if now < watch.refused + FORGOTTEN else 1
        wait = HOURS[min(watch.refusals, len(HOURS)) - 1] * HOUR
        watch.due, watch.refused, watch.retired = now + max(wait, self._interval), now, True

    # The rounds

    def begin(self, now: float) -> list[str]:
        """The keys to ask about now, the longest due first, then the longest watched. Each asking is to be ended."""
        due = [key for key, watch in self._watches.items() if not watch.asking and watch.due <= now]
        begun = sorted(due, key=lambda key: self._watches[key].due)[: self._places()]
        for key in begun:
            self._watches[key].asking = True
        return begun

    def settled(self, key: str, now: float, jitter: float) -> None:
        """The asking had a clear result. `jitter` is from 0 to 1."""
        self._end(key, now, self._interval * (1.0 + SPREAD * (2.0 * jitter - 1.0)), misses=0)

    def missed(self, key: str, now: float) -> None:
        """The asking had no clear result."""
        if (watch := self._watches.get(key)) is not None:
            self._end(key, now, MISSED[min(watch.misses, len(MISSED) - 1)], misses=watch.misses + 1)

    def next_wakeup(self) -> float | None:
        """The instant at which `begin` has something to do; None when only an end or a wish can bring that."""
        dues = [watch.due for watch in self._watches.values() if not watch.asking and watch.due < inf]
        return min(dues) if dues and self._places() else None

    def due(self, key: str) -> float | None:
        """The instant of the next asking about a key; None while it is being asked about, or where none is planned."""
        watch = self._watches.get(key)
        return None if watch is None or watch.asking or watch.due == inf else watch.due

    def progress(self) -> tuple[int, int]:
        """How many of the watched keys have been asked about, and how many there are."""
        return sum(watch.ended > -inf for watch in self._watches.values()), len(self._watches)

    def _places(self) -> int:
        return max(0, self._most - sum(watch.asking for watch in self._watches.values()))

    def _end(self, key: str, now: float, wait: float, *, misses: int) -> None:
        if (watch := self._watches.get(key)) is not None:
            due = now + min(wait, watch.wanted)
            self._watches[key] = replace(
                watch, due=due, ended=now, misses=misses, asking=False, wanted=inf, retired=False
            )


def _hasten(watch: ProbeWatch, at: float, after: float) -> None:
    """Due at `at` at the latest; if it is being asked about now, within `after` seconds of its end."""
    if watch.asking:
        watch.wanted = min(watch.wanted, after)
    else:
        watch.due = min(watch.due, at)
