"""What the figures have to reach."""

from __future__ import annotations

from bench.comparison import Comparison
from bench.report import Line

OURS = "all on"
MONGODB = "all on, MongoDB"
PORTKEY, NGINX = "Portkey", "nginx"


def of_the_gateway(found: Comparison) -> list[Line]:
    """The bars that the gateway meets alone; those that were measured."""
    medians = [
        ("added_ms", "Added at 1 connection, median", "ms", 0.35, False),
        ("chunk_us", "CPU per chunk, 20 streams × 100/s", "µs", 20.0, False),
        ("burst", "Burst, chunks per second of CPU", "/s", 500_000.0, True),
        ("stream_kib_5000", "Memory per stream, 5,000 streams", "KiB", 25.0, False),
        ("idle_mib", "Memory after the start", "MiB", 110.0, False),
    ]
    lines = [
        Line(name, figure, unit, bar, at_least)
        for row, name, unit, bar, at_least in medians
        if (figure := found.median(row, OURS)) is not None
    ]
    ratio = found.ratio("per_second", MONGODB, OURS)
    return lines if ratio is None else [*lines, Line("Requests/s with MongoDB, of SQLite's", ratio, "", 0.8, True)]


def beside_peers(found: Comparison) -> list[Line]:
    """The bars that are ratios: our requests per second as they were answered, the peer's by its CPU.

    So what we lose by waiting counts against us, and a peer that waits for the load generator is taken as if its core
    were full.
    """
    bars = {PORTKEY: 3.0, NGINX: 1 / 16}
    return [
        Line(f"Requests/s, 32 connections, as a multiple of {peer}'s", ratio, "", bar, at_least=True)
        for peer, bar in bars.items()
        if (ratio := found.ratio("per_second", OURS, peer, "per_core")) is not None
    ]
