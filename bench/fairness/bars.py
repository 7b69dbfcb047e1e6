"""The figures and the bars that they must keep. The tests hold each of them, and the page shows them.

A bar is a promise to people, set before anything was built; it is not moved to where the figure happens to be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import mean

from bench.fairness import measures, micro, scenarios
from bench.fairness.figures import Figure, fairness, polite, refused, slots_used, tokens_used
from bench.fairness.schedulers import BOUNDLESS, Fairgate, Fifo, Simple
from bench.fairness.talks import Talks, cached_share
from bench.fairness.world import USUAL, Job, bound_by_slots, bound_by_tokens
from keypool.estimates import CostModel
from keypool.pool import QueueLimits

LEAST_USED = {("slots", 0): 0.99, ("slots", 1): 0.975, ("tokens", 0): 0.97, ("tokens", 1): 0.97}
CROWDED = QueueLimits(total=500, per_person=10**9)  # so small that the flood must be shed


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is simulated: seconds, and how many times; and how many wait where a decision is measured."""

    seconds: float
    seeds: tuple[int, ...]
    flood: float = 3600.0  # seconds of the flood's: a p99 of less than an hour is mostly chance
    waiting: int = 100_000


HOUR = 3600.0
SHORT = Extent(300.0, (1,), flood=1800.0, waiting=20_000)  # for every run of the tests, `QUICK` is for `make soak`
QUICK = Extent(1200.0, (1,))
THOROUGH = Extent(HOUR, (1, 2, 3))
GROWN = 1200.0  # seconds until a queue is so long that what depends on its length shows


Bars = Callable[[Extent], list[Figure]]


def flood(extent: Extent) -> list[Figure]:
    """100 times the requests of a polite person, of the same size."""
    records = [scenarios.flood(fairgate(0), USUAL, extent.flood, seed) for seed in extent.seeds]
    with_headroom = [scenarios.flood(fairgate(1), USUAL, extent.flood, seed) for seed in extent.seeds]
    waits, easier = measures.waits(polite(records)), measures.waits(polite(with_headroom))
    return [
        Figure("polite wait, median", measures.percentile(waits, 0.5), "s", most=0.3),
        Figure("polite wait, p99", measures.percentile(waits, 0.99), "s", most=0.35 * USUAL.service),
        Figure("slots in use", slots_used(records), most=1.0 + 1e-9, least=0.99),
        Figure("headroom 1: polite wait, median", measures.percentile(easier, 0.5), "s", most=0.0),
        Figure("headroom 1: polite wait, p99", measures.percentile(easier, 0.99), "s", most=0.2 * USUAL.service),
        Figure("headroom 1: slots in use", slots_used(with_headroom), least=0.975),
        Figure("polite requests refused", refused([*records, *with_headroom]), most=0),
    ]


def crowd(extent: Extent) -> list[Figure]:
    """The same flood on a queue with room for only 500: it is the flood that is shed."""
    record = scenarios.flood(Fairgate(bound_by_slots(), CROWDED), USUAL, extent.seconds, extent.seeds[0])
    shed = sum(job.refused for job in record.jobs if job.person == scenarios.FLOOD)
    return [
        Figure("room for 500: the flood's requests refused", shed, least=1),
        Figure("room for 500: polite requests refused", refused([record]), most=0),
    ]


def large_flood(extent: Extent) -> list[Figure]:
    """100 times the requests, each 12 times as long in and 6 times as long out: 30 seconds of a slot."""
    seconds = max(GROWN, extent.seconds)
    records = [scenarios.flood(fairgate(1), scenarios.LARGE, seconds, seed) for seed in extent.seeds]
    fifo = scenarios.flood(Simple(bound_by_slots(), Fifo()), scenarios.LARGE, seconds, extent.seeds[0])
    p50, p99 = (measures.percentile(measures.waits(polite(records)), share) for share in (0.5, 0.99))
    theirs = measures.percentile(measures.waits(polite([fifo])), 0.99)
    return [
        Figure("large flood: polite wait, median", p50, "s"),
        Figure("large flood: polite wait, p99", p99, "s"),
        Figure("large flood: FIFO's p99 over ours", theirs / p99, least=50),
        Figure("large flood: polite requests refused", refused(records), most=0),
    ]


