"""Where the marks of a chart go: numbers in, geometry out. `templates/charts.html` draws it as inline SVG.

Widths are per cent, so that a chart is as wide as its place without its words being stretched; heights are pixels. A
mark never has a height that is not in the data, but what is not nothing is at least one pixel high: a day with a single
request must not look like a day with none. Each chart holds its numbers, too, for the table that stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import log10

from web.view import KEY_STATES, HourView, Ladder, ModelView
from web.view_me import Cell
from web.view_public import Measure
from web.wording import Wording

SERIES = 5  # models with a colour of their own; the rest is "other"
OTHER = Wording("other")
HOURS = 24
MOST_DAYS = 400
HOUR_MS = 3_600_000
_GAP = 0.22  # of a column, between two
_SHORTEST, _LONGEST = 0.05, 300.0  # seconds: the ends of a ladder


@dataclass(frozen=True, slots=True)
class Mark:
    """A rectangle: x and width in per cent, y and height in pixels, and which colour (a class of the style sheet)."""

    x: float
    width: float
    y: float
    height: float
    tone: str


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a chart: its marks, and what it says in words. `x` and `width`: its place, with the gap around."""

    label: str
    total: int
    marks: tuple[Mark, ...]
    parts: tuple[tuple[str, int], ...] = ()  # (series, value), those that are not 0
    x: float = 0.0
    width: float = 0.0


