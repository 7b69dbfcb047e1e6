"""How far long work is: a bar on a terminal, else a line now and then; always on the standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn, TextIO

from tqdm import tqdm

from server.admin.long_work import Progress

EVERY_SECONDS = 10.0  # between two lines


@contextmanager
def shown(
    label: str, unit: str = "rows", stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
) -> Iterator[Progress]:
    """Where to tell the progress. `clock` is monotonic seconds."""
    stream = stream or sys.stderr
    if stream.isatty():
        with tqdm(desc=label, unit=f" {unit}", file=stream, dynamic_ncols=True) as bar:
            yield _moving(bar)
    else:
        yield _lines(label, unit, stream, clock)


def _moving(bar: tqdm[NoReturn]) -> Progress:
    def tell(done: int, total: int) -> None:
        if bar.total is None:
            bar.total = total or None
            bar.initial = bar.n = done  # what was done before an interruption says nothing about the speed
        bar.update(done - bar.n)

    return tell


def _lines(label: str, unit: str, stream: TextIO, clock: Callable[[], float]) -> Progress:
    last = clock()

    def tell(done: int, total: int) -> None:
        nonlocal last
        if clock() - last >= EVERY_SECONDS:
            last = clock()
            print(f"{label}: {done:,} of {total:,} {unit}", file=stream, flush=True)

    return tell
