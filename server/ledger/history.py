"""The history of each hour, by model: how much was asked, how long people waited, whether it could be answered at all.

A request counts in the hour in which it ended. Of people only their number is kept. Durations are counted in buckets
whose bounds grow by a quarter of an octave: a percentile is known to about 9 % (the middle of a bucket that is 19 %
wide), and a duration below 10 ms counts as none.

Each gateway writes rows of its own, whole, under a name of its own: written twice they are the same rows, and those of
several gateways add up. If a gateway dies, at most its last minute is missing.

A model that cannot be served for less than `GRACE` seconds was not away: keys rest for moments, and requests wait
meanwhile. So seconds of silence are counted for neither side until it is known which it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from math import ceil, log2
from typing import Any

from server.ledger.usage import Outcome, UsageRow

HOUR_MS = 3_600_000
GRACE = 60  # seconds
HOUSE = ""  # the row of all models together
FAILURES = frozenset({Outcome.FAILED, Outcome.CUT, Outcome.INTERRUPTED})

_LEAST_WRITING = 100  # milliseconds: a shorter one is an answer that came in one piece
_SMALLEST = 10  # milliseconds
_PER_OCTAVE = 4
_HIGHEST = 80  # the bucket of everything above three hours


@dataclass(frozen=True, slots=True, kw_only=True)
class HourRow:
    """One model in one hour, or several such rows added up. `hour` is its start, UTC milliseconds.

    `people` are different ones. `watched` and `served` are seconds in which a gateway looked, and in which it could be
    served. `running` and `slots` are seconds times requests in flight, and times those that could have been.
    `waits` (in the queue) and `first_bytes` (from arrival) are numbers by bucket. `written` are the tokens of completed
    answers, and `writing_ms` the milliseconds from their first byte to their end.
    """

    hour: int
    model: str
    requests: int = 0
    completed: int = 0
    failed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_micro_usd: int = 0
    people: int = 0
    watched: int = 0
    served: int = 0
    running: int = 0
    slots: int = 0
    written: int = 0
    writing_ms: int = 0
    waits: Mapping[int, int] = field(default_factory=dict)
    first_bytes: Mapping[int, int] = field(default_factory=dict)


_COUNTED = tuple(each.name for each in fields(HourRow) if each.name not in ("hour", "model", "waits", "first_bytes"))


def hour_of(ms: int) -> int:
    """The start of the hour of a moment."""
    return ms - ms % HOUR_MS


def bucket_of(ms: int) -> int:
    """The bucket of a duration in milliseconds."""
    return 0 if ms < _SMALLEST else min(_HIGHEST, 1 + int(_PER_OCTAVE * log2(ms / _SMALLEST)))


def percentile(buckets: Mapping[int, int], share: float) -> float:
    """The seconds that so many did not exceed; 0.0 of none."""
    wanted, passed = ceil(share * sum(buckets.values())), 0
    for bucket in sorted(buckets):
        passed += buckets[bucket]
        if passed >= wanted:
            return _middle(bucket)
    return 0.0


def added(rows: Iterable[HourRow], hour: int, model: str) -> HourRow:
    """Rows as one row of this name."""
    figures: Counter[str] = Counter()
    waits: Counter[int] = Counter()
    first_bytes: Counter[int] = Counter()
    for row in rows:
        for name in _COUNTED:
            figures[name] += getattr(row, name)
        waits.update(row.waits)
        first_bytes.update(row.first_bytes)
    return HourRow(hour=hour, model=model, waits=dict(waits), first_bytes=dict(first_bytes), **figures)


def merged(rows: Iterable[HourRow]) -> list[HourRow]:
    """Rows of several gateways as one row for each hour and model, by both."""
    found: dict[tuple[int, str], list[HourRow]] = {}
    for row in rows:
        found.setdefault((row.hour, row.model), []).append(row)
    return [each[0] if len(each) == 1 else added(each, *name) for name, each in sorted(found.items())]


def figures_of(row: HourRow) -> dict[str, Any]:
    """What JSON can say of a row, but for its hour and model; zeros are left out."""
    figures: dict[str, Any] = {name: value for name in _COUNTED if (value := getattr(row, name))}
    for name, buckets in (("waits", row.waits), ("first_bytes", row.first_bytes)):
        if buckets:
            figures[name] = {str(bucket): number for bucket, number in buckets.items()}
    return figures


def row_of(hour: int, model: str, figures: Mapping[str, Any]) -> HourRow:
    """A row from its figures. Those of a newer fairgate that are not known here are passed over."""
    known = {name: int(figures[name]) for name in _COUNTED if name in figures}
    waits, first_bytes = (
        {int(bucket): int(number) for bucket, number in figures.get(name, {}).items()}
        for name in ("waits", "first_bytes")
    )
    return HourRow(hour=hour, model=model, waits=waits, first_bytes=first_bytes, **known)


class HistoryRecorder:
    """The rows of one gateway that are not over, or not written yet."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[int, str], _Tally] = {}
        self._silent: dict[str, int] = {}  # seconds for which each model has not been servable

    def observe(self, row: UsageRow, now: int) -> None:
        """A request has ended."""
        wait, first = bucket_of(row.queue_ms), None if row.first_byte_ms is None else bucket_of(row.first_byte_ms)
        for name in (row.model_asked, HOUSE):
            self._tally(now, name).count(row, wait, first)

    def look(self, servable: Mapping[str, bool], running: int, slots: int, seconds: int, now: int) -> None:
        """How it has been for some seconds: which models could be served, and how busy all keys together were."""
        for model, well in servable.items():
            self._judge(self._tally(now, model), model, well, seconds)
        for gone in self._silent.keys() - servable.keys():
            del self._silent[gone]
        services = self._tally(now, HOUSE)
        services.figures["running"] += running * seconds
        services.figures["slots"] += slots * seconds
        services.figures["watched"] += seconds

    def rows(self) -> list[HourRow]:
        """Everything that is kept here."""
        return [tally.row(hour, model) for (hour, model), tally in self._tallies.items()]

    def forget(self, before: int) -> None:
        """Drop the hours before this one: they have been written."""
        for name in [name for name in self._tallies if name[0] < before]:
            del self._tallies[name]

    def _judge(self, tally: _Tally, model: str, well: bool, seconds: int) -> None:
        silence = self._silent.pop(model, 0)
        if not well:
            self._silent[model] = silence + seconds
            if silence + seconds >= GRACE:
                tally.figures["watched"] += seconds if silence >= GRACE else silence + seconds
            return
        served = seconds + (silence if silence < GRACE else 0)
        tally.figures["watched"] += served
        tally.figures["served"] += served

    def _tally(self, now: int, model: str) -> _Tally:
        name = hour_of(now), model
        tally = self._tallies.get(name)
        if tally is None:
            tally = self._tallies[name] = _Tally()
        return tally


