"""The attacks as figures with bars: no person gets more than 1.15 of a fair share, and no other person waits for it."""

from __future__ import annotations

from bench.fairness import attacks, measures, scenarios
from bench.fairness.figures import Figure
from bench.fairness.schedulers import Fairgate
from bench.fairness.simulation import Record
from bench.fairness.world import USUAL, Job, Size, bound_by_slots
from keypool.keys import Key
from keypool.pool import QueueLimits

SECONDS = 900.0
START = 60.0  # when it has settled
SEED = 1
USUAL_LIMITS = QueueLimits(total=10**9, per_person=10**9)
MOST = 1.15  # of a fair share
PATIENCE = 300.0  # seconds


def own_key(seconds: float = SECONDS) -> list[Figure]:
    """Staff busy on a key of their own beside shared ones do not keep newcomers from these."""
    record = attacks.own_key(core(attacks.shared_and_own()), seconds, SEED)
    new = [job for job in record.jobs if job.person.startswith("new")]
    return [
        Figure("own key: newcomers' wait, median", measures.percentile(_waits(new, seconds), 0.5), "s", most=0.3),
        Figure(
            "own key: newcomers' wait, p99", measures.percentile(_waits(new, seconds), 0.99), "s", most=USUAL.service
        ),
        Figure("own key: newcomers unserved", sum(job.started is None for job in new), most=0),
    ]


def cached(seconds: float = SECONDS) -> list[Figure]:
    """Long prompts that turn out to be cached delay polite persons no more than short ones do."""
    waits, control = (_cached(size, seconds) for size in (attacks.LONG_PROMPT, USUAL))
    return [
        Figure("cached prompts: polite wait, median", measures.percentile(waits, 0.5), "s", most=0.3),
        Figure("cached prompts: polite p99, over the control", _over(waits, control), most=1.5),
    ]


def dated(seconds: float = SECONDS) -> list[Figure]:
    """A model asked for by its dated name is the same model."""
    record = attacks.dated(core(attacks.two_names()), seconds, SEED)
    return [_share("dated name", record, 5, seconds)]


def alone(seconds: float = SECONDS) -> list[Figure]:
    """One person on one model beside fifteen on another, on the same keys."""
    record = attacks.alone(core(attacks.many_models()), seconds, SEED)
    return [_share("alone with a model", record, 16, seconds)]


def many(seconds: float = SECONDS) -> list[Figure]:
    """One person on eight models beside seven on one."""
    record = attacks.many(core(attacks.many_models()), seconds, SEED)
    return [_share("on eight models", record, 8, seconds)]


def given_up(seconds: float = SECONDS) -> list[Figure]:
    """Plain answers that are given up at 97 per cent, beside the same ones taken to their end."""
    record, control = (attacks.given_up(core(bound_by_slots()), stays, seconds, SEED) for stays in (0.97, 1.0))
    slots = attacks.slots_share(record, attacks.EVE, 8) / attacks.slots_share(control, attacks.EVE, 8)
    waits, usual = (_waits([job for job in each.jobs if job.person[0] == "p"], seconds) for each in (record, control))
    return [
        _share("given up at 97 %", record, 8, seconds),
        Figure("given up at 97 %: slots, over the control", slots, most=MOST),
        Figure("given up at 97 %: polite p99, over the control", _over(waits, usual), most=1.5),
    ]


def reserved(seconds: float = 2 * SECONDS) -> list[Figure]:
    """What a provider takes beforehand for one person's `max_tokens` of 32,000 is paid by that person."""
    attack = attacks.reserved(core(attacks.limits_in_headers()), attacks.MOST, seconds, SEED)
    control = attacks.reserved(core(attacks.limits_in_headers()), None, seconds, SEED)
    refused = sum(attack.refusals.values()) - attack.refusals[attacks.EVE]
    return [
        Figure(
            "max_tokens 32,000: others served, over the control",
            _others(attack.record) / _others(control.record),
            least=0.9,
        ),
        Figure("max_tokens 32,000: others refused by the provider", refused, most=0),
    ]


def weight(seconds: float = SECONDS) -> list[Figure]:
    """A weight lowered from 8 to 1 counts at once."""
    record = attacks.weight(core(bound_by_slots()), seconds, SEED)
    return [_share("weight lowered from 8 to 1", record, 8, seconds, attacks.TURN + 30.0)]


