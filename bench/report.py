"""Figures beside their bars, as a table for the terminal and for the documentation."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


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
        measured = f"{number(self.figure)} {self.unit}".rstrip()
        if self.bar is None:
            return self.name, measured, "", ""
        sign = "≥" if self.at_least else "≤"
        return self.name, measured, f"{sign} {number(self.bar)}", "kept" if self.kept else "MISSED"


def number(value: float) -> str:
    """A figure with three digits that say something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(found: Sequence[Line]) -> str:
    """The figures for a terminal."""
    rows = [("", "measured", "bar", ""), *(line.cells for line in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}".rstrip() for row in rows
    )


def markdown(found: Sequence[Line]) -> list[str]:
    """The figures for the documentation."""
    return ["| | measured | bar | |", "|---|---:|---:|---|", *("| " + " | ".join(line.cells) + " |" for line in found)]


def machine() -> str:
    """Processor, cores, kernel and Python, in a few words."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    name = model[1] if model else platform.machine()
    return f"{name}, {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"
