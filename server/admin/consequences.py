"""What an act that hurts will do, in numbers, before it is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from server.admin.changes import NO_SUCH_GROUP, Changes, NotThere
from server.ledger.limits import Scope
from server.store.base import Store


@dataclass(frozen=True, slots=True)
class GroupRemoval:
    """`people` are members, by an operator's hand or the provider's word; `limits` name the group and go on to hold."""

    people: int
    limits: int

    def lines(self) -> list[str]:
        """In sentences."""
        return [
            f"People who lose what it gives them (models, weight, prompts kept, guest passes): {self.people:,}.",
            f"Limits that name it and go on to hold: {self.limits:,}.",
            "Its name stays with its members as a label. Who is in no other group then has "
            "the rights of the group “everyone”, or all models where there is no such group.",
        ]

    def body(self) -> Mapping[str, int]:
        return {"people": self.people, "limits": self.limits}


async def of_group_removal(store: Store, changes: Changes, name: str) -> GroupRemoval:
    """Raises NotThere; nothing is changed."""
    unreadable = {record.id for record in await changes.unreadable() if record.kind == "group"}
    if name not in unreadable | {group.name for group in await changes.groups()}:
        raise NotThere(NO_SUCH_GROUP)
    people = sum(name in (*person.groups, *person.claimed) for person in await store.people())
    of_group = (Scope.GROUP, Scope.MEMBER)
    limits = sum(limit.scope in of_group and limit.subject == name for limit in await changes.limits())
    return GroupRemoval(people, limits)
