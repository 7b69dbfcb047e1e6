"""`python -m bench.soak`: the gateway with all on at half of the load that it bears; what grows, and what is left.

Plain requests arrive at a steady rate, and streams come and are left in the middle. Memory is looked at all the while;
descriptors, threads, tasks and timers before the load and after it. Exit 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shlex
import signal
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import children, page, process, report
from bench.gateway import Subject, everything_on
from bench.load import LoadError, closed_loop, steady
from bench.measure import ready
from bench.report import Line
from bench.stand import stand
from bench.streams import Streams

MINUTES = 20.0
SHARE = 0.5  # of the requests per second that it can bear
CONNECTIONS = 32
STREAMS, STREAM_SECONDS = 20, 10.0
FULL_SECONDS = 4.0  # for which the gateway is full, to know what that is
SAMPLES = 120
SETTLED = 0.25  # of the run: what memory does before is the start
REST_SECONDS = 75.0  # before and behind the load: longer than an idle connection to the upstream is kept
GROWTH_BAR = 1.0  # MiB an hour
COMMAND = f"{shlex.quote(sys.executable)} -m bench.watched"
WATCHED = "alive.json"


@dataclass(frozen=True, slots=True)
class Alive:
    """What exists at one moment."""

    descriptors: int
    threads: int
    tasks: int
    timers: int


@dataclass(frozen=True, slots=True)
class Run:
    """One soak: its rate, memory (MiB) over time (seconds), what was alive before and after."""

    per_second: float
    requests: int
    memory: list[tuple[float, float]]
    before: Alive
    after: Alive


def main() -> int:
    """Parse the options, run, print."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=MINUTES, help="of load (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help=f"write its section of {page.PAGE}")
    options = parser.parse_args()
    try:
        run = children.run(_soak(options.minutes * 60))
    except (LoadError, TimeoutError, asyncio.CancelledError) as error:
        print(f"nothing to measure: {error or repr(error)}", file=sys.stderr)
        return 2
    lines = found(run)
    print(report.table(lines))
    if options.write:
        page.write("soak", f"python -m bench.soak --minutes {options.minutes:g} --write", report.markdown(lines))
    return 0 if all(line.kept for line in lines) else 1


def found(run: Run) -> list[Line]:
    """The figures beside their bars."""
    left = {
        "Descriptors left": run.after.descriptors - run.before.descriptors,
        "Threads left": run.after.threads - run.before.threads,
        "Tasks left": run.after.tasks - run.before.tasks,
        "Timers left": run.after.timers - run.before.timers,
    }
    return [
        Line("Requests/s, half of what it bears", run.per_second, "/s"),
        Line("Requests answered", run.requests, ""),
        Line("Memory at the end", run.memory[-1][1], "MiB"),
        Line("Memory grows by", growth_per_hour(settled(run.memory)), "MiB an hour", GROWTH_BAR),
        *(Line(name, figure, "", 0.0) for name, figure in left.items()),
    ]


def settled(samples: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Without the first part of a run."""
    begins = samples[0][0] + SETTLED * (samples[-1][0] - samples[0][0])
    return [(at, mib) for at, mib in samples if at >= begins]


def growth_per_hour(samples: Sequence[tuple[float, float]]) -> float:
    """MiB an hour: the slope of the line that is nearest to samples of (seconds, MiB)."""
    if len({at for at, _ in samples}) < 2:
        return 0.0
    at, mib = zip(*samples, strict=True)
    return statistics.linear_regression(at, mib).slope * 3600


async def _soak(seconds: float) -> Run:
    async with stand(COMMAND) as (backing, place):
        watched = {"BENCH_WATCHED": str(place / WATCHED)}
        async with everything_on(backing, place / "on", more=watched) as subject:
            await ready(subject)
            full = await closed_loop(subject.target, CONNECTIONS, FULL_SECONDS)
            await asyncio.sleep(REST_SECONDS)
            before = await _alive(subject, place / WATCHED)
            rate = full.per_second * SHARE
            memory, requests = await _load(subject, seconds, rate)
            await asyncio.sleep(REST_SECONDS)
            return Run(rate, requests, memory, before, await _alive(subject, place / WATCHED))


async def _load(subject: Subject, seconds: float, rate: float) -> tuple[list[tuple[float, float]], int]:
    """Memory over time, and the number of answers."""
    load = asyncio.ensure_future(steady(subject.target, CONNECTIONS, seconds, rate))
    streams = asyncio.ensure_future(_streams(subject))
    begun, memory = time.monotonic(), []
    try:
        while not load.done():
            memory.append((time.monotonic() - begun, process.pss_kib(subject.pid) / 1024))
            await asyncio.wait([load, streams], timeout=seconds / SAMPLES, return_when=asyncio.FIRST_COMPLETED)
            if streams.done():
                streams.result()
        return memory, len(load.result().latencies)
    finally:
        for each in (load, streams):
            each.cancel()
        await asyncio.gather(load, streams, return_exceptions=True)


async def _streams(subject: Subject) -> None:
    """Some streams, left in the middle, and again."""
    while True:
        streams = Streams(subject.target)
        try:
            await streams.open(STREAMS, 0.1, STREAMS)
            await asyncio.sleep(STREAM_SECONDS)
            streams.check()
        finally:
            await streams.close()


async def _alive(subject: Subject, path: Path) -> Alive:
    path.unlink(missing_ok=True)
    os.kill(subject.pid, signal.SIGUSR2)
    async with asyncio.timeout(children.PATIENCE_SECONDS):
        while not path.exists():
            await asyncio.sleep(0.1)
    inside = json.loads(path.read_text())
    return Alive(process.descriptors(subject.pid), process.threads(subject.pid), inside["tasks"], inside["timers"])


if __name__ == "__main__":
    sys.exit(main())
