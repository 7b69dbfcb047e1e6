"""The same people on simpler schedulers: how long the polite wait, how equal the service is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from bench.fairness import attacks, measures, scenarios
from bench.fairness.figures import Fairness, fairness, polite
from bench.fairness.schedulers import BOUNDLESS, SIMPLE, Fairgate, Line, Scheduler, Simple
from bench.fairness.simulation import Record
from bench.fairness.svg import Line as Curve
from bench.fairness.svg import Plot
from bench.fairness.world import USUAL, bound_by_slots, bound_by_tokens
from keypool.keys import Key

OURS = "fairgate"
SHORTEST = 0.01  # seconds: what is less is drawn as this, since the axis is logarithmic
Builder = Callable[[list[Key]], Scheduler]


@dataclass(frozen=True, slots=True)
class Row:
    """One scheduler: the polite waits under the two floods in seconds, and the service of the eight."""

    name: str
    waits: list[float]
    refused: int
    large: list[float]
    by_slots: Fairness
    by_tokens: Fairness
    ahead: list[Curve]  # of its fair share, for each of the eight, in cost


def compare(seconds: float, seed: int) -> list[Row]:
    """Run all of them."""
    return [_row(name, build, seconds, seed) for name, build in _builders().items()]


def _builders() -> dict[str, Builder]:
    builders: dict[str, Builder] = {name: _simple(line) for name, line in SIMPLE.items()}
    builders[f"{OURS}, no headroom"] = lambda keys: Fairgate(keys, BOUNDLESS)
    builders[OURS] = lambda keys: Fairgate(keys, replace(BOUNDLESS, headroom=1))
    return builders


def against(seed: int, seconds: float = 600.0) -> list[tuple[str, ...]]:
    """The attacks on all of them: the share of the attacker, of a fair one; the last is a wait in seconds."""
    head = (
        "",
        "dated name",
        "alone with a model",
        "eight models",
        "given up at 97 %",
        "new identities",
        "newcomer's wait",
    )
    return [head, *((name, *_duels(build, seconds, seed)) for name, build in _builders().items())]


def _duels(build: Builder, seconds: float, seed: int) -> list[str]:
    records = [
        (attacks.dated(build(attacks.two_names()), seconds, seed), 5),
        (attacks.alone(build(attacks.many_models()), seconds, seed), 16),
        (attacks.many(build(attacks.many_models()), seconds, seed), 8),
        (attacks.given_up(build(bound_by_slots()), 0.97, seconds, seed), 8),
        (attacks.identities(build(bound_by_slots()), True, seconds, seed), 8),
    ]
    shares = [attacks.share_of_all(record, persons, 60.0, seconds) for record, persons in records]
    own = attacks.own_key(build(attacks.shared_and_own()), seconds, seed)
    waits = [(job.started or seconds) - job.arrived for job in own.jobs if job.person.startswith("new")]
    return [*(f"{share:.2f}" for share in shares), f"{measures.percentile(waits, 0.5):.3g}"]


def waits_plot(rows: list[Row]) -> Plot:
    """For each scheduler: which share of the polite requests waited longer than so many seconds."""
    curves = [Curve(row.name, _longer(row.waits)) for row in rows]
    return Plot(
        "Waits of 20 polite persons while one other floods",
        "seconds waited",
        "share of requests that waited longer",
        curves,
        logarithmic=True,
    )


def service_plot(row: Row) -> Plot:
    """How far each of the eight is ahead of an equal share."""
    return Plot(f"Service of 8 persons, {row.name}", "seconds", "cost ahead of an equal share, thousands", row.ahead)


def _simple(line: Callable[[], Line]) -> Builder:
    return lambda keys: Simple(keys, line())


def _row(name: str, build: Builder, seconds: float, seed: int) -> Row:
    equal = polite([scenarios.flood(build(bound_by_slots()), USUAL, seconds, seed)])
    large = polite([scenarios.flood(build(bound_by_slots()), scenarios.LARGE, seconds, seed)])
    by_slots = scenarios.sizes(build(bound_by_slots()), seconds, seed)
    by_tokens = scenarios.sizes(build(bound_by_tokens()), seconds, seed)
    return Row(
        name=name,
        waits=sorted(measures.waits(equal)),
        refused=sum(job.refused for job in equal),
        large=sorted(measures.waits(large)),
        by_slots=fairness(by_slots),
        by_tokens=fairness(by_tokens),
        ahead=_ahead(by_slots),
    )


def _longer(waits: list[float]) -> list[tuple[float, float]]:
    """Points of the curve: seconds, share of the requests that waited longer."""
    step = max(1, len(waits) // 200)
    return [(max(SHORTEST, wait), 1.0 - rank / len(waits)) for rank, wait in enumerate(waits) if rank % step == 0]


def _ahead(record: Record) -> list[Curve]:
    names = [f"{size.input}/{size.output}" for size in scenarios.SIZES for _ in range(2)]
    curves = []
    for person, name in zip(scenarios.EIGHT, names, strict=True):
        points = []
        for sample in record.samples[::20]:
            equal = sum(sample.served.values()) / len(scenarios.EIGHT)
            points.append((sample.at, (sample.served.get(person, 0.0) - equal) / 1000))
        curves.append(Curve(name, points))
    return curves
