"""Which models belong together now: the areas, the queue of each model in its area, and where tickets wait."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from keypool.areas import Area, partition, take_over
from keypool.fairqueue import FairQueue
from keypool.flow_heap import lane_of
from keypool.keyring import Keyring
from keypool.messages import QueueLimits
from keypool.queues import ModelQueue
from keypool.ticket import Ticket

LONG = 60.0  # seconds of rest from which on a key is as good as lost to those who wait


class Arrangement:
    """The areas of one pool. `busy`: those where tickets wait."""

    def __init__(self, keyring: Keyring, limits: QueueLimits) -> None:
        self.keyring, self.limits = keyring, limits
        self.queues: dict[str, ModelQueue] = {}
        self.busy: dict[Area, None] = {}
        self._areas: dict[str, Area] = {}  # by model
        self.rearrange(())

    def queue(self, model: str) -> ModelQueue:
        """The queue of a model; made when first asked for."""
        queue = self.queues.get(model)
        if queue is None:
            queue = self.queues[model] = ModelQueue(model, self.area(model))
        return queue

    def area(self, model: str) -> Area:
        """The area of a model."""
        area = self._areas.get(model)
        if area is None:
            area = self._areas[model] = self._new_area(frozenset((model,)))
        return area

    def all(self) -> list[Area]:
        """Every area once."""
        return list(dict.fromkeys(self._areas.values()))

    def rearrange(self, tickets: Collection[Ticket]) -> bool:
        """Keys or models have come or gone: see which belong together now, and who may use what.

        `tickets`: all that wait or run. Returns False if nothing has changed for them.
        """
        changed = self._reaches_changed(tickets)
        old, parts = self.all(), partition(self.keyring.keys.values(), {*self.keyring.models(), *self._areas})
        if not changed and {area.models for area in old} == set(parts):
            for area in old:
                area.keys = self._new_area(area.models).keys
            return False
        by_fair: dict[FairQueue, list[Ticket]] = {}
        for ticket in tickets:
            by_fair.setdefault(self._areas[ticket.model].fair, []).append(ticket)
        self._areas = {model: area for models in parts for area in [self._new_area(models)] for model in models}
        for area in self.all():
            mine = {fair: [each for each in some if each.model in area.models] for fair, some in by_fair.items()}
            take_over(area, old, mine)
        for model, queue in self.queues.items():
            queue.join(self._areas[model])
        self.busy = {area: None for area in self.all() if area.fair.waiting}
        return True

    def watch_keys(self, now: float) -> None:
        """The standing of keys may have changed: see who is of no use for long, and how many slots are open."""
        for area in self.busy:
            area.look(now)
        for area in self.all():
            for key in area.keys:
                if key.whole.dead or key.whole.opens_at() > now + LONG:
                    area.fair.lose(key.id)
                elif key.id in area.fair.lost:
                    area.fair.regain(key.id)

    def _new_area(self, models: frozenset[str]) -> Area:
        limits = self.limits
        keys = [key for key in self.keyring.keys.values() if not key.models.isdisjoint(models)]
        return Area(FairQueue(limits.total, limits.per_person, limits.cap), models, keys)

    def _reaches_changed(self, tickets: Iterable[Ticket]) -> bool:
        """Set for all tickets which keys may serve them now. Returns False if nothing has changed."""
        changed = False
        for ticket in tickets:
            reach = self.keyring.reach(ticket.model, ticket.dialect, ticket.groups)
            if ticket.bound_to is not None:
                reach &= ticket.bound_to
            if ticket.reach != reach:
                ticket.reach, ticket.lane, changed = reach, lane_of(ticket.model, reach), True
        return changed