def identities(seconds: float = 600.0) -> list[Figure]:
    """A new person for each request, at one address, where addresses share."""
    record = attacks.identities(core(bound_by_slots()), True, seconds, SEED)
    before, after = measures.at(record.samples, START).served, record.samples[-1].served
    gained = {person: cost - before.get(person, 0.0) for person, cost in after.items()}
    eve = sum(cost for person, cost in gained.items() if person.startswith(attacks.EVE))
    return [Figure("a new identity each time: share, of a fair one", 8 * eve / sum(gained.values()), most=MOST)]


def taken_away(seconds: float = SECONDS) -> list[Figure]:
    """An owner whose own key is taken away is served from the others."""
    record = attacks.taken_away(core(attacks.shared_and_own()), seconds, SEED)
    mine = (job.started for job in record.jobs if job.person == "staff0" and job.started is not None)
    first = min(started for started in mine if started > attacks.TURN) - attacks.TURN
    share = attacks.share(record, "staff0", 8, attacks.TURN, attacks.TURN + 120.0)
    return [
        Figure("own key taken away: until the owner is served", first, "s", most=2 * USUAL.service),
        Figure("own key taken away: the owner's share, two minutes", share, most=MOST, least=0.85),
    ]


def long_after(seconds: float = SECONDS) -> list[Figure]:
    """Short answers teach how long answers are, then long plain ones follow."""
    record = attacks.long_after(core(bound_by_slots()), seconds, SEED)
    worst = attacks.worst_share(record, attacks.EVE, 8, attacks.TURN - 60.0)
    return [Figure("long after short: share in any 120 s, of a fair one", worst, most=1.3)]


def forecasts(seconds: float = SECONDS) -> list[Figure]:
    """Forecasts and refusals while keys rest, during an outage, and in a flood of the person's own."""
    resting = attacks.resting(core(bound_by_slots()), seconds, SEED)
    closed = attacks.outage(Fairgate(bound_by_slots(), USUAL_LIMITS, patience=PATIENCE), seconds, SEED)
    flood = scenarios.flood(core(bound_by_slots()), USUAL, seconds, SEED)
    while_half = [job for job in resting.jobs if attacks.TURN < job.arrived < 2 * attacks.TURN]
    flooder = [job for job in flood.jobs if job.person == scenarios.FLOOD]
    return [
        Figure("keys rest: mean error of the forecasts", attacks.forecast_error(while_half), most=0.15),
        Figure("no key for 200 s: mean error of the forecasts", attacks.forecast_error(closed.jobs), most=0.2),
        Figure("no key for 200 s: polite requests refused", sum(job.refused for job in closed.jobs), most=0),
        Figure("a flooder: mean error of the forecasts", attacks.forecast_error(flooder), most=0.25),
    ]


DEFENCES = (
    own_key, cached, dated, alone, many, given_up, reserved, weight, identities, taken_away, long_after, forecasts,
)  # fmt: skip


# How they are made


def core(keys: list[Key]) -> Fairgate:
    return Fairgate(keys, USUAL_LIMITS)


def _share(what: str, record: Record, weights: float, seconds: float, start: float = START) -> Figure:
    share = attacks.share(record, attacks.EVE, weights, start, seconds)
    return Figure(f"{what}: share, of a fair one", share, most=MOST)


def _cached(size: Size, seconds: float) -> list[float]:
    record = attacks.cached(core(bound_by_slots()), size, seconds, SEED)
    return _waits([job for job in record.jobs if job.person != attacks.EVE], seconds)


def _waits(jobs: list[Job], seconds: float) -> list[float]:
    """How long they waited, or have waited in vain; the last minute is left out."""
    ended = ((job, seconds if job.started is None else job.started) for job in jobs if job.arrived < seconds - 60.0)
    return [until - job.arrived for job, until in ended]


def _over(waits: list[float], control: list[float]) -> float:
    return measures.percentile(waits, 0.99) / max(0.1, measures.percentile(control, 0.99))


def _others(record: Record) -> int:
    return sum(job.person != attacks.EVE and job.ended is not None and job.ended > START for job in record.jobs)
