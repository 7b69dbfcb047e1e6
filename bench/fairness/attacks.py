"""Persons who try to get more than their share, and accidents that look the same. Each is seen on the running product.

own_key      staff are busy on their group's key beside shared keys; newcomers may use only the shared ones
cached       a flood of long prompts that turn out to be cached: charged in full when they start, given back at the end
dated        one person asks for a model by its dated name; both names share one limit
alone        one person is alone with a model, fifteen share another one; the same keys serve both
many         one person asks for eight models, seven ask for one
given_up     plain answers are given up at 97 per cent
reserved     one of eight sets max_tokens to 32,000, and the provider takes that from its limit beforehand
weight       the weight of a busy person is lowered from 8 to 1
identities   a new person for each request, all at one address
taken_away   an owner's key is taken away
long_after   short answers teach how long answers are, then long plain ones follow

Each returns what was recorded; `share` and the waits are read from that. Seconds throughout.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

from bench.fairness import measures
from bench.fairness.schedulers import Fairgate, Scheduler
from bench.fairness.simulation import Record, Simulation
from bench.fairness.world import KEYS, MODEL, SLOTS, USUAL, Job, Provider, Reserving, Size, a_key
from keypool.health import KeyEvent
from keypool.keys import Key
from keypool.pool import Decision

DATED = f"{MODEL}-2026-01-01"
OTHER = "n"
EVE = "eve"
WAITING = 40
LONG_PROMPT = Size(30_000, 264)
LONG_ANSWER, SHORT_ANSWER = Size(500, 1500), Size(500, 20)
MOST = 32_000
TURN = 300.0  # when something changes, in seconds
STAFF = frozenset({"staff"})


def share(record: Record, person: str, weights: float, start: float, end: float) -> float:
    """What a person was served in an interval, over a fair share of all; `weights` is the sum, the person's is 1."""
    before, after = measures.at(record.samples, start).served, measures.at(record.samples, end).served
    gained = {each: after[each] - before.get(each, 0.0) for each in after}
    return gained.get(person, 0.0) * weights / sum(gained.values())


def share_of_all(record: Record, weights: float, start: float, end: float) -> float:
    """The same of the attacker under all the names that she uses."""
    before, after = measures.at(record.samples, start).served, measures.at(record.samples, end).served
    gained = {each: after[each] - before.get(each, 0.0) for each in after}
    return weights * sum(cost for name, cost in gained.items() if name.startswith(EVE)) / sum(gained.values())


def worst_share(record: Record, person: str, weights: float, start: float, window: float = 120.0) -> float:
    """The largest of all windows."""
    ends = [sample.at for sample in record.samples if sample.at >= start + window][::20]
    return max(share(record, person, weights, end - window, end) for end in ends)


def slots_share(record: Record, person: str, persons: int) -> float:
    """The slot seconds that a person had, over a fair share of all."""
    held = [(job.person, job.service) for job in record.jobs if job.started is not None]
    return persons * sum(each for name, each in held if name == person) / sum(each for _, each in held)


def polite(simulation: Simulation, persons: Iterable[str], load: float, until: float, size: Size = USUAL) -> None:
    """Persons who together want this share of the slots."""
    names = list(persons)
    for person in names:
        simulation.poisson(person, size, load * KEYS * SLOTS / size.service / len(names), until)


def names(count: int, letter: str = "u") -> list[str]:
    return [f"{letter}{number}" for number in range(count)]


# Keys


def usual_keys() -> list[Key]:
    return [a_key(f"k{number}") for number in range(KEYS)]


def shared_and_own() -> list[Key]:
    return [*(a_key(f"k{number}") for number in range(2)), a_key("own", KEYS * SLOTS, group="staff")]


def two_names() -> list[Key]:
    return [a_key("k0", 32, (MODEL, DATED), tokens=60_000)]


