"""What is measured: the same requests direct and through the gateway, CPU and memory as the kernel counts them."""

from __future__ import annotations

import asyncio
import os
import re
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.load import Loop, Streams, Target, closed_loop

TICKS = os.sysconf("SC_CLK_TCK")
CONNECTIONS = 32
CHUNK_STREAMS, CHUNKS_PER_SECOND = 20, 2000
RAMP_PER_SECOND = 400.0
STREAM_STEPS = (1000, 5000)


@dataclass(frozen=True, slots=True)
class Pace:
    """How thorough a run is: rounds of requests and seconds for each measurement."""

    rounds: int
    seconds: float


THOROUGH = Pace(3, 4.0)
QUICK = Pace(1, 2.0)


@dataclass(frozen=True, slots=True)
class Requests:
    """Plain requests: per second at 32 connections, microseconds for the rest."""

    direct_per_second: float
    per_second: float
    cpu_us: float
    added_p50_us: float
    added_p99_us: float


@dataclass(frozen=True, slots=True)
class Chunks:
    """A relayed stream's chunk."""

    delivered_per_second: float
    cpu_us: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Open streams: how many, the memory that each takes, and how much of a core they keep busy."""

    streams: int
    kib_per_stream: float
    delivered_per_second: float
    cores: float


def cpu_seconds(pid: int) -> float:
    """User and system time that a process (all its threads) has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def pss_kib(pid: int) -> int:
    """A process's proportional share of memory, in KiB."""
    found = re.search(r"^Pss: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


async def requests(direct: Target, through: Target, pid: int, pace: Pace) -> Requests:
    """Interleaved rounds, medians."""
    for target in (direct, through):
        await closed_loop(target, CONNECTIONS, pace.seconds / 4)
    rounds = [await _round(direct, through, pid, pace.seconds) for _ in range(pace.rounds)]

    def median(of: Callable[[Requests], float]) -> float:
        return statistics.median(of(each) for each in rounds)

    return Requests(
        median(lambda each: each.direct_per_second),
        median(lambda each: each.per_second),
        median(lambda each: each.cpu_us),
        median(lambda each: each.added_p50_us),
        median(lambda each: each.added_p99_us),
    )


async def _round(direct: Target, through: Target, pid: int, seconds: float) -> Requests:
    busy_direct = await closed_loop(direct, CONNECTIONS, seconds / 2)
    before = cpu_seconds(pid)
    busy = await closed_loop(through, CONNECTIONS, seconds)
    cpu = cpu_seconds(pid) - before
    alone_direct = await closed_loop(direct, 1, seconds / 4)
    alone = await closed_loop(through, 1, seconds / 2)
    return Requests(
        busy_direct.per_second,
        busy.per_second,
        cpu * 1e6 / len(busy.latencies),
        _added(alone, alone_direct, 0.5),
        _added(alone, alone_direct, 0.99),
    )


def _added(through: Loop, direct: Loop, share: float) -> float:
    return (through.percentile(share) - direct.percentile(share)) * 1e6


async def chunks(through: Target, pid: int, pace: Pace) -> Chunks:
    """Twenty streams of a hundred chunks per second each."""
    streams = Streams(through)
    await streams.open(CHUNK_STREAMS, CHUNK_STREAMS / CHUNKS_PER_SECOND, RAMP_PER_SECOND)
    delivered, cpu = await _window(streams, pid, pace.seconds)
    await streams.close()
    return Chunks(delivered / pace.seconds, cpu * 1e6 / delivered)


async def memory(through: Target, pid: int, pace: Pace) -> list[Memory]:
    """A thousand and then five thousand streams of one chunk per second each."""
    streams = Streams(through)
    empty = pss_kib(pid)
    found = []
    for step in STREAM_STEPS:
        await streams.open(step - streams.count, 1.0, RAMP_PER_SECOND)
        delivered, cpu = await _window(streams, pid, pace.seconds)
        kib = (pss_kib(pid) - empty) / step
        found.append(Memory(step, kib, delivered / pace.seconds, cpu / pace.seconds))
    await streams.close()
    return found


async def _window(streams: Streams, pid: int, seconds: float) -> tuple[int, float]:
    """Chunks delivered and CPU seconds used while so many seconds pass."""
    chunks_before, cpu_before = streams.chunks, cpu_seconds(pid)
    await asyncio.sleep(seconds)
    streams.check()
    return streams.chunks - chunks_before, cpu_seconds(pid) - cpu_before
