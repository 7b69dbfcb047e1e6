"""How queues, keys and domains stand, read from the pool at the moment of the scrape.

A capacity domain is named by its organisation, or by its upstream and a number where a key has limits of its own: the
pool's own name for such a domain is the key's fingerprint, which must not leave the gateway.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from keypool.health import KeyState
from keypool.keys import Key
from keypool.messages import Reason
from keypool.snapshot import DomainSnapshot, KeySnapshot, ModelSnapshot, TallySnapshot
from server.dispatching import Dispatching

Row = tuple[Sequence[str], float]  # the values of the labels, and the figure


class PoolMetrics(Collector):
    """The figures of a pool."""

    def __init__(self, dispatcher: Dispatching) -> None:
        self._dispatcher = dispatcher
        self._names: dict[str, str] = {}  # of each key that was ever seen, so that a series stays one key's
        self._counted: Counter[str] = Counter()  # keys of each upstream

    def collect(self) -> Iterator[Metric]:
        snapshot = self._dispatcher.snapshot()
        yield from _queues(snapshot.models)
        yield from _slots(snapshot.keys)
        yield from _fairness(snapshot.models)
        yield from _forecasts(snapshot.models)
        yield from self._domains(snapshot.domains)
        yield from _retries(snapshot.tally)
        yield from _tallies(snapshot.tally)

    def _domains(self, domains: Iterable[DomainSnapshot]) -> Iterator[Metric]:
        owners = self._owners(self._dispatcher.keyring.keys.values())
        known = [
            ((shown, each.id.removeprefix(f"{owner}/")), each)
            for each in domains
            for owner, shown in owners.items()
            if each.id.startswith(f"{owner}/")
        ]
        labels = ("domain", "models")
        used = [((*name, measure.value), left.used) for name, each in known for measure, left in each.limits.items()]
        yield gauge("fairgate_domain_used_ratio", "Used share of a provider's limit.", (*labels, "measure"), used)
        running = [(name, each.running) for name, each in known]
        yield gauge("fairgate_domain_running_requests", "Requests in flight that share limits.", labels, running)

    def _owners(self, keys: Iterable[Key]) -> dict[str, str]:
        """The first part of a domain's id -> the name to show."""
        return {key.organisation or key.id: key.organisation or self._name(key) for key in keys}

    def _name(self, key: Key) -> str:
        if key.id not in self._names:
            self._counted[key.upstream] += 1
            self._names[key.id] = f"{key.upstream}#{self._counted[key.upstream]}"
        return self._names[key.id]


def _queues(models: Iterable[ModelSnapshot]) -> Iterator[Metric]:
    by_model = ("model",)
    waiting = [((each.name,), each.waiting) for each in models]
    yield gauge("fairgate_queue_waiting_requests", "Requests that wait for a key.", by_model, waiting)
    running = [((each.name,), each.running) for each in models]
    yield gauge("fairgate_queue_running_requests", "Requests that have a key.", by_model, running)
    slots = [((each.name,), each.slots) for each in models]
    yield gauge("fairgate_keys_offered_slots", "Requests that the model's keys may serve at once.", by_model, slots)
    states = [((each.name, state.value), each.keys.get(state, 0)) for each in models for state in KeyState]
    yield gauge("fairgate_keys_standing_count", "Keys of a model in each state.", ("model", "state"), states)
    suspected = [((each.name,), each.suspected) for each in models]
    yield gauge("fairgate_keys_suspected_count", "Keys that fail requests, perhaps by these.", by_model, suspected)


def _slots(keys: Sequence[KeySnapshot]) -> Iterator[Metric]:
    """Each key once, whatever models it serves: these may be added up."""
    owned, held = Counter[str](), Counter[str]()
    for key in keys:
        owned[key.upstream] += key.slots
        held[key.upstream] += key.running
    rows = [((name,), owned[name]) for name in owned]
    yield gauge("fairgate_slots_owned_count", "Slots of all keys of an upstream.", ("upstream",), rows)
    rows = [((name,), held[name]) for name in owned]
    yield gauge("fairgate_slots_held_count", "Slots of them that are in use.", ("upstream",), rows)


def _fairness(models: Iterable[ModelSnapshot]) -> Iterator[Metric]:
    by_model = ("model",)
    gap = [((each.name,), each.gap) for each in models]
    yield gauge("fairgate_shares_differ_cost", "Largest difference between two who wait.", by_model, gap)
    bound = [((each.name,), each.bound) for each in models]
    yield gauge("fairgate_shares_bounded_cost", "What that difference may be by the queue's rule.", by_model, bound)
    jain = [((each.name,), each.jain) for each in models]
    yield gauge("fairgate_shares_compared_ratio", "Jain's index of those who waited lately.", by_model, jain)


def _forecasts(models: Iterable[ModelSnapshot]) -> Iterator[Metric]:
    by_model = ("model",)
    made = [((each.name,), each.forecasts.made) for each in models]
    yield counter("fairgate_forecasts_made", "Waits that were forecast and have ended.", by_model, made)
    near = [((each.name,), each.forecasts.near) for each in models]
    yield counter("fairgate_forecasts_met", "Of these, within a quarter of the true wait.", by_model, near)
    exceeded = [((each.name,), each.forecasts.exceeded) for each in models]
    yield counter("fairgate_forecasts_exceeded", "Of these, longer than the longest forecast.", by_model, exceeded)


def _retries(tally: TallySnapshot) -> Iterator[Metric]:
    yield gauge("fairgate_retries_spent_count", "Paid retries in the last minute.", (), [((), tally.spent)])
    yield gauge("fairgate_retries_allowed_count", "What the budget allows in a minute.", (), [((), tally.allowed)])


def _tallies(tally: TallySnapshot) -> Iterator[Metric]:
    reasons = [((reason.name.lower(),), tally.refusals.get(reason, 0)) for reason in Reason]
    yield counter("fairgate_requests_refused", "Requests that the queue turned away.", ("reason",), reasons)
    yield counter("fairgate_requests_retried", "Retries that the budget paid.", (), [((), tally.retries)])
    share = tally.cached_tokens / tally.input_tokens if tally.input_tokens else 0.0
    yield gauge("fairgate_input_cached_ratio", "Share of input tokens that providers had cached.", (), [((), share)])


def gauge(name: str, help: str, labels: Sequence[str], rows: Iterable[Row]) -> Metric:
    """How something stands: a family with the values of its labels and its figures."""
    return _filled(GaugeMetricFamily(name, help, labels=labels), rows)


def counter(name: str, help: str, labels: Sequence[str], rows: Iterable[Row]) -> Metric:
    """How often something has happened; Prometheus adds `_total` to the name."""
    return _filled(CounterMetricFamily(name, help, labels=labels), rows)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, rows: Iterable[Row]) -> Metric:
    for labels, figure in rows:
        family.add_metric(labels, figure)
    return family
