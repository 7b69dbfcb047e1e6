"""Line plots as SVG, drawn by hand: readable in a light and in a dark page, without scripts or fonts of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 76, 196, 40, 52  # margins; the right one holds the legend
HEADROOM = 1.08  # of the vertical axis
TICKS = 5
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 15px }
.axis { stroke: #59636e; stroke-width: 1 }
.grid { stroke: #d1d9e0; stroke-width: 1 }
.curve { fill: none; stroke-width: 2 }
.c0 { stroke: #bc4c00 } .c1 { stroke: #8250df } .c2 { stroke: #bf3989 } .c3 { stroke: #9a6700 }
.c4 { stroke: #1a7f37 } .c5 { stroke: #0969da }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .axis { stroke: #9198a1 } .grid { stroke: #3d444d }
.c0 { stroke: #ffa657 } .c1 { stroke: #be8fff } .c2 { stroke: #ff80c8 } .c3 { stroke: #e3b341 }
.c4 { stroke: #56d364 } .c5 { stroke: #58a6ff }
}"""
DASHES = ("", "7 4", "2 3", "", "7 4", "")  # a colour is never the only difference
COLOURS = len(DASHES)


@dataclass(frozen=True, slots=True)
class Line:
    """A named curve. Curves of one name look the same."""

    name: str
    points: list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Plot:
    """Curves over a linear or a logarithmic axis."""

    title: str
    across: str
    up: str
    lines: list[Line]
    logarithmic: bool = False

    def svg(self) -> str:
        """The picture."""
        axes = _Axes(self)
        names = list(dict.fromkeys(line.name for line in self.lines))
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
            f"<title>{escape(self.title)}</title><style>{STYLE}</style>",
            _text(LEFT, 22, self.title, "title"),
            *axes.drawn(),
            *(_curve(line, names.index(line.name), axes) for line in self.lines),
            *_legend(names),
            _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, self.across, anchor="middle"),
            f'<g transform="rotate(-90 16 {HEIGHT / 2})">{_text(16, HEIGHT / 2, self.up, anchor="middle")}</g>',
            "</svg>",
        ]
        return "\n".join(parts) + "\n"


class _Axes:
    """Turns values into places."""

    def __init__(self, plot: Plot) -> None:
        xs = [x for line in plot.lines for x, _ in line.points]
        ys = [y for line in plot.lines for _, y in line.points]
        self.logarithmic = plot.logarithmic
        self.left = float(floor(log10(min(xs)))) if plot.logarithmic else 0.0
        self.right = float(ceil(log10(max(xs)))) if plot.logarithmic else max(xs)
        self.bottom, self.top = min(0.0, min(ys) * HEADROOM), max(0.0, max(ys) * HEADROOM) or 1.0

    def x(self, value: float) -> float:
        place = log10(value) if self.logarithmic else value
        return LEFT + (place - self.left) / (self.right - self.left) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (value - self.bottom) / (self.top - self.bottom) * (HEIGHT - TOP - BOTTOM)

    def drawn(self) -> Iterable[str]:
        for value in self._across():
            yield _rule(self.x(value), TOP, self.x(value), HEIGHT - BOTTOM, "grid")
            yield _text(self.x(value), HEIGHT - BOTTOM + 18, f"{value:g}", anchor="middle")
        for value in _ticks(self.bottom, self.top):
            yield _rule(LEFT, self.y(value), WIDTH - RIGHT, self.y(value), "axis" if value == 0 else "grid")
            yield _text(LEFT - 8, self.y(value) + 4, f"{value:g}", anchor="end")
        yield _rule(LEFT, TOP, LEFT, HEIGHT - BOTTOM, "axis")

    def _across(self) -> list[float]:
        if self.logarithmic:
            return [10.0**power for power in range(int(self.left), int(self.right) + 1)]
        return _ticks(self.left, self.right)


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers."""
    rough = (high - low) / TICKS
    power = 10.0 ** floor(log10(rough))
    step = next(each * power for each in (1, 2, 5, 10) if each * power >= rough)
    return [round(number * step, 10) for number in range(ceil(low / step), floor(high / step) + 1)]


def _curve(line: Line, number: int, axes: _Axes) -> str:
    points = " ".join(f"{axes.x(x):.1f},{axes.y(y):.1f}" for x, y in line.points)
    return f'<polyline class="curve c{number % COLOURS}"{_dash(number)} points="{points}"/>'


def _legend(names: list[str]) -> Iterable[str]:
    left = WIDTH - RIGHT + 14
    for number, name in enumerate(names):
        middle = TOP + 12 + 22 * number
        yield f'<path class="curve c{number % COLOURS}"{_dash(number)} d="M{left} {middle}h24"/>'
        yield _text(left + 30, middle + 4, name)


def _dash(number: int) -> str:
    dash = DASHES[number % COLOURS]
    return f' stroke-dasharray="{dash}"' if dash else ""


def _rule(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text{style} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
