"""The schedulers that the core is compared with, and the simulation that drives all of them."""

from __future__ import annotations

from itertools import pairwise

import pytest

from bench.fairness import measures
from bench.fairness.comparison import OURS
from bench.fairness.schedulers import BOUNDLESS, SIMPLE, Deficit, Fairgate, Fifo, OneEach, RoundRobin, Scheduler, Simple
from bench.fairness.simulation import Record, Sample, Simulation
from bench.fairness.world import MODEL, Job, Size, a_key

LINES = [*SIMPLE.values(), None]


def scheduler_of(line: object, slots: int = 1, **limits: float) -> Scheduler:
    keys = [a_key("k0", slots, (MODEL,), "", **limits)]
    return Fairgate(keys, BOUNDLESS) if line is None else Simple(keys, line())  # type: ignore[operator]


def at_once(scheduler: Scheduler, *persons: str) -> Record:
    """One slot: the first person has it, then these ask at the same instant for ten seconds each."""
    simulation = Simulation(scheduler, seed=1)
    for person in ("first", *persons):
        simulation.at(0.0, lambda person=person: simulation.ask(Job(person, 100, 475)))  # type: ignore[misc]
    return simulation.run(200.0)


def order(record: Record) -> list[str]:
    started = [job for job in record.jobs if job.started is not None]
    return [job.person for job in sorted(started, key=lambda job: job.started or 0.0)]


@pytest.mark.parametrize("line", LINES, ids=[*SIMPLE, OURS])
def test_every_scheduler_serves_all_that_it_took_and_never_more_than_its_slots(line: object) -> None:
    simulation = Simulation(scheduler_of(line, slots=3), seed=2)
    for person in ("ann", "bob", "eve"):
        simulation.poisson(person, Size(100, 100), 0.3, 60.0)
    record = simulation.run(500.0)
    assert all(job.refused or job.ended is not None for job in record.jobs)
    instants = sorted(job.started for job in record.jobs if job.started is not None)
    running = [sum((j.started or 0) <= at < (j.ended or 0) for j in record.jobs if not j.refused) for at in instants]
    assert max(running) == 3


@pytest.mark.parametrize("line", LINES, ids=[*SIMPLE, OURS])
def test_a_request_waits_until_the_bucket_holds_what_it_needs(line: object) -> None:
    simulation = Simulation(scheduler_of(line, slots=50, tokens=60_000), seed=3)  # a bucket of 12,000; 1,000 a second
    for person in ("ann", "bob", "eve"):
        simulation.at(0.0, lambda person=person: simulation.ask(Job(person, 11_700, 300)))  # type: ignore[misc]
    record = simulation.run(100.0)
    starts = [job.started or 0.0 for job in record.jobs]
    assert all(later - earlier >= 11.0 for earlier, later in pairwise(starts))


def test_first_come_is_first_served() -> None:
    assert order(at_once(scheduler_of(Fifo), "ann", "ann", "bob")) == ["first", "ann", "ann", "bob"]


def test_one_waiting_each_refuses_the_second() -> None:
    record = at_once(scheduler_of(OneEach), "ann", "ann", "bob")
    assert order(record) == ["first", "ann", "bob"]
    assert [job.person for job in record.jobs if job.refused] == ["ann"]


@pytest.mark.parametrize("line", [RoundRobin, Deficit])
def test_round_robins_take_turns(line: object) -> None:
    asked = ("ann", "ann", "ann", "bob", "bob")
    turns = order(at_once(scheduler_of(line), *asked))
    assert sorted(turns) == sorted(("first", *asked))
    assert turns.index("bob") <= 3


def test_the_core_in_the_simulation_prefers_whom_was_served_less() -> None:
    assert order(at_once(scheduler_of(None), "first", "first", "bob"))[:2] == ["first", "bob"]


def test_a_percentile_is_one_of_the_values() -> None:
    assert measures.percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert measures.percentile([3.0, 1.0, 2.0], 1.0) == 3.0
    assert measures.percentile([], 0.5) == 0.0


def test_the_gap_looks_at_all_intervals() -> None:
    """Both have the same in the end, but one had everything first."""
    samples = [Sample(float(n), {"a": a, "b": b}, 0) for n, (a, b) in enumerate([(0, 0), (10, 0), (10, 20), (20, 20)])]
    assert measures.gap(samples, {"a": 1.0, "b": 1.0}) == 20.0
