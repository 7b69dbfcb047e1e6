"""`python -m bench`: measure the gateway with everything switched on, and print its figures; exit 1 if one misses its
bar.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import importlib.util
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from bench import bars, children, flame, page, report
from bench.comparison import Comparison, compare
from bench.gateway import COMMAND, Backing, Subject, everything_on, shared_key
from bench.load import LoadError
from bench.measure import QUICK, THOROUGH, Pace
from bench.mongodb import mongodb
from bench.stand import stand

NOTES = """
MongoDB is SecantusDB here, a server of MongoDB's protocol that acknowledges what is on the disk; it is not MongoDB
itself. It shares the core of the load generator. A row without figures was not measured in this run.
"""


def main() -> int:
    """Parse the options, measure, print."""
    options = _options()
    try:
        if options.flame:
            children.run(flame.record(options.command, options.quick))
            return 0
        found = children.run(_measure(options.command, _pace(options)))
    except (LoadError, TimeoutError, asyncio.CancelledError) as error:
        print(f"nothing to measure: {error!r}" if not str(error) else f"nothing to measure: {error}", file=sys.stderr)
        return 2
    lines = bars.of_the_gateway(found)
    print("\n".join([*found.table(), "", *found.reasons(), "", report.table(lines)]))
    if options.write:
        body = [*report.markdown(lines), "", *found.table(), *NOTES.splitlines(), "", *found.reasons()]
        page.write("gateway", "python -m bench --write", body)
    return 0 if all(line.kept for line in lines) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round, shorter: about a minute")
    parser.add_argument("--write", action="store_true", help=f"write its section of {page.PAGE}")
    parser.add_argument("--flame", action="store_true", help=f"draw {flame.PICTURE} and write its section instead")
    parser.add_argument(
        "--command", default=COMMAND, help="what to start instead of the gateway; it gets the same environment"
    )
    return parser.parse_args()


def _pace(options: argparse.Namespace) -> Pace:
    """Nearly ten thousand streams, as many as 20,000 descriptors allow, are for the gateway alone."""
    return QUICK if options.quick else dataclasses.replace(THOROUGH, steps=(*THOROUGH.steps, 9_900))


async def _measure(command: str, pace: Pace) -> Comparison:
    async with stand(command) as (backing, place), contextlib.AsyncExitStack() as stack:
        subjects = [
            await stack.enter_async_context(everything_on(backing, place / "on")),
            await stack.enter_async_context(shared_key(backing, place / "shared")),
        ]
        missing = {}
        try:
            subjects.append(await stack.enter_async_context(_on_mongodb(backing, place)))
        except LoadError as error:
            missing[bars.MONGODB] = str(error)[:300]
        found = await compare(subjects, backing.plain, pace)
        found.missing |= missing
        return found


@contextlib.asynccontextmanager
async def _on_mongodb(backing: Backing, place: Path) -> AsyncIterator[Subject]:
    if not importlib.util.find_spec("secantus"):
        raise LoadError("SecantusDB is not installed: it is in the dev extra, below Python 3.14")
    async with (
        mongodb(backing.own_cores, place / "mongo") as url,
        everything_on(backing, place / "on-mongo", url, bars.MONGODB) as subject,
    ):
        yield subject


if __name__ == "__main__":
    sys.exit(main())
