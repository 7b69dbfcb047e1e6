"""A store in memory, as far as messages need one: it keeps the promises of `DeliveryVerbs` and can be away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from server.policy.notifications import Delivery, DeliveryState
from server.store.acts import Act, Outdated
from server.store.base import Audit, Person, StoreError, Token


class MemoryStore:
    """`away`: every verb raises StoreError. `lost`: how many of the next changes of an end are not written."""

    def __init__(self, *people: Person, tokens: Sequence[Token] = ()) -> None:
        self.kept: dict[str, Delivery] = {}
        self.counters: dict[str, int] = {}
        self.audits: list[Audit] = []
        self.away = False
        self.jobs = 0
        self._people, self._tokens = list(people), list(tokens)

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        return self._verb(found) if callable(found) and not name.startswith("_") else found

    def _verb(self, verb: Any) -> Any:
        async def asked(*arguments: Any) -> Any:
            if self.away:
                raise StoreError("away")
            self.jobs += 1
            return verb(*arguments)

        return asked

    def settled(self, counters: Sequence[str]) -> list[int]:
        return [self.counters.get(name, 0) for name in counters]

    def people(self) -> list[Person]:
        return self._people

    def person(self, person_id: str) -> Person | None:
        return next((each for each in self._people if each.id == person_id), None)

    def tokens(self) -> list[Token]:
        return self._tokens

    def add_deliveries(self, deliveries: Sequence[Delivery]) -> int:
        fresh = {each.id: each for each in deliveries if each.id not in self.kept}
        self.kept |= fresh
        return len(fresh)

    def due_deliveries(self, now: int, limit: int) -> list[Delivery]:
        due = [each for each in self.kept.values() if each.state is DeliveryState.WAITING and each.due_at <= now]
        return sorted(due, key=lambda each: (each.due_at, each.id))[:limit]

    def swap_delivery(self, before: Delivery, after: Delivery) -> bool:
        return self._swapped(before, after)

    def change(self, entry: Audit, acts: Sequence[Act]) -> None:
        for act in acts:
            if act.verb == "swap_delivery" and not self._swapped(*act.arguments):
                raise Outdated
            if act.verb == "add_deliveries":
                self.kept = {**{each.id: each for each in act.arguments[0]}, **self.kept}
        self.audits.append(entry)

    def _swapped(self, before: Delivery, after: Delivery) -> bool:
        if self.kept.get(before.id) != before:
            return False
        self.kept[after.id] = after
        return True
