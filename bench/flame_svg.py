"""A flame graph as SVG: a box for each call, as wide as its share of the samples, over its caller.

Without scripts and fonts of its own. A box that would be narrower than a pixel or so is left out, which keeps the file
small; hovering over a box shows its function and share.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape

from bench.stacks import Stack

WIDTH, ROW = 1200, 17
MARGIN = 30
NARROWEST = 1.2  # pixels
LETTER = 6.6  # pixels
STYLE = "text{font:11px monospace;fill:#1f2328}.h{font:600 14px system-ui,sans-serif}rect{stroke:#fff;stroke-width:.4}"


@dataclass(slots=True)
class Call:
    """A function, in how many samples it stands there, and what it calls."""

    frame: str
    samples: int = 0
    calls: dict[str, Call] = field(default_factory=dict)


def tree(samples: Mapping[Stack, int]) -> Call:
    """All stacks as one tree."""
    root = Call("all")
    for stack, number in samples.items():
        root.samples += number
        call = root
        for frame in stack:
            call = call.calls.setdefault(frame, Call(frame))
            call.samples += number
    return root


def svg(samples: Mapping[Stack, int], title: str) -> str:
    """The picture, with the outermost calls at its foot."""
    boxes = list(_boxes(tree(samples), 0.0, 0))
    height = MARGIN + (1 + max(depth for depth, *_ in boxes)) * ROW
    drawn = [_drawn(height - (depth + 1) * ROW, x, width, frame, share) for depth, x, width, frame, share in boxes]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
    paper = f'<title>{escape(title)}</title><style>{STYLE}</style><rect width="{WIDTH}" height="{height}" fill="#fff"/>'
    return "\n".join([head, paper, f'<text class="h" x="8" y="20">{escape(title)}</text>', *drawn, "</svg>", ""])


def _boxes(root: Call, x: float, depth: int) -> Iterator[tuple[int, float, float, str, float]]:
    """Depth, left edge, width, function and share of all samples of each box that is wide enough."""
    waiting = [(root, x, depth)]
    while waiting:
        call, x, depth = waiting.pop()
        width = call.samples / root.samples * WIDTH
        if width < NARROWEST:
            continue
        yield depth, x, width, call.frame, call.samples / root.samples
        for each in sorted(call.calls.values(), key=lambda each: each.frame):
            waiting.append((each, x, depth + 1))
            x += each.samples / root.samples * WIDTH


def _drawn(y: int, x: float, width: float, frame: str, share: float) -> str:
    hue = 15 + zlib.crc32(frame.partition(" (")[2].encode()) % 45  # a file has one colour
    letters = int((width - 4) / LETTER)
    words = frame if len(frame) <= letters else f"{frame[: letters - 1]}…"
    text = f'<text x="{x + 2:.1f}" y="{y + 12}">{escape(words)}</text>' if letters >= 3 else ""
    box = f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{ROW - 1}" fill="hsl({hue} 90% 70%)"/>'
    return f"<g><title>{escape(frame)}: {share:.1%}</title>{box}{text}</g>"
