"""Looks for requests that our transport and h11 read differently, led by coverage: `python -m bench.fuzz_transport`.

It needs `pip install atheris` (Linux and macOS, no requirement of ours), begins with the corpus of the tests and runs
until it finds something or is stopped; libFuzzer's own options follow, as `-max_total_time=600`.
"""

from __future__ import annotations

import asyncio
import sys

import atheris

with atheris.instrument_imports(include=["server.http.transport"]):
    from tests.transport.memory import read_by_ours

from tests.transport.mutations import PIECES, RIGHT, nearly_right
from tests.transport.opinions import read_by_h11
from tests.transport.test_opinions import PLAIN, meaning, plain

LONGEST = 4096  # bytes
_loop = asyncio.new_event_loop()


def compare(data: bytes) -> None:
    """Raises AssertionError where we take what h11 does not read in the same way."""
    ours = [meaning(plain(message)) for message in _loop.run_until_complete(read_by_ours(data))]
    theirs = [meaning(message) for message in read_by_h11(data.translate(PLAIN))]
    assert ours == theirs[: len(ours)], data


def change(data: bytes, most: int, seed: int) -> bytes:
    """A change as libFuzzer makes it, or one of ours."""
    if seed % 4 == 0:
        return nearly_right(seed)[:most]
    if seed % 4 == 1:
        at = seed // 4 % (len(data) + 1)
        return (data[:at] + PIECES[seed % len(PIECES)] + data[at:])[:most]
    changed: bytes = atheris.Mutate(data, most)
    return changed


def main() -> None:
    """Run until something is found."""
    for each in RIGHT:
        compare(each)
    options = [sys.argv[0], f"-max_len={LONGEST}", *sys.argv[1:]]
    atheris.Setup(options, compare, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
