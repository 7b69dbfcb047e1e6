"""Texts that a group keeps, read by those whom the group names: its operators, its teachers, or both.

A text can be read only by those who were named when it was written (`Content.readers`): who writes knows then by whom
it may be read, and naming more readers later opens nothing of the past. Each reading is in the audit log before a text
is shown, and the person sees there who has read theirs, and when.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from server.admin.changes import Changes, no_such
from server.policy.commands import CommandError
from server.policy.groups import OPERATORS, READERS, TEACHERS
from server.store.base import Content, Store
from web.wording import Wording

READ = "content.read"  # the action in the audit log
MOST_READINGS = 500  # that a person sees, the latest
MOST_TEXTS = 500

__all__ = ["OPERATORS", "READERS", "TEACHERS", "ContentCommands", "Reading"]


@dataclass(frozen=True, slots=True)
class Reading:
    """That texts of a person were read: by whom (a person's id, or "operator"), when, of which group and how many."""

    actor: str
    at: int
    group: str
    texts: int


class ContentCommands:
    """The verbs. `wall` is UTC milliseconds. All raise CommandError and StoreError."""

    def __init__(self, store: Store, changes: Changes, wall: Callable[[], int]) -> None:
        self._store, self._changes, self._wall = store, changes, wall

    async def read(self, actor: str, reader: str, group: str, person_name: str) -> list[Content]:
        """The texts of a person that a group lets `reader` (OPERATORS or TEACHERS) read, the newest first; noted.

        Raises NotThere for a group that the actor does not teach, where they read as a teacher.
        """
        if reader == TEACHERS and not await self.teaches(actor, group):
            raise no_such("group")
        person = await self._store.person_by_name(person_name)  # of who is none a teacher hears no more than of others
        found = [
            each
            for each in ([] if person is None else await self._store.contents(person.id))
            if each.group == group and reader in each.readers.split() and self._wall() < each.expires_at
        ][-MOST_TEXTS:]
        if person is None or not found:
            raise CommandError(Wording("no text of this person is kept that this group lets you read"))
        await self._changes.note(actor, READ, person.id, None, {"group": group, "as": reader, "texts": len(found)})
        return found[::-1]

    async def teaches(self, person_id: str, group: str) -> bool:
        """Whether a person is among the teachers of a group."""
        return any(each.name == group and person_id in each.teachers for each in await self._changes.groups())

    async def readings(self, person_id: str) -> list[Reading]:
        """Who has read a person's texts, the newest first."""
        entries = await self._store.audits_about(person_id, READ, MOST_READINGS)
        return [
            Reading(each.actor, each.at, str(each.after["group"]), int(each.after["texts"]))
            for each in entries
            if each.after is not None
        ]