def token_flood(extent: Extent) -> list[Figure]:
    """The flood on a pool that is bound by tokens per minute."""
    records = [scenarios.flood(Fairgate(bound_by_tokens()), USUAL, extent.seconds, seed) for seed in extent.seeds]
    return [
        Figure("bound by tokens: polite wait, p99", measures.percentile(measures.waits(polite(records)), 0.99), "s"),
        Figure("bound by tokens: tokens in use", min(tokens_used(each) for each in records), least=0.97),
        Figure("bound by tokens: polite requests refused", refused(records), most=0),
    ]


def forecasts(extent: Extent) -> list[Figure]:
    """The forecasts for those who then waited for more than five seconds, in the flood."""
    waited = [job for seed in extent.seeds for job in _waited(max(GROWN, extent.seconds), seed)]
    usual = mean(job.wait for job in waited)
    errors = [abs(job.wait - job.predicted) / usual for job in waited]
    return [
        Figure("error of the forecast wait, median, of the mean wait", measures.percentile(errors, 0.5), most=0.15),
        Figure("error of the forecast wait, p90, of the mean wait", measures.percentile(errors, 0.9), most=0.35),
    ]


def sizes_by_slots(extent: Extent) -> list[Figure]:
    return _sizes("slots", bound_by_slots, 0, extent) + _sizes("slots", bound_by_slots, 1, extent)


def sizes_by_tokens(extent: Extent) -> list[Figure]:
    return _sizes("tokens", bound_by_tokens, 0, extent) + _sizes("tokens", bound_by_tokens, 1, extent)


def weights(extent: Extent) -> list[Figure]:
    """Weights 1 and 2: how far a share is from what it should be."""
    off = 0.0
    for keys in (bound_by_slots, bound_by_tokens):
        for seed in extent.seeds:
            for limits in (BOUNDLESS, replace(BOUNDLESS, headroom=1)):
                record = scenarios.weights(Fairgate(keys(), limits), extent.seconds, seed)
                off = max(off, _farthest(record.samples[-1].served))
    return [Figure("weights 1:2: largest error of a share", off, most=0.02)]


def returning(extent: Extent) -> list[Figure]:
    """One of three comes back from ten idle minutes."""
    shares = []
    for seed in extent.seeds:
        record = scenarios.returning(fairgate(0), seed)
        served = measures.served(record.samples, "abc", 660.0, 720.0)
        shares.append(served["a"] / sum(served.values()))
    worst = max(shares, key=lambda share: abs(share - 1 / 3))
    return [Figure("back from idleness: share of three, first minute", worst, most=0.36, least=0.30)]


def tiny(extent: Extent) -> list[Figure]:
    """A flood of tiny requests on a pool bound by requests per minute."""
    costs = CostModel.of_limits(scenarios.REQUESTS, scenarios.TOKENS)
    ratios = []
    for seed in extent.seeds:
        record = scenarios.tiny(costs, extent.seconds, seed)
        done = [sum(job.person == each and job.ended is not None for job in record.jobs) for each in scenarios.FIVE]
        ratios.append(done[0] / mean(done[1:]))
    return [Figure("tiny requests: requests of the tiny flood over another's", max(ratios), most=2.0)]


def big(extent: Extent) -> list[Figure]:
    """Prompts that fill a bucket among small requests."""
    records = [scenarios.big(Fairgate(scenarios.one_key(), BOUNDLESS), 20, seed) for seed in extent.seeds]
    prompts = [job for record in records for job in record.jobs if job.person == "big"]
    return [
        Figure("big prompts: share served", mean(job.ended is not None for job in prompts), least=1.0),
        Figure("big prompts: wait, p99", measures.percentile(measures.waits(prompts), 0.99), "s", most=30.0),
        Figure("big prompts: tokens in use", min(measures.tokens_used(each, 1000.0) for each in records), least=0.97),
    ]


def affinity(extent: Extent) -> list[Figure]:
    """Conversations at half load."""
    seconds = max(1800.0, extent.seconds)
    with_it = min(cached_share(Talks(seed, affinity=True).run(0.5, seconds)) for seed in extent.seeds)
    without = min(cached_share(Talks(seed, affinity=False).run(0.5, seconds)) for seed in extent.seeds)
    return [
        Figure("cached share of the prompts at half load", with_it, least=0.85),
        Figure("the same without affinity", without),
    ]


