"""What an act that hurts will do, in numbers, before it is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from server.admin.changes import Changes, no_such
from server.ledger.limits import Scope
from server.ledger.reports import Days
from server.store.base import Person, Store


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
        raise no_such("group")
    people = sum(name in (*person.groups, *person.claimed) for person in await store.people())
    of_group = (Scope.GROUP, Scope.MEMBER)
    limits = sum(limit.scope in of_group and limit.subject == name for limit in await changes.limits())
    return GroupRemoval(people, limits)


@dataclass(frozen=True, slots=True)
class Erasure:
    """What a person has that ends with them."""

    name: str
    tokens: int
    requests: int

    def lines(self) -> list[str]:
        """In sentences."""
        return [
            f"{self.name} is forgotten: the name, the address, logins, kept prompts and answers.",
            f"Tokens that end for good: {self.tokens:,}.",
            f"Requests that stay on the ledger as no one's: {self.requests:,}.",
        ]


async def of_erasure(store: Store, person: Person) -> Erasure:
    """Nothing is changed."""
    tokens = sum(token.revoked_at is None for token in await store.tokens(person.id))
    (used,) = await store.sums(Days(person_id=person.id), ())
    return Erasure(person.name, tokens, used.requests)
