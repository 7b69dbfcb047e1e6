"""`python -m bench`: measure the gateway and print the figures beside their bars; exit 1 if a bar is missed."""

from __future__ import annotations

import argparse
import datetime
import os
import resource
import shlex
import sys
import tempfile
from pathlib import Path

from bench import measure, report
from bench.gateway import gateway, mock_upstream
from bench.load import LoadError


def main() -> int:
    """Parse the options, measure, print."""
    options = _options()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        found = _run(shlex.split(options.command), measure.QUICK if options.quick else measure.THOROUGH)
    except LoadError as error:
        print(f"nothing to measure: {error}", file=sys.stderr)
        return 2
    print(report.table(found))
    if options.write:
        report.PAGE.write_text(report.page(found, datetime.date.today().isoformat()), encoding="utf-8")
    return 0 if all(line.kept for line in found) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round, shorter: about half a minute")
    parser.add_argument("--write", action="store_true", help=f"write {report.PAGE}")
    parser.add_argument(
        "--command",
        default=f"{shlex.quote(sys.executable)} -m server",
        help="what to start instead of the gateway; it gets the same environment",
    )
    return parser.parse_args()


def _run(command: list[str], pace: measure.Pace) -> list[report.Line]:
    import uvloop

    return uvloop.run(_measure(command, pace))


async def _measure(command: list[str], pace: measure.Pace) -> list[report.Line]:
    ours, theirs = _cores()
    os.sched_setaffinity(0, ours)
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        async with (
            mock_upstream(ours) as direct,
            gateway(command, direct, theirs, Path(place)) as (through, pid),
        ):
            requests = await measure.requests(direct, through, pid, pace)
            chunks = await measure.chunks(through, pid, pace)
            memory = await measure.memory(through, pid, pace)
    return report.lines(requests, chunks, memory)


def _cores() -> tuple[set[int], set[int]]:
    """The core of the load and the mock, and the gateway's; with only one they share it."""
    cores = sorted(os.sched_getaffinity(0))
    return {cores[0]}, {cores[-1]}


if __name__ == "__main__":
    sys.exit(main())
