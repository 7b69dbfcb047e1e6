"""The scenarios: who asks for what. Each runs on any scheduler and returns what happened.

flood       20 polite persons want 40 % of the pool between them; one other asks a hundred times as often as each
sizes       8 persons with 4 sizes of request, who always have more waiting
weights     the same size for all; 4 persons of weight 1 and 4 of weight 2
returning   one of three comes back after ten idle minutes; the two others were always there
tiny        a pool bound by requests per minute; one person asks for next to nothing, four for ordinary answers
big         prompts that fill a bucket, among ten persons who always have small requests waiting
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from bench.fairness.schedulers import BOUNDLESS, Fairgate, Scheduler
from bench.fairness.simulation import Record, Simulation
from bench.fairness.world import KEYS, SLOTS, USUAL, Job, Size, a_key
from keypool.estimates import CostModel
from keypool.keys import Key

Keys = Callable[[], list[Key]]

POLITE = tuple(f"p{number:02}" for number in range(20))
FLOOD = "flood"
LARGE = Size(6000, 1500)
POLITE_SHARE = 0.4

SIZES = (Size(100, 50), Size(500, 250), Size(2000, 500), Size(3000, 1300))
EIGHT = {f"u{number}": 1.0 for number in range(8)}
WEIGHTS = {f"u{number}": 1.0 + number % 2 for number in range(8)}
ALWAYS = 40  # requests that a backlogged person has waiting: more than there are slots

FIVE = ("tiny", "o0", "o1", "o2", "o3")
TINY, ORDINARY = Size(20, 10), Size(500, 200)
REQUESTS, TOKENS = 240, 240_000  # per minute
BIG, SMALL = Size(10_000, 100), Size(200, 100)


def flood(scheduler: Scheduler, size: Size, seconds: float, seed: int) -> Record:
    """The polite persons together want 40 % of 32 slots; the flood comes a hundred times as fast as one of them."""
    simulation = Simulation(scheduler, seed)
    each = POLITE_SHARE * KEYS * SLOTS / USUAL.service / len(POLITE)
    for person in POLITE:
        simulation.poisson(person, USUAL, each, seconds)
    simulation.poisson(FLOOD, size, 100 * each, seconds)
    return simulation.run(seconds)


def sizes(scheduler: Scheduler, seconds: float, seed: int) -> Record:
    """Two persons of each size."""
    simulation = Simulation(scheduler, seed)
    for number, person in enumerate(EIGHT):
        simulation.backlogged(person, SIZES[number // 2], ALWAYS)
    return simulation.run(seconds)


def weights(scheduler: Scheduler, seconds: float, seed: int) -> Record:
    simulation = Simulation(scheduler, seed)
    for person, weight in WEIGHTS.items():
        simulation.backlogged(person, USUAL, ALWAYS, weight=weight)
    return simulation.run(seconds)


def returning(scheduler: Scheduler, seed: int) -> Record:
    """Person A works for a minute, is idle for ten, and comes back at 660 s."""
    simulation = Simulation(scheduler, seed)
    simulation.poisson("a", USUAL, 1.0, 60.0)
    simulation.backlogged("b", USUAL, ALWAYS)
    simulation.backlogged("c", USUAL, ALWAYS)
    simulation.backlogged("a", USUAL, ALWAYS, start=660.0)
    return simulation.run(780.0)


def tiny(costs: CostModel, seconds: float, seed: int) -> Record:
    key = a_key("k0", 64, requests=REQUESTS, tokens=TOKENS)
    simulation = Simulation(Fairgate([key], BOUNDLESS, costs), seed, costs)
    for person in FIVE:
        simulation.backlogged(person, TINY if person == "tiny" else ORDINARY, ALWAYS)
    return simulation.run(seconds)


def big(scheduler: Scheduler, prompts: int, seed: int) -> Record:
    """A big prompt each minute, on one key with 60,000 tokens per minute in a bucket of 12,000."""
    simulation = Simulation(scheduler, seed)
    dice = Random(seed)
    for number in range(10):
        simulation.backlogged(f"s{number}", SMALL, ALWAYS)
    for number in range(prompts):
        job = Job("big", dice.randint(9000, 11_000), BIG.output)
        simulation.at(60.0 * (number + 1), lambda job=job: simulation.ask(job))  # type: ignore[misc]
    return simulation.run(60.0 * (prompts + 2))


def one_key() -> list[Key]:
    return [a_key("k0", 32, tokens=60_000)]
