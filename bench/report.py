"""The figures beside their bars, as a table for the terminal and as docs/performance.md."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from bench.measure import CHUNKS_PER_SECOND, CONNECTIONS, Chunks, Memory, Requests

PAGE = Path("docs/performance.md")
INTRODUCTION = """# Performance

Written by `python -m bench --write`. The gateway runs as it always does, with its ledger in SQLite, on one core; the
mock upstream (1 KB of JSON; stream chunks of 170 bytes) and the load generator share another core. "Added" is the
latency through the gateway less the latency direct. CPU is what the kernel counted for the gateway's process, memory
its proportional set size. Both sides speak plain HTTP on the loopback: TLS adds its own cost.
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One figure and the bar that it must keep, if it has one."""

    name: str
    figure: float
    unit: str
    bar: float | None = None
    at_least: bool = False

    @property
    def kept(self) -> bool:
        """Whether the bar is kept."""
        if self.bar is None:
            return True
        return self.figure >= self.bar if self.at_least else self.figure <= self.bar

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """Name, figure, bar, verdict."""
        measured = f"{_number(self.figure)} {self.unit}"
        if self.bar is None:
            return self.name, measured, "", ""
        sign = "≥" if self.at_least else "≤"
        return self.name, measured, f"{sign} {_number(self.bar)}", "kept" if self.kept else "MISSED"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def lines(requests: Requests, chunks: Chunks, memory: list[Memory]) -> list[Line]:
    """All figures."""
    found = [
        Line(f"Requests per second, {CONNECTIONS} connections, one core", requests.per_second, "/s", 1000, True),
        Line("the same, direct to the mock", requests.direct_per_second, "/s"),
        Line("CPU per request", requests.cpu_us, "µs"),
        Line("Added latency, 1 connection, median", requests.added_p50_us / 1000, "ms", 1.5),
        Line("Added latency, 1 connection, 99th percentile", requests.added_p99_us / 1000, "ms"),
        Line(f"CPU per relayed chunk, {CHUNKS_PER_SECOND:,} chunks/s", chunks.cpu_us, "µs", 120),
        Line("chunks delivered there", chunks.delivered_per_second, "/s"),
    ]
    for step in memory:
        found.append(Line(f"Memory per open stream, {step.streams:,} streams", step.kib_per_stream, "KiB", 60))
        found.append(Line(f"chunks delivered with {step.streams:,} streams", step.delivered_per_second, "/s"))
        found.append(Line(f"of a core with {step.streams:,} streams", step.cores * 100, "%"))
    return found


def table(found: list[Line]) -> str:
    """The figures for a terminal."""
    rows = [("", "measured", "bar", ""), *(line.cells for line in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}".rstrip() for row in rows
    )


def page(found: list[Line], day: str) -> str:
    """The figures for the documentation."""
    rows = ["| | measured | bar | |", "|---|---:|---:|---|", *("| " + " | ".join(line.cells) + " |" for line in found)]
    return f"{INTRODUCTION}\nMeasured on {day}: {machine()}.\n\n" + "\n".join(rows) + "\n"


def machine() -> str:
    """Processor, cores, kernel and Python, in a few words."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    name = model[1] if model else platform.machine()
    return f"{name}, {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"
