"""`python -m bench.workers`: how much more several workers serve than one process, on all cores of this machine.

Two gateways with everything on run side by side, one with one process and one with several. They are loaded in turns,
so that what else the machine does meets both, and the ratio of the medians is what counts. The load generator and the
mock run on the same cores: with two cores the ratio is what is left after these.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
from dataclasses import replace

from bench.gateway import Subject, everything_on
from bench.load import closed_loop
from bench.measure import CONNECTIONS, WARM_UP_SECONDS
from bench.stand import stand


async def compare(workers: int, rounds: int, seconds: float) -> dict[int, list[float]]:
    """Requests per second in each round, by the number of workers."""
    async with stand() as (backing, place):
        everywhere = set(range(os.cpu_count() or 1))
        os.sched_setaffinity(0, everywhere)
        both = replace(backing, cores=everywhere, tls=None)
        several = {"WORKERS": str(workers)}
        async with (
            everything_on(both, place / "one", name="one") as one,
            everything_on(both, place / "several", name="several", more=several) as others,
        ):
            subjects = {1: one, workers: others}
            for subject in subjects.values():
                await closed_loop(subject.target, CONNECTIONS, WARM_UP_SECONDS)
            found: dict[int, list[float]] = {count: [] for count in subjects}
            for _ in range(rounds):
                for count, subject in subjects.items():
                    found[count].append(await _per_second(subject, seconds))
            return found


async def _per_second(subject: Subject, seconds: float) -> float:
    return (await closed_loop(subject.target, CONNECTIONS, seconds)).per_second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each load")
    options = parser.parse_args()
    found = asyncio.run(compare(options.workers, options.rounds, options.seconds))
    for count, figures in found.items():
        print(f"{count} workers: {', '.join(f'{each:.0f}' for each in figures)} requests/s")
    one, several = (statistics.median(figures) for figures in found.values())
    print(f"ratio {several / one:.2f}")


if __name__ == "__main__":
    main()
