"""What the kernel counts of a process and its descendants: CPU, memory, descriptors, threads."""

from __future__ import annotations

import os
import re
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    parents = {each: int(fields[1]) for each in _processes() if (fields := _stat(each))}
    found = [pid]
    for each in found:
        found += [other for other, parent in parents.items() if parent == each]
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time that they have used so far, those that have ended and were waited for included."""
    return sum(sum(map(int, fields[11:15])) for each in family(pid) if (fields := _stat(each))) / TICKS


def own_cpu_seconds(pid: int) -> float:
    """User and system time of a process alone, without its descendants."""
    fields = _stat(pid)
    return sum(map(int, fields[11:13])) / TICKS if fields else 0.0


def main_thread_seconds(pid: int) -> float:
    """User and system time of a process's first thread: in the gateway, the event loop's."""
    fields = (PROC / str(pid) / "task" / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def pss_kib(pid: int) -> int:
    """Their proportional share of memory, in KiB."""
    return sum(_pss(each) for each in family(pid))


def descriptors(pid: int) -> int:
    """Open descriptors of the process itself."""
    return len(list((PROC / str(pid) / "fd").iterdir()))


def threads(pid: int) -> int:
    """Threads of the process itself."""
    return len(list((PROC / str(pid) / "task").iterdir()))


def _pss(pid: int) -> int:
    try:
        found = re.search(r"^Pss: +(\d+) kB", (PROC / str(pid) / "smaps_rollup").read_text(), re.MULTILINE)
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(found[1]) if found else 0


def _processes() -> list[int]:
    return [int(path.name) for path in PROC.iterdir() if path.name.isdigit()]


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name: state, parent, ...; none if the process is gone."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