def many_models() -> list[Key]:
    return [a_key(f"k{number}", models=(MODEL, OTHER, *names(8, "m"))) for number in range(KEYS)]


def limits_in_headers() -> list[Key]:
    """A key whose limits stand only in the provider's headers."""
    return [a_key("k0", 32)]


# Scenarios


def own_key(scheduler: Scheduler, seconds: float, seed: int) -> Record:
    """Newcomers ask once, every 15 seconds."""
    simulation = Simulation(scheduler, seed)

    def of_staff(job: Job) -> None:
        job.groups = STAFF

    for person in names(2, "staff"):
        simulation.backlogged(person, USUAL, WAITING, dress=of_staff)
    for person in names(2, "other"):
        simulation.backlogged(person, USUAL, WAITING, start=200.0)
    for number in range(int((seconds - 280.0) / 15.0)):
        job = USUAL.job(f"new{number}", simulation.dice)
        simulation.at(220.0 + 15.0 * number, lambda job=job: simulation.ask(job))  # type: ignore[misc]
    return simulation.run(seconds)


def cached(scheduler: Scheduler, size: Size, seconds: float, seed: int) -> Record:
    """That a prompt was cached is known only at the end, where the answer's usage tells it."""
    simulation = Simulation(scheduler, seed)

    def from_cache(job: Job) -> None:
        job.cached = job.input

    simulation.backlogged(EVE, size, WAITING, dress=from_cache)
    polite(simulation, names(20, "p"), 0.4, seconds)
    return simulation.run(seconds)


def dated(scheduler: Scheduler, seconds: float, seed: int) -> Record:
    simulation = Simulation(scheduler, seed)

    def by_date(job: Job) -> None:
        job.model = DATED

    for person in names(4):
        simulation.backlogged(person, USUAL, WAITING)
    simulation.backlogged(EVE, USUAL, WAITING, dress=by_date)
    return simulation.run(seconds)


def alone(scheduler: Scheduler, seconds: float, seed: int) -> Record:
    simulation = Simulation(scheduler, seed)

    def of_other(job: Job) -> None:
        job.model = OTHER

    for person in names(15):
        simulation.backlogged(person, USUAL, WAITING)
    simulation.backlogged(EVE, USUAL, WAITING, dress=of_other)
    return simulation.run(seconds)


def many(scheduler: Scheduler, seconds: float, seed: int) -> Record:
    simulation = Simulation(scheduler, seed)
    turns = count()

    def of_each(job: Job) -> None:
        job.model = f"m{next(turns) % 8}"

    for person in names(7):
        simulation.backlogged(person, USUAL, WAITING)
    simulation.backlogged(EVE, USUAL, 8 * WAITING, dress=of_each)
    return simulation.run(seconds)


def given_up(scheduler: Scheduler, stays: float, seconds: float, seed: int) -> Record:
    simulation = Simulation(scheduler, seed)

    def plain(job: Job) -> None:
        job.streamed, job.stays = False, stays

    simulation.backlogged(EVE, LONG_ANSWER, WAITING, dress=plain)
    for person in names(7):
        simulation.backlogged(person, USUAL, WAITING)
    polite(simulation, names(10, "p"), 0.05, seconds)
    return simulation.run(seconds)


def reserved(scheduler: Scheduler, most: int | None, seconds: float, seed: int) -> Simulation:
    simulation = Simulation(scheduler, seed)
    simulation.provider = Reserving(100_000)

    def with_bound(job: Job) -> None:
        job.most_output = most

    for person in names(7):
        simulation.backlogged(person, USUAL, WAITING)
    simulation.backlogged(EVE, USUAL, WAITING, dress=with_bound)
    simulation.run(seconds)
    return simulation


def weight(scheduler: Scheduler, seconds: float, seed: int) -> Record:
    simulation = Simulation(scheduler, seed)

    def lowered(job: Job) -> None:
        job.weight = 8.0 if simulation.now < TURN else 1.0

    for person in names(7):
        simulation.backlogged(person, USUAL, WAITING)
    simulation.backlogged(EVE, USUAL, WAITING, dress=lowered)
    return simulation.run(seconds)


