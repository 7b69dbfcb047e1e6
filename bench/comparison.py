"""Gateways side by side: interleaved rounds, and of each figure the median, the range and the ratios."""

from __future__ import annotations

import asyncio
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench import measure
from bench.gateway import Subject
from bench.load import LoadError, Target
from bench.measure import Found, Measure, Pace
from bench.report import number

MEASURE_SECONDS = 60.0  # that one may take beyond the time that it measures


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of figure."""

    key: str
    name: str
    unit: str


ROWS = (
    Row("per_second", f"Requests/s, {measure.CONNECTIONS} connections", "/s"),
    Row("per_core", "the same by CPU: requests per second of it", "/s"),
    Row("cpu_us", "CPU per request", "µs"),
    Row("added_ms", "Added at 1 connection, median", "ms"),
    Row("added_p99_ms", "the same, 99th percentile", "ms"),
    Row("chunk_us", f"CPU per chunk, {measure.CHUNK_STREAMS} streams × 100/s", "µs"),
    Row("chunks_delivered", f"chunks delivered there, of {measure.CHUNKS_PER_SECOND:,}", "/s"),
    Row("burst", f"Burst, streams of {measure.BURST_CHUNKS} chunks: chunks per second of CPU", "/s"),
    Row("endless", f"Burst, {measure.ENDLESS_STREAMS} streams without an end: chunks per second of CPU", "/s"),
    Row("first_p50_ms", f"First byte, {measure.STARTS} starts at once, median", "ms"),
    Row("first_p99_ms", "the same, 99th percentile", "ms"),
    Row("prompt_per_second", f"Requests/s with a prompt of 100 KB, {measure.LONG_CONNECTIONS} connections", "/s"),
    Row("prompt_us", "CPU per such request", "µs"),
    Row("tls_per_second", "Requests/s, upstream over TLS", "/s"),
    Row("tls_us", "CPU per such request", "µs"),
    Row("idle_mib", "Memory after the start", "MiB"),
    *(
        row
        for step in (500, 1_000, 5_000, 9_900)
        for row in (
            Row(f"stream_kib_{step}", f"Memory per stream, {step:,} streams", "KiB"),
            Row(f"stream_core_{step}", "of a core there", "%"),
            Row(f"stream_delivered_{step}", "chunks delivered there, of all that were sent", "%"),
        )
    ),
)


@dataclass(slots=True)
class Comparison:
    """All figures: of each row and gateway one for each round; and why some are missing."""

    names: list[str]
    figures: defaultdict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    missing: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, found: Found) -> None:
        """The figures of one measurement of one gateway."""
        for row, figure in found.items():
            self.figures[row, name].append(figure)

    def median(self, row: str, name: str) -> float | None:
        """Over the rounds; None if it was not measured."""
        figures = self.figures.get((row, name))
        return statistics.median(figures) if figures else None

    def ratio(self, row: str, name: str, other: str, other_row: str = "") -> float | None:
        """One gateway's median by another's."""
        ours, theirs = self.median(row, name), self.median(other_row or row, other)
        return None if ours is None or not theirs else ours / theirs

    def table(self, *beside: str) -> list[str]:
        """A Markdown table; the first gateway's ratio to each of those `beside` stands behind the figures."""
        measured = [name for name in beside if name in self.names]
        heads = [*self.names, *(f"{self.names[0]} ÷ {name}" for name in measured)]
        rows = [
            [f"{row.name}, {row.unit}", *(self._cell(row.key, name) for name in self.names)]
            + [_times(self.ratio(row.key, self.names[0], name)) for name in measured]
            for row in ROWS
            if any((row.key, name) in self.figures for name in self.names)
        ]
        return ["| | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads), *map(_joined, rows)]

    def reasons(self) -> list[str]:
        """A Markdown list of what is missing, and why."""
        return [f"* {what}: {reason}" for what, reason in self.missing.items()]

    def _cell(self, row: str, name: str) -> str:
        median = self.median(row, name)
        if median is None:
            return "—"
        figures = self.figures[row, name]
        ends = f" ({number(min(figures))}–{number(max(figures))})" if len(figures) > 1 else ""
        return number(median) + ends


async def compare(subjects: Sequence[Subject], direct: Target, pace: Pace) -> Comparison:
    """Rounds in which the gateways take turns at each measurement; memory comes last, once."""
    found = Comparison([subject.name for subject in subjects])
    for subject in subjects:
        found.add(subject.name, {"idle_mib": subject.idle_mib})
        await _ready(found, subject)
    subjects = [subject for subject in subjects if subject.name not in found.missing]
    for turn in range(pace.rounds):
        print(f"round {turn + 1} of {pace.rounds}", file=sys.stderr)
        await _turn(found, subjects, direct, pace, measure.IN_ROUNDS)
    print("streams that stay open", file=sys.stderr)
    await _turn(found, subjects, direct, pace, [measure.memory])
    return found


async def _ready(found: Comparison, subject: Subject) -> None:
    try:
        await measure.ready(subject)
    except LoadError as error:
        found.missing[subject.name] = str(error)[:300]
        print(f"{subject.name}: {error}", file=sys.stderr)


async def _turn(
    found: Comparison, subjects: Sequence[Subject], direct: Target, pace: Pace, measures: Iterable[Measure]
) -> None:
    for each in measures:
        for subject in subjects:
            what = f"{subject.name}, {each.__name__.replace('_', ' ')}"
            if what in found.missing:
                continue
            try:
                async with asyncio.timeout(MEASURE_SECONDS + 4 * pace.seconds):
                    found.add(subject.name, await each(subject, direct, pace))
            except (LoadError, TimeoutError) as error:
                found.missing[what] = (str(error).splitlines() or ["it took too long"])[0][:200]
                print(f"{what}: {found.missing[what]}", file=sys.stderr)


def _times(ratio: float | None) -> str:
    return "—" if ratio is None else f"{ratio:.3g}"


def _joined(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