@dataclass(slots=True)
class _Tally:
    """One row while it grows."""

    figures: Counter[str] = field(default_factory=Counter)
    waits: Counter[int] = field(default_factory=Counter)
    first_bytes: Counter[int] = field(default_factory=Counter)
    people: set[str] = field(default_factory=set)

    def count(self, row: UsageRow, wait: int, first_byte: int | None) -> None:
        """`wait` and `first_byte` are the buckets of its times."""
        figures = self.figures
        if not row.is_attempt:
            figures["requests"] += 1
            figures["completed"] += row.status is Outcome.COMPLETED
            figures["failed"] += row.status in FAILURES
            self.people.add(row.person_id)
            self.waits[wait] += 1
            if first_byte is not None:
                self.first_bytes[first_byte] += 1
            self._count_speed(row)
        figures["tokens_in"] += row.usage.input
        figures["tokens_out"] += row.usage.output
        figures["cost_micro_usd"] += row.cost_micro_usd

    def _count_speed(self, row: UsageRow) -> None:
        """How fast an answer was written, where that can be seen: one that comes in one piece says nothing."""
        writing = 0 if row.first_byte_ms is None else row.duration_ms - row.first_byte_ms
        if row.status is Outcome.COMPLETED and row.usage.output and writing >= _LEAST_WRITING:
            self.figures["written"] += row.usage.output
            self.figures["writing_ms"] += writing

    def row(self, hour: int, model: str) -> HourRow:
        waits, first_bytes = dict(self.waits), dict(self.first_bytes)
        figures = {**self.figures, "people": len(self.people)}
        return HourRow(hour=hour, model=model, waits=waits, first_bytes=first_bytes, **figures)


def _middle(bucket: int) -> float:
    """Seconds in the middle of a bucket, as ratios go."""
    return 0.0 if bucket == 0 else _SMALLEST / 1000 * 2 ** ((bucket - 0.5) / _PER_OCTAVE)
