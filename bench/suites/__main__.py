"""`python -m bench.suites`: the official SDKs' own tests through the gateway lose none but those that the docs name.

Each suite runs twice: against a mock that is built from its provider's public OpenAPI document, and against the gateway
before that mock. A test that passes the first time and fails the second is lost. `docs/sdk-suites.md` names those that
may be lost, each with its reason. Exit 1 if another one is lost, or if a row names none any more.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import children
from bench.load import LoadError
from bench.suites.run import Result, gateway, mock, results
from bench.suites.sdk import SDKS, Sdk

PAGE = Path("docs/sdk-suites.md")
_ROW = re.compile(r"^\| `(.+?)` \| (.+?) \|$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Loss:
    """A row of the page: whose tests, by a part of their names, and why they are lost."""

    sdk: str
    tests: re.Pattern[str]
    why: str


def main() -> int:
    """Parse the options, run, print."""
    parser = argparse.ArgumentParser(prog="python -m bench.suites", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=[sdk.name for sdk in SDKS], help="one of them")
    only = parser.parse_args().only
    try:
        kept = [children.run(_kept(sdk)) for sdk in SDKS if only in (None, sdk.name)]
    except (LoadError, TimeoutError, asyncio.CancelledError) as error:
        print(f"nothing to compare: {error or repr(error)}", file=sys.stderr)
        return 2
    return 0 if all(kept) else 1


async def _kept(sdk: Sdk) -> bool:
    await sdk.install()
    with tempfile.TemporaryDirectory(prefix="suites-") as name:
        place = Path(name)
        async with mock(sdk, place) as mock_port:
            direct = await results(sdk, f"http://127.0.0.1:{mock_port}", place)
            async with gateway(sdk, mock_port, place) as port:
                through = await results(sdk, f"http://127.0.0.1:{port}{sdk.below}", place)
    rows = [row for row in named(PAGE.read_text(encoding="utf-8")) if row.sdk == sdk.name]
    lines, kept = compared(direct, through, rows)
    print(f"{sdk.name} {sdk.version}: " + "\n".join(lines))
    return kept


def named(page: str) -> list[Loss]:
    """The exceptions that the page names: a table below the heading of each SDK."""
    found = []
    for section in page.split("\n## ")[1:]:
        sdk = section.partition("\n")[0].split()[0].strip("`")
        found += [Loss(sdk, re.compile(tests), why) for tests, why in _ROW.findall(section)]
    return found


def compared(
    direct: Mapping[str, Result], through: Mapping[str, Result], rows: Sequence[Loss]
) -> tuple[list[str], bool]:
    """What is to be said of the two runs, and whether the page says all that is lost and nothing else."""
    passed = [test for test, result in direct.items() if result.passed]
    lost = [test for test in passed if not through.get(test, Result(passed=False, why="did not run")).passed]
    unnamed = [test for test in lost if not any(row.tests.search(test) for row in rows)]
    idle = [row.tests.pattern for row in rows if not any(row.tests.search(test) for test in lost)]
    lines = [
        f"{len(passed)} of {len(direct)} tests pass against the mock, "
        f"{len(passed) - len(lost)} of these through the gateway",
        *(f"  lost: {test}: {through[test].why if test in through else 'did not run'}" for test in unnamed),
        *(f"  no test is lost any more by: {pattern}" for pattern in idle),
    ]
    return lines, not unnamed and not idle


if __name__ == "__main__":
    sys.exit(main())
