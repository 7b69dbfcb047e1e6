"""`python -m bench.workers`: how much more several workers serve than one process, on all cores of this machine.

Two gateways with everything on run side by side, one with one process and one with several. They are loaded in turns,
so that what else the machine does meets both, and the ratio of the medians is what counts. The load generator and the
mock run on the same cores: with two cores the ratio is what is left after these. Beside it stand the CPU microseconds
of a request in each kind of process, as the kernel counts them: what else the machine does changes these less.

Each worker builds what it needs once (the table of an encoding takes a second of CPU): that is over before it is
measured.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.gateway import Subject, everything_on
from bench.load import closed_loop
from bench.measure import CONNECTIONS, REST_SECONDS, WARM_UP_SECONDS
from bench.process import family, own_cpu_seconds
from bench.stand import stand
from server.workers.role import Role


@dataclass
class Measured:
    """What was found of one gateway: requests per second in each round, and CPU microseconds by kind of process."""

    per_second: list[float] = field(default_factory=list)
    cpu: list[dict[str, float]] = field(default_factory=list)

    def median_cpu(self) -> dict[str, float]:
        """Of each kind of process."""
        return {kind: statistics.median(each[kind] for each in self.cpu) for kind in sorted(self.cpu[0])}

    def lines(self, name: str) -> list[str]:
        """As it is printed."""
        cpu = self.median_cpu()
        parts = ", ".join(f"{kind} {figure:.0f}" for kind, figure in cpu.items())
        return [
            f"{name}: {', '.join(f'{each:.0f}' for each in self.per_second)} requests/s",
            f"    {sum(cpu.values()):.0f} µs of CPU a request: {parts}",
        ]


async def compare(workers: int, rounds: int, seconds: float, connections: int) -> dict[int, Measured]:
    """What was found, by the number of workers."""
    async with stand() as (backing, place):
        everywhere = set(range(os.cpu_count() or 1))
        for each in family(os.getpid()):
            os.sched_setaffinity(each, everywhere)
        both = replace(backing, cores=everywhere, tls=None)
        several = {"WORKERS": str(workers)}
        async with (
            everything_on(both, place / "one", name="one") as one,
            everything_on(both, place / "several", name="several", more=several) as others,
        ):
            subjects = {1: one, workers: others}
            for subject in subjects.values():
                await closed_loop(subject.target, connections, WARM_UP_SECONDS)
                await asyncio.sleep(REST_SECONDS)
                await closed_loop(subject.target, connections, WARM_UP_SECONDS)
            found = {count: Measured() for count in subjects}
            for _ in range(rounds):
                for count, subject in subjects.items():
                    await _measure(subject, seconds, connections, found[count])
            return found


async def _measure(subject: Subject, seconds: float, connections: int, found: Measured) -> None:
    before = _cpu(subject.pid)
    load = await closed_loop(subject.target, connections, seconds)
    after, each_us = _cpu(subject.pid), 1e6 / len(load.latencies)
    found.per_second.append(load.per_second)
    found.cpu.append({kind: (seconds - before[kind]) * each_us for kind, seconds in after.items()})


def _cpu(pid: int) -> dict[str, float]:
    """CPU seconds by kind of process."""
    found: dict[str, float] = defaultdict(float)
    for each in family(pid):
        found[kind_of(each)] += own_cpu_seconds(each)
    return found


def kind_of(pid: int) -> str:
    """What a process of a gateway is: "pool", "worker", or its first one."""
    with suppress(OSError, ValueError):
        last = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").rpartition(b"\0")[2].decode()
        return Role.read(last).kind
    return "first"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each load")
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    options = parser.parse_args()
    found = asyncio.run(compare(options.workers, options.rounds, options.seconds, options.connections))
    for count, measured in found.items():
        print("\n".join(measured.lines(f"{count} workers" if count > 1 else "one process")))
    one, several = (statistics.median(measured.per_second) for measured in found.values())
    print(f"ratio {several / one:.2f}")


if __name__ == "__main__":
    main()
