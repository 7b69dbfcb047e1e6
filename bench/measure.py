"""What is measured of a gateway: CPU and memory as the kernel counts them, latency less that of the mock alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bench.gateway import Subject
from bench.load import LoadError, Target, closed_loop, percentile
from bench.process import TICKS, cpu_seconds, pss_kib
from bench.streams import Streams

CONNECTIONS = 32
CHUNK_STREAMS, CHUNKS_PER_SECOND = 20, 2000
BURST_CHUNKS = 100
ENDLESS_STREAMS = 4
STARTS = 200
LONG_PROMPT, LONG_CONNECTIONS = 100_000, 8
RAMP_PER_SECOND = 400.0
DELIVERED = 0.9  # of its chunks: a gateway that does less is full, and gets no more streams
WARM_UP_SECONDS, READY_SECONDS = 1.0, 30.0
REST_SECONDS = 4.0  # requests that a load leaves behind are counted, and the first count builds a table

Found = dict[str, float]  # figures by the names of rows: bench/rows.py


@dataclass(frozen=True, slots=True)
class Pace:
    """How thorough a run is: rounds, seconds for each measurement, and streams that are open at once."""

    rounds: int
    seconds: float
    steps: tuple[int, ...]


THOROUGH = Pace(3, 3.0, (1_000, 5_000))
QUICK = Pace(1, 1.0, (500,))

Measure = Callable[[Subject, Target, Pace], Awaitable[Found]]


async def ready(subject: Subject) -> None:
    """Return when a request has been answered; LoadError if that takes too long."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            await closed_loop(subject.target, 1, WARM_UP_SECONDS)
        except LoadError as error:
            if time.monotonic() > deadline:
                raise LoadError(f"no request is answered: {error}") from None
            await asyncio.sleep(WARM_UP_SECONDS)
        else:
            return


async def requests(subject: Subject, direct: Target, pace: Pace) -> Found:
    """Plain requests over 32 connections."""
    await closed_loop(subject.target, CONNECTIONS, WARM_UP_SECONDS)
    await asyncio.sleep(REST_SECONDS)
    per_second, cpu = await _busy(subject, CONNECTIONS, pace.seconds, subject.target.plain())
    return {"per_second": per_second, "per_core": 1 / cpu, "cpu_us": cpu * 1e6}


async def added(subject: Subject, direct: Target, pace: Pace) -> Found:
    """Latency over one connection, less the mock's own."""
    alone = await closed_loop(direct, 1, pace.seconds / 2)
    through = await closed_loop(subject.target, 1, pace.seconds)
    shares = {"added_ms": 0.5, "added_p99_ms": 0.99}
    return {row: (through.percentile(share) - alone.percentile(share)) * 1e3 for row, share in shares.items()}


async def chunks(subject: Subject, direct: Target, pace: Pace) -> Found:
    """Twenty streams of a hundred chunks per second each."""
    streams = Streams(subject.target)
    try:
        await streams.open(CHUNK_STREAMS, CHUNK_STREAMS / CHUNKS_PER_SECOND, RAMP_PER_SECOND)
        delivered, cpu = await _window(streams, subject.pid, pace.seconds)
    finally:
        await streams.close()
    return {"chunk_us": cpu * 1e6 / delivered, "chunks_delivered": delivered / pace.seconds}


async def burst(subject: Subject, direct: Target, pace: Pace) -> Found:
    """Streams of a hundred chunks that the upstream sends in one write."""
    request = subject.target.streamed(BURST_CHUNKS, 0)
    _, cpu = await _busy(subject, CONNECTIONS, pace.seconds, request)
    return {"burst": BURST_CHUNKS / cpu}


async def endless(subject: Subject, direct: Target, pace: Pace) -> Found:
    """Few streams of an upstream that sends as fast as it can, without an end."""
    streams = Streams(subject.target)
    try:
        await streams.open(ENDLESS_STREAMS, 0, RAMP_PER_SECOND, chunks=100_000_000)
        delivered, cpu = await _window(streams, subject.pid, pace.seconds)
    finally:
        await streams.close()
    return {"endless": delivered / cpu}


async def starts(subject: Subject, direct: Target, pace: Pace) -> Found:
    """Two hundred streams that are asked for in the same moment."""
    streams = Streams(subject.target)
    try:
        after = await streams.start_at_once(STARTS)
    finally:
        await streams.close()
    return {"first_p50_ms": percentile(after, 0.5) * 1e3, "first_p99_ms": percentile(after, 0.99) * 1e3}


async def long_prompt(subject: Subject, direct: Target, pace: Pace) -> Found:
    """Requests of 100 KB."""
    request = subject.target.plain(LONG_PROMPT)
    per_second, cpu = await _busy(subject, LONG_CONNECTIONS, pace.seconds, request)
    return {"prompt_per_second": per_second, "prompt_us": cpu * 1e6}


async def tls(subject: Subject, direct: Target, pace: Pace) -> Found:
    """Plain requests to an upstream behind TLS, where the gateway has one."""
    if subject.tls is None:
        return {}
    await closed_loop(subject.tls, CONNECTIONS, WARM_UP_SECONDS)
    per_second, cpu = await _busy(subject, CONNECTIONS, pace.seconds, subject.tls.plain(), subject.tls)
    return {"tls_per_second": per_second, "tls_us": cpu * 1e6}


async def memory(subject: Subject, direct: Target, pace: Pace) -> Found:
    """More and more streams of one chunk per second, until the gateway is full."""
    streams, empty = Streams(subject.target), pss_kib(subject.pid)
    found: Found = {}
    try:
        for step in pace.steps:
            await streams.open(step - streams.count, 1.0, RAMP_PER_SECOND)
            delivered, cpu = await _window(streams, subject.pid, max(pace.seconds, 2.0))
            share = delivered / max(pace.seconds, 2.0) / step
            found[f"stream_kib_{step}"] = (pss_kib(subject.pid) - empty) / step
            found[f"stream_core_{step}"] = cpu / max(pace.seconds, 2.0) * 100
            found[f"stream_delivered_{step}"] = share * 100
            if share < DELIVERED:
                break
    finally:
        await streams.close()
    return found


IN_ROUNDS: tuple[Measure, ...] = (requests, added, chunks, burst, endless, starts, long_prompt, tls)


async def _busy(
    subject: Subject, connections: int, seconds: float, request: bytes, target: Target | None = None
) -> tuple[float, float]:
    """Requests per second, and CPU seconds of each."""
    before = cpu_seconds(subject.pid)
    loop = await closed_loop(target or subject.target, connections, seconds, request)
    cpu = cpu_seconds(subject.pid) - before
    return loop.per_second, max(cpu, 1 / TICKS) / len(loop.latencies)


async def _window(streams: Streams, pid: int, seconds: float) -> tuple[int, float]:
    """Chunks delivered and CPU seconds used while so many seconds pass."""
    chunks_before, cpu_before = streams.chunks, cpu_seconds(pid)
    await asyncio.sleep(seconds)
    streams.check()
    delivered = streams.chunks - chunks_before
    if not delivered:
        raise LoadError("no chunk arrives")
    return delivered, max(cpu_seconds(pid) - cpu_before, 1 / TICKS)
