"""`python -m bench --flame`: py-spy samples the gateway under the load of 32 connections; a picture and a table."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections import Counter
from pathlib import Path

from bench import flame_svg, page, stacks
from bench.gateway import Subject, everything_on
from bench.load import LoadError, closed_loop
from bench.measure import CONNECTIONS, ready
from bench.process import cpu_seconds, main_thread_seconds
from bench.stand import stand

PICTURE = Path("docs/flamegraph.svg")
RATE = 250  # samples per second
SECONDS, QUICK_SECONDS = 30, 5
LOAD_LEADS = 1.0  # seconds by which the load is longer than the recording, at both of its ends
FUNCTIONS = 25
TEXT = """
The kernel counted {cpu:,.0f} µs of CPU per request over 32 connections with all on, {loop:,.0f} of them in the event
loop's thread. A part has of those what it has of {samples:,} samples that py-spy took of this thread while it ran. A
sample belongs to the innermost call that is of a part named here: what the standard library does is done for its
caller. [The flame graph](flamegraph.svg) shows who calls whom.
"""


async def record(command: str, quick: bool) -> None:
    """Sample, draw, write the section of the page."""
    seconds = QUICK_SECONDS if quick else SECONDS
    async with stand(command) as (backing, place), everything_on(backing, place / "on") as subject:
        await ready(subject)
        loop_us, cpu_us = await _microseconds(subject, seconds / 2)
        samples = await _samples(subject, seconds, place / "raw.txt")
    title = f"A request's microseconds: {samples.total():,} samples, {CONNECTIONS} connections"
    PICTURE.write_text(flame_svg.svg(samples, title), encoding="utf-8")
    lines = section(samples, loop_us, cpu_us)
    page.write("parts", "python -m bench --flame" + (" --quick" if quick else ""), lines)
    print("\n".join(lines))


def section(samples: Counter[stacks.Stack], loop_us: float, cpu_us: float) -> list[str]:
    """The section of the page."""
    text = TEXT.format(samples=samples.total(), cpu=cpu_us, loop=loop_us).strip()
    tables = [*stacks.table(samples, loop_us, cpu_us), "", *stacks.functions(samples, loop_us, FUNCTIONS)]
    return [text, "", *tables]


async def _microseconds(subject: Subject, seconds: float) -> tuple[float, float]:
    """CPU per request while nothing looks on: of the event loop's thread, and of all."""
    loop_before, before = main_thread_seconds(subject.pid), cpu_seconds(subject.pid)
    load = await closed_loop(subject.target, CONNECTIONS, seconds)
    loop, all_threads = main_thread_seconds(subject.pid) - loop_before, cpu_seconds(subject.pid) - before
    return loop * 1e6 / len(load.latencies), all_threads * 1e6 / len(load.latencies)


async def _samples(subject: Subject, seconds: int, raw: Path) -> Counter[stacks.Stack]:
    load = asyncio.ensure_future(closed_loop(subject.target, CONNECTIONS, seconds + 2 * LOAD_LEADS))
    try:
        await asyncio.sleep(LOAD_LEADS)
        await _spy(subject.pid, seconds, raw)
    finally:
        load.cancel()
        await asyncio.gather(load, return_exceptions=True)
    samples = stacks.of_the_loop(stacks.parsed(raw.read_text(encoding="utf-8")))
    if not samples:
        raise LoadError("py-spy saw nothing")
    return samples


async def _spy(pid: int, seconds: int, raw: Path) -> None:
    beside = Path(sys.executable).with_name("py-spy")
    program = str(beside) if beside.exists() else shutil.which("py-spy")
    if program is None:
        raise LoadError("py-spy is not installed: it is in the dev extra")
    options = ["--format", "raw", "--function", "--threads", "--rate", str(RATE), "--duration", str(seconds)]
    process = await asyncio.create_subprocess_exec(
        *[program, "record", "--pid", str(pid), "--output", str(raw), *options],
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), seconds + 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise LoadError(f"py-spy failed: {said.decode(errors='replace').strip()[-500:]}")