def decisions(extent: Extent) -> list[Figure]:
    """Microseconds on the reference machine, and what holds on any: steps of the yardstick, and growth."""
    many, half = extent.waiting, extent.waiting // 2
    cost, (submit, finish), failure = micro.decision(10_000), micro.turn(many), micro.failure(half)
    return [
        Figure("a decision at 10,000 queued, median", cost.median_microseconds, "µs", most=10.0, timed=True),
        Figure("a decision at 10,000 queued, mean", cost.mean_microseconds, "µs", most=20.0, timed=True),
        Figure("a decision at 10,000 queued, median", cost.median, "steps of the yardstick", most=16.0),
        Figure(f"growth of the median, 1,000 to {many:,} queued", micro.growth(1000, many), most=2.0),
        Figure(f"a submit at {many:,} queued, median", submit.median_microseconds, "µs", most=30.0, timed=True),
        Figure(f"a submit at {many:,} queued, median", submit.median, "steps of the yardstick", most=50.0),
        Figure(f"a finish at {many:,} queued, median", finish.median_microseconds, "µs", most=30.0, timed=True),
        Figure(f"a finish at {many:,} queued, median", finish.median, "steps of the yardstick", most=50.0),
        Figure(f"a failure at {half:,} queued, median", failure.median_microseconds, "µs", most=1000.0, timed=True),
        Figure(f"a failure at {half:,} queued, median", failure.median, "steps of the yardstick", most=1600.0),
    ]


def cancels(extent: Extent) -> list[Figure]:
    """Ten thousand leave at once."""
    storm, waiting = micro.storm(10_000), 10_000
    return [
        Figure("10,000 leave: tickets, slots, flows left over", storm.left, most=0),
        Figure("10,000 leave: time", waiting * storm.cost.median_microseconds / 1e3, "ms", most=50.0, timed=True),
        Figure("10,000 leave: one of them, median", storm.cost.median, "steps of the yardstick", most=10.0),
    ]


Group = tuple[str, tuple[Bars, ...]]

SIMULATED: tuple[Group, ...] = (
    ("One person asks a hundred times as often", (flood, crowd, large_flood, token_flood)),
    ("Eight persons who always have work", (sizes_by_slots, sizes_by_tokens, weights)),
    ("Special cases", (returning, tiny, big)),
    ("Forecasts, and what caches save", (forecasts, affinity)),
)
ATTACKS = "Who tries to get more than a share"  # `defences.py`; `tests/fairness/test_attacks.py` holds each of them
COSTS = "What it costs"
TIMED: tuple[Bars, ...] = (decisions, cancels)  # microseconds are measured on a machine that does nothing else
GROUPS: tuple[Group, ...] = (*SIMULATED, (COSTS, TIMED))


# How they are made


def fairgate(headroom: int) -> Fairgate:
    return Fairgate(bound_by_slots(), replace(BOUNDLESS, headroom=headroom))


def _sizes(bound: str, keys: scenarios.Keys, headroom: int, extent: Extent) -> list[Figure]:
    limits = replace(BOUNDLESS, headroom=headroom)
    records = [scenarios.sizes(Fairgate(keys(), limits), extent.seconds, seed) for seed in extent.seeds]
    found = [fairness(record) for record in records]
    title = f"bound by {bound}, headroom {headroom}"
    used = slots_used(records) if bound == "slots" else min(map(tokens_used, records))
    return [
        Figure(f"{title}: gap, in largest requests", max(each.gap for each in found), most=3.0),
        Figure(f"{title}: Jain's index", min(each.jain for each in found), least=0.999),
        Figure(f"{title}: of minutes, p10", min(each.minutes for each in found), least=0.98),
        Figure(f"{title}: {bound} in use", used, least=LEAST_USED[bound, headroom]),
    ]


def _waited(seconds: float, seed: int) -> list[Job]:
    jobs = scenarios.flood(fairgate(1), USUAL, seconds, seed).jobs
    return [job for job in jobs if job.started is not None and job.wait > 5.0]


def _farthest(served: dict[str, float]) -> float:
    """The largest relative error of a share."""
    rightful = {person: weight / sum(scenarios.WEIGHTS.values()) for person, weight in scenarios.WEIGHTS.items()}
    total = sum(served.values())
    return max(abs(served[person] / total / share - 1.0) for person, share in rightful.items())