@dataclass(frozen=True, slots=True)
class Bars:
    """Columns side by side. `series` are (tone, name, total), the largest first.

    The axis ends at `end`, a round value that is not below the largest column's, `top`.
    """

    columns: tuple[Column, ...]
    top: int
    height: int
    series: tuple[tuple[str, str, int], ...] = ()
    end: int = 0

    @property
    def total(self) -> int:
        return sum(column.total for column in self.columns)

    @property
    def ticks(self) -> list[tuple[int, float]]:
        """The lines of the axis: (value, y in pixels), from the base up."""
        step = round_step(self.end)
        return [(value, _two(self.height * (1 - value / self.end))) for value in range(0, self.end + 1, step)]

    @property
    def dates(self) -> list[Column]:
        """At most five columns, in even distances, that are named below the axis."""
        every = max(1, -(-len(self.columns) // 5))
        return list(self.columns[(len(self.columns) - 1) % every :: every])


def round_step(top: int) -> int:
    """A step of 1, 2 or 5 times a power of ten, at most four of which reach so far."""
    step = 1
    while top > 4 * step:
        step = step * 5 // 2 if str(step)[0] == "2" else 2 * step
    return step


def round_end(top: int) -> int:
    """The first whole step that is not below, and at least one."""
    step = round_step(top)
    return max(1, -(-top // step)) * step


# --- by day and model


def daily(cells: Iterable[Cell], first: str, last: str, by: Measure, height: int = 160) -> Bars:
    """The usage of each day, stacked by model."""
    days = _days(first, last)
    values: dict[str, dict[str, int]] = {name: {} for name in days}
    for cell in cells:
        if cell.day in values:
            of_day = values[cell.day]
            of_day[cell.model] = of_day.get(cell.model, 0) + measured(cell, by)
    return stacked(values, height)


def measured(cell: Cell, by: Measure) -> int:
    """A cell's figure by a measure."""
    if by == "cost":
        return cell.micro_usd
    return cell.tokens_in + cell.tokens_out if by == "tokens" else cell.requests


@dataclass(frozen=True, slots=True)
class Share:
    """A model's part: how much, which share of all (of 1), and how wide its bar is in per cent of the widest."""

    name: str
    value: int
    share: float
    width: float


def shares(cells: Iterable[Cell], by: Measure) -> list[Share]:
    """What each model has of all, the largest first."""
    totals: dict[str, int] = {}
    for cell in cells:
        totals[cell.model] = totals.get(cell.model, 0) + measured(cell, by)
    ranked = sorted((pair for pair in totals.items() if pair[1]), key=lambda pair: (-pair[1], pair[0]))
    total = sum(value for _, value in ranked)
    return [Share(name, value, value / total, _two(100 * value / ranked[0][1])) for name, value in ranked]


def stacked(values: Mapping[str, Mapping[str, int]], height: int) -> Bars:
    """Columns of parts: label -> part -> value. The largest parts of all keep a colour, the others share one."""
    totals: dict[str, int] = {}
    for parts in values.values():
        for name, value in parts.items():
            totals[name] = totals.get(name, 0) + value
    ranked = sorted((name for name in totals if totals[name]), key=lambda name: (-totals[name], name))
    series = [(f"c{place}", name, totals[name]) for place, name in enumerate(ranked[:SERIES], 1)]
    tones = {name: tone for tone, name, _ in series}
    if rest := sum(totals[name] for name in ranked[SERIES:]):
        series.append(("c0", OTHER, rest))
    top = max((sum(parts.values()) for parts in values.values()), default=0)
    end, slot = round_end(top), 100 / max(1, len(values))
    columns = tuple(
        _column(label, _folded(parts, tones), series, place * slot, slot, end, height)
        for place, (label, parts) in enumerate(values.items())
    )
    return Bars(columns, top, height, tuple(series), end)


def _folded(parts: Mapping[str, int], tones: Mapping[str, str]) -> dict[str, int]:
    """The parts by tone."""
    folded: dict[str, int] = {}
    for name, value in parts.items():
        tone = tones.get(name, "c0")
        folded[tone] = folded.get(tone, 0) + value
    return folded


def _column(
    label: str,
    parts: Mapping[str, int],
    series: Sequence[tuple[str, str, int]],
    x: float,
    slot: float,
    end: int,
    height: int,
) -> Column:
    marks, y, said = [], float(height), []
    for tone, name, _ in series:
        if value := parts.get(tone, 0):
            tall = _tall(value, end, height)
            y = max(0.0, y - tall)
            marks.append(Mark(_two(x + slot * _GAP / 2), _two(slot * (1 - _GAP)), _two(y), tall, tone))
            said.append((name, value))
    return Column(label, sum(parts.values()), tuple(marks), tuple(said), _two(x), _two(slot))


def _tall(value: int, top: int, height: int) -> float:
    return max(1.0, _two(height * value / top)) if top else 0.0


def _days(first: str, last: str) -> list[str]:
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    count = min(MOST_DAYS, max(0, (end - start).days + 1))
    return [(end - timedelta(days=back)).isoformat() for back in reversed(range(count))]


# --- by hour


def last_hours(rows: Iterable[tuple[int, str, int]], now: int, count: int = 48, height: int = 160) -> Bars:
    """(start of an hour in UTC ms, model, requests) of so many hours before the one of `now`, stacked by model.

    A column's label is the start of its hour, in digits.
    """
    end = now - now % HOUR_MS
    values: dict[int, dict[str, int]] = {hour: {} for hour in range(end - count * HOUR_MS, end, HOUR_MS)}
    for hour, model, requests in rows:
        if hour in values:
            values[hour][model] = values[hour].get(model, 0) + requests
    return stacked({str(hour): parts for hour, parts in values.items()}, height)


def heat(hours: Sequence[HourView], labels: Sequence[str], height: int = 96) -> Bars:
    """The hours of a day: as high as there were requests, as strong in colour as the slots were in use.

    A young record stands at the right; what was before it is left empty.
    """
    top = max((hour.requests for hour in hours), default=0)
    end, slot, before = round_end(top), 100 / HOURS, HOURS - len(hours)
    columns = []
    for place, (hour, label) in enumerate(zip(hours, labels, strict=True), before):
        tall = _tall(hour.requests, end, height) if hour.requests else 1.0
        mark = Mark(
            _two(place * slot + slot * 0.06), _two(slot * 0.88), _two(height - tall), tall, heat_tone(hour.busy)
        )
        columns.append(Column(label, hour.requests, (mark,), x=_two(place * slot), width=_two(slot)))
    return Bars(tuple(columns), top, height, end=end)


def heat_tone(busy: float | None) -> str:
    """One of five strengths; "unwatched" if it was not measured."""
    return "unwatched" if busy is None else f"h{min(4, int(busy * 5))}"


# --- small ones


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a bar, in per cent of its width."""

    state: str
    start: float
    width: float


def key_segments(model: ModelView) -> list[Segment]:
    """The bar of keys: each state as wide as its share."""
    total = sum(model.keys.values())
    segments, start = [], 0.0
    for state in KEY_STATES:
        if model.keys.get(state):
            width = 100 * model.keys[state] / total
            segments.append(Segment(state, _two(start), _two(width)))
            start += width
    return segments


def filled(taken: float, most: float) -> float:
    """How full a meter is, in per cent. What is over its limit is full; of nothing, all is taken."""
    return _two(min(100.0, 100 * taken / most)) if most else 100.0


def tightness(taken: float, most: float) -> str:
    """How near a limit is, as a class: "easy" below three quarters, "near" below all, "full"."""
    return "full" if taken >= most else "near" if taken >= 0.75 * most else "easy"


def uptime(days: Sequence[float | None], height: int = 22) -> dict[str, str]:
    """A bar for each day, 3 wide with the gap: the outlines of what was "up", "down" and "unwatched".

    The part of a day that was down hangs from the top and is never too thin to be seen.
    """
    outlines: dict[str, str] = {"up": "", "down": "", "unwatched": ""}
    for place, share in enumerate(days):
        if share is None:
            outlines["unwatched"] += _bar(place, height - 2, 2)
            continue
        down = 0.0 if share >= 1 else max(3.0, round(height * (1 - share), 1))
        if down < height:
            outlines["up"] += _bar(place, down, height - down)
        if down:
            outlines["down"] += _bar(place, 0, down)
    return {tone: outline for tone, outline in outlines.items() if outline}


def _bar(place: int, y: float, height: float) -> str:
    return f"M{3 * place} {y:g}h2v{height:g}h-2z"


def rungs(ladder: Ladder) -> tuple[float, float, float]:
    """Where the 50th, 90th and 99th percentile stand, in per cent of a logarithmic scale from 50 ms to 5 min."""
    return _rung(ladder.p50), _rung(ladder.p90), _rung(ladder.p99)


def _rung(value: float) -> float:
    within = min(_LONGEST, max(_SHORTEST, value))
    return _two(100 * log10(within / _SHORTEST) / log10(_LONGEST / _SHORTEST))


def _two(number: float) -> float:
    """Two decimals: as fine as an eye can see, and a page without endless digits."""
    return round(number, 2)
