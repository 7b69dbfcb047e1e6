"""Samples of the interpreter's stack, and which part of a request's microseconds each part of the program takes.

Only the event loop's thread is sampled: a sampler takes a thread that waits for its queue for one that runs. What the
other threads take, the kernel counts.

A sample belongs to the part of its innermost frame that has one: what the standard library does is done for its caller.
So a sample in `json` below aiohttp is aiohttp's. What has no such frame is the event loop itself, with the system calls
that it makes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

Stack = tuple[str, ...]  # frames, the outermost first: "function (file)"; before them the thread

EVENT_LOOP = "event loop and its system calls"
OTHER_THREADS = "the store's and the journal's threads"
# The first that is found in a frame's file decides; a room of ours without a row here stands under its own name.
PARTS = (
    ("Tornado and the transport", re.compile(r"\b(tornado|httptools|server/http/transport)/")),
    ("upstream client", re.compile(r"\b(aiohttp|yarl|multidict|aiosignal)/|\bserver/(upstream|httpclient)")),
    ("metrics client", re.compile(r"\bprometheus_client/")),
)
ROOMS = re.compile(r"\b(server/(?!cli|bootstrap)\w+|keypool|web)/")  # those two stand below everything
ROOF = re.compile(r"\bserver/(?!__main__)\w+\.py")
MAIN = "MainThread"


def parsed(text: str) -> Counter[Stack]:
    """The samples that py-spy writes with `--format raw`: frames with semicolons between, and a number."""
    samples: Counter[Stack] = Counter()
    for line in text.splitlines():
        frames, _, number = line.rpartition(" ")
        samples[tuple(frames.split(";"))] += int(number)
    return samples


def of_the_loop(samples: Mapping[Stack, int]) -> Counter[Stack]:
    """The samples of the event loop's thread, without the frame that names it."""
    found: Counter[Stack] = Counter()
    for stack, number in samples.items():
        if MAIN in stack[0]:
            found[stack[1:]] += number
    return found


def part(stack: Stack) -> str:
    """The part of the program that a sample belongs to."""
    return next(filter(None, map(_part_of, reversed(stack))), EVENT_LOOP)


def _part_of(frame: str) -> str | None:
    for name, pattern in PARTS:
        if pattern.search(frame):
            return name
    if room := ROOMS.search(frame):
        return f"`{room[1]}`"
    return "`server` (roof)" if ROOF.search(frame) else None


def by_part(samples: Mapping[Stack, int]) -> Counter[str]:
    """Samples of each part."""
    found: Counter[str] = Counter()
    for stack, number in samples.items():
        found[part(stack)] += number
    return found


def table(samples: Mapping[Stack, int], loop_us: float, cpu_us: float) -> list[str]:
    """A Markdown table of a request's microseconds by part, the largest first.

    `loop_us` are the microseconds of the event loop's thread, which its samples share out; `cpu_us` are all.
    """
    found = by_part(samples)
    parts = {name: number * loop_us / found.total() for name, number in found.items()}
    parts[OTHER_THREADS] = cpu_us - loop_us
    ordered = sorted(parts.items(), key=lambda each: -each[1])
    rows = [f"| {name} | {us:,.0f} | {us / cpu_us:.0%} |" for name, us in ordered]
    return ["| part | µs | |", "|---|---:|---:|", *rows, f"| **all** | {cpu_us:,.0f} | 100% |"]


def functions(samples: Mapping[Stack, int], loop_us: float, most: int) -> list[str]:
    """The functions in which the most samples end, as a Markdown table."""
    found: Counter[str] = Counter()
    for stack, number in samples.items():
        found[stack[-1]] += number
    total = found.total()
    rows = [f"| `{frame}` | {number * loop_us / total:.1f} |" for frame, number in found.most_common(most)]
    return ["| function | µs of its own |", "|---|---:|", *rows]
