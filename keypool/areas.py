"""Areas: the models that cannot be shared fairly one by one, because their keys share slots or limits.

Two models are in one area if a key serves both, or if their keys are of one organisation and the models share its
limits. Keys come and go and models become known, so areas merge and split: then each new area takes over what of the
old ones belongs to it, and each flow stays as far ahead of the virtual time, or behind it, as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from keypool.backlog import Backlog
from keypool.fairness_index import Shares
from keypool.fairqueue import FairQueue
from keypool.flow_heap import lane_of
from keypool.health import FOREVER
from keypool.keys import Key
from keypool.ticket import Ticket
from keypool.waiting import ServiceRate

FRESH = 1.0  # seconds for which a picture of all flows serves, since taking one looks at each of them


class Area:
    """A fair queue, the keys that serve it, and what is learnt about it. Times are seconds, monotonic."""

    def __init__(self, fair: FairQueue, models: frozenset[str], keys: Sequence[Key]) -> None:
        self.fair, self.models, self.keys = fair, models, keys
        self.name = min(models)
        self.rate = ServiceRate()
        self.shares = Shares()
        self.fits_at = FOREVER  # the earliest instant at which time alone may let a head go
        self._backlog: Backlog | None = None

    @property
    def has_free_slot(self) -> bool:
        """Whether anything could start at all: asked first, because most of the time a busy pool has none."""
        for key in self.keys:  # noqa: SIM110 - a third of the time of `any`, at each request
            if key.running < key.slots:
                return True
        return False

    def backlog(self, now: float) -> Backlog:
        if self._backlog is None or not 0.0 <= now - self._backlog.at < FRESH:
            self._backlog = Backlog(self.fair.accounts(), now)
        return self._backlog

    def look(self, now: float) -> None:
        """Note how many slots are open now: the rate is one per open slot."""
        self.rate.look(sum([key.slots for key in self.keys if self._is_open(key, now)]), now)

    def _is_open(self, key: Key, now: float) -> bool:
        if not key.whole.well:
            return False
        for model in key.models:
            mine, domain = key.by_model.get(model), key.domains.get(model)
            if (mine is None or not mine.resting) and (domain is None or domain.standing.until <= now):
                return True
        return False


def partition(keys: Iterable[Key], models: Iterable[str]) -> list[frozenset[str]]:
    """The models of each area. `models` are those that are named at all, served or not."""
    root: dict[str, str] = {model: model for model in models}

    def find(model: str) -> str:
        while root.setdefault(model, model) != model:
            root[model] = model = root[root[model]]
        return model

    limits: dict[tuple[str, str], str] = {}
    for key in keys:
        first = None
        for model in key.models:
            place = key.organisation or key.id, lane_of(model, frozenset()).group
            for other in (first, limits.setdefault(place, model)):
                if other is not None:
                    root[find(model)] = find(other)
            first = first or model
    found: dict[str, set[str]] = {}
    for model in root:
        found.setdefault(find(model), set()).add(model)
    return [frozenset(each) for each in found.values()]


def take_over(area: Area, old: Iterable[Area], tickets: Mapping[FairQueue, list[Ticket]]) -> None:
    """Fill a new area with what the old ones have for it: these tickets, debts, and what was learnt."""
    heirs = [each for each in old if each.models & area.models]
    for each in heirs:
        area.fair.take_over(each.fair, tickets.get(each.fair, []))
    if heirs:
        closest = max(heirs, key=lambda each: len(each.models & area.models))
        area.rate, area.shares = closest.rate, closest.shares
