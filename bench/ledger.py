"""`python -m bench.ledger`: how long reports on a year's ledger take, and what a settlement costs; exit 1 if a bar is
missed.

The ledger is SQLite's. Every report is asked a few times and the median counts; an export is read to its end.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from bench.report import Line, table
from server.ledger.quota import Charge, Hold, Reservation, Settlement
from server.ledger.reports import By, Days, SumMeasure, Which
from server.store.base import Store
from server.store.sqlite.store import SqliteStore
from tests.store.many import FIRST, LAST, YEAR_BEGINS, fill
from tests.store.samples import usage_row

REPEATS = 5
REPORT_MS = 200
EXPORT_ROWS_PER_SECOND = 50_000
PAGE = 1_000
SETTLEMENTS = 50_000
MONTH = Days(first="2026-11-01", last="2026-11-30")
DAY_MS = 86_400_000
QUARTER = Which(after=YEAR_BEGINS + 90 * DAY_MS, before=YEAR_BEGINS + 180 * DAY_MS)


def main() -> int:
    """Parse the options, fill a ledger, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m bench.ledger", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="usage rows in a year (default: %(default)s)")
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        found = asyncio.run(_measure(Path(place) / "ledger.db", parser.parse_args().rows))
    print(table(found))
    return 0 if all(line.kept for line in found) else 1


async def _measure(path: Path, rows: int) -> list[Line]:
    async with SqliteStore(f"sqlite:///{path}", most_waiting=2 * SETTLEMENTS) as store:
        await fill(path, store, rows)
        size = Line(f"The file with {rows:,} rows", path.stat().st_size / 1e6, "MB")
        return [size, *await _reports(store), *await _exports(store), *await _writes(store)]


async def _reports(store: Store) -> list[Line]:
    questions: dict[str, Callable[[], Awaitable[object]]] = {
        "Leaderboard, ever": lambda: store.leaders(Days(), SumMeasure.COST, 20),
        "Leaderboard, a month": lambda: store.leaders(MONTH, SumMeasure.TOKENS, 20),
        "Leaderboard, most of a year": lambda: store.leaders(
            Days(first="2026-01-02", last="2026-12-30"), SumMeasure.COST, 20
        ),
        "Leaderboard, most of two months": lambda: store.leaders(
            Days(first="2026-10-02", last="2026-11-29"), SumMeasure.COST, 20
        ),
        "A month by day": lambda: store.sums(MONTH, [By.DAY]),
        "A month by model": lambda: store.sums(MONTH, [By.MODEL]),
        "A month by person": lambda: store.sums(MONTH, [By.PERSON]),
        "A year by model": lambda: store.sums(Days(first=FIRST, last=LAST), [By.MODEL]),
        "A person's year by day": lambda: store.sums(Days(person_id=f"usr_{7:016x}"), [By.DAY]),
        "A person's rows summed exactly": lambda: store.usage_sums(Which(person_id=f"usr_{7:016x}"), [By.MODEL]),
        "A person's newest 100 rows": lambda: store.usage_before(Which(person_id=f"usr_{7:016x}"), None, 100),
        "The newest 100 rows of a model": lambda: store.usage_before(Which(model="model-3"), None, 100),
        "Totals of the last day": lambda: store.totals(YEAR_BEGINS + 364 * DAY_MS),
    }
    return [Line(name, await _median_ms(question), "ms", REPORT_MS) for name, question in questions.items()]


async def _median_ms(question: Callable[[], Awaitable[object]]) -> float:
    async def once() -> float:
        begun = time.perf_counter()
        await question()
        return (time.perf_counter() - begun) * 1000

    return statistics.median([await once() for _ in range(REPEATS)])


async def _exports(store: Store) -> list[Line]:
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew, here
    before = _peak_mib()
    exports = {
        "all": Which(),
        "of a person": Which(person_id=f"usr_{7:016x}"),
        "of a model": Which(model="model-3"),
        "of a group in a quarter": replace(QUARTER, group="group-7"),
    }
    found = [
        Line(f"Export {name}", await _export(store, which), "rows/s", EXPORT_ROWS_PER_SECOND, at_least=True)
        for name, which in exports.items()
    ]
    return [*found, Line("Memory that these took", _peak_mib() - before, "MiB", 32)]


async def _export(store: Store, which: Which) -> float:
    return statistics.median([await _rows_per_second(store, which) for _ in range(3)])


async def _rows_per_second(store: Store, which: Which) -> float:
    begun, rows, cursor = time.perf_counter(), 0, None
    while page := await store.usage_after(which, cursor, PAGE):
        rows += len(page)
        cursor = (page[-1].started_at, page[-1].request_id)
    return rows / (time.perf_counter() - begun)


async def _writes(store: Store) -> list[Line]:
    """Settlements of people at random, all at once; and a reservation alone, for which a caller waits."""
    settlements = [
        Settlement(
            usage_row(f"new-{number}", person_id=f"usr_{number * 7919 % 500:016x}", day="2027-01-01"),
            (Charge(f"person:{number * 7919 % 500}/usd/*/month/2027-01", 1_234),),
        )
        for number in range(SETTLEMENTS)
    ]
    begun = time.perf_counter()
    await asyncio.gather(*map(store.settle, settlements))
    microseconds = (time.perf_counter() - begun) * 1e6 / SETTLEMENTS
    number = iter(range(10 * REPEATS))

    async def reserve() -> object:
        hold = Hold("person:1/usd/*/month/2027-01", 1, 10**12)
        return await store.reserve(Reservation(f"new-hold-{next(number)}", "bench", (hold,), 10**15))

    return [
        Line("A settlement among many", microseconds, "µs"),
        Line("A reservation alone", await _median_ms(reserve), "ms"),
    ]


def _peak_mib() -> float:
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


if __name__ == "__main__":
    sys.exit(main())