def identities(scheduler: Scheduler, by_address: bool, seconds: float, seed: int) -> Record:
    simulation = Simulation(scheduler, seed)
    numbers = count()

    def placed(job: Job) -> None:
        job.party = f"at {job.person}" if by_address else ""

    def anew(job: Job) -> None:
        job.party = "at eve's" if by_address else ""
        job.person = f"eve{next(numbers)}"

    for person in names(7):
        simulation.backlogged(person, USUAL, WAITING, dress=placed)

    def more(job: Job | None = None) -> None:
        if job is None or job.person.startswith(EVE):
            new = USUAL.job(EVE, simulation.dice)
            anew(new)
            simulation.at(simulation.now, lambda: simulation.ask(new))

    simulation.on_start.append(more)
    for _ in range(2 * WAITING):
        simulation.at(0.0, more)
    return simulation.run(seconds)


def taken_away(scheduler: Fairgate, seconds: float, seed: int) -> Record:
    """Two of staff work on their own key beside the shared ones, until it is gone."""
    simulation = Simulation(scheduler, seed)

    def of_staff(job: Job) -> None:
        job.groups = STAFF

    simulation.backlogged("staff0", USUAL, WAITING, dress=of_staff)
    for person in names(7):
        simulation.backlogged(person, USUAL, WAITING)
    simulation.at(TURN, lambda: scheduler.change(lambda now: scheduler.pool.remove("own", now), simulation.now))
    return simulation.run(seconds)


def long_after(scheduler: Scheduler, seconds: float, seed: int) -> Record:
    simulation = Simulation(scheduler, seed)
    dice = simulation.dice

    def plain(job: Job) -> None:
        job.streamed = False
        if simulation.now >= TURN:
            later = LONG_ANSWER.job(EVE, dice)
            job.input, job.output = later.input, later.output

    simulation.backlogged(EVE, SHORT_ANSWER, WAITING, dress=plain)
    for person in names(7):
        simulation.backlogged(person, USUAL, WAITING)
    return simulation.run(seconds)


# Forecasts


def resting(scheduler: Fairgate, seconds: float, seed: int) -> Record:
    """Eight persons with a few requests each; at `TURN` two of four keys rest for five minutes."""
    simulation = Simulation(scheduler, seed)
    simulation.provider = Provider()
    for person in names(8):
        simulation.backlogged(person, USUAL, 12)

    def rest(now: float) -> list[Decision]:
        for name in ("k0", "k1"):
            scheduler.pool.keys[name].whole.apply(KeyEvent.FAILED, now, TURN)
        return scheduler.pool.tick(now)

    simulation.at(TURN, lambda: scheduler.change(rest, simulation.now))
    return simulation.run(seconds)


def outage(scheduler: Fairgate, seconds: float, seed: int) -> Record:
    """All keys rest for 200 seconds; polite persons go on asking, and wait at most for five minutes."""
    simulation = Simulation(scheduler, seed)
    simulation.provider = Provider()
    polite(simulation, names(20, "p"), 0.4, seconds)

    def rest(now: float) -> list[Decision]:
        for key in scheduler.pool.keys.values():
            key.whole.apply(KeyEvent.FAILED, now, 200.0)
        return scheduler.pool.tick(now)

    simulation.at(TURN, lambda: scheduler.change(rest, simulation.now))
    return simulation.run(seconds)


def forecast_error(jobs: Iterable[Job]) -> float:
    """The mean error of the forecasts for those who then waited more than five seconds, of their mean wait."""
    waited = [job for job in jobs if job.started is not None and job.wait > 5.0]
    return sum(abs(job.wait - job.predicted) for job in waited) / sum(job.wait for job in waited)
