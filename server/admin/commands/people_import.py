"""People in and out as a table (`people_csv`): all or nothing, and a second time changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from server.admin.changes import Changes
from server.admin.commands.invitations import KIND as INVITATION
from server.admin.commands.people import PeopleCommands, check, insist_on_promoting
from server.admin.people_csv import Mistake, Row, for_person, is_sayable, read_table, table
from server.auth.accounts import RESERVED
from server.ledger.limits import Limit
from server.policy.authority import Authority
from server.policy.commands import CommandError, words_of
from server.policy.groups import LEFT
from server.store.base import Person, Store
from web.wording import Wording


@dataclass(frozen=True, slots=True)
class ImportedPeople:
    """The result of a file, or of its trial: how many people were added and changed. `done`: whether it was applied.

    `names`: those who were added, or would be. `there`: those of the file who were people here before.
    """

    added: int
    changed: int
    mistakes: tuple[Mistake, ...]
    done: bool
    names: tuple[str, ...] = ()
    there: tuple[str, ...] = ()


class PeopleTable:
    """The two verbs. Both raise StoreError."""

    def __init__(self, store: Store, changes: Changes, people: PeopleCommands) -> None:
        self._store, self._changes, self._people = store, changes, people

    async def export(self) -> bytes:
        """All people as a table in UTF-8, without the reserved names."""
        people = [each for each in await self._store.people() if each.name not in RESERVED]
        return table(people, await self._changes.limits())

    async def read(
        self, actor: str, text: str, partial: bool = False, trial: bool = False, by: Authority | None = None
    ) -> ImportedPeople:
        """Add and change people as a table says. With a mistake nothing is done, unless `partial`: then the rest is.

        On a `trial` nothing is done in any case. `by`: with what authority; without one it makes no administrator.
        """
        rows, mistakes = read_table(text)
        known = {each.name: each for each in await self._store.people()}
        rows, unknown = await self._sorted_out(rows, known, by)
        mistakes = sorted([*mistakes, *unknown], key=lambda each: each.line)
        limits = [limit for limit in await self._changes.limits() if is_sayable(limit)]
        new = [row for row in rows if row.name not in known]
        other = [row for row in rows if row.name in known and _differs(row, known[row.name], limits)]
        there = tuple(row.name for row in rows if row.name in known)
        if trial or (mistakes and not partial):
            return ImportedPeople(len(new), len(other), tuple(mistakes), False, tuple(row.name for row in new), there)
        late = [mistake for row in (*new, *other) if (mistake := await self._follow(actor, row, known, limits, by))]
        failed = {each.line for each in late}
        names = tuple(row.name for row in new if row.line not in failed)
        changed = sum(row.line not in failed for row in other)
        wrong = sorted((*mistakes, *late), key=lambda each: each.line)
        return ImportedPeople(len(names), changed, tuple(wrong), True, names, there)

    async def to_invite(self, found: ImportedPeople) -> list[Person]:
        """The people whom an import has added, and those of its file who have not used the invitation that they have.

        So links that were lost on their way, such as those of a form that was sent twice, are had by the same file.
        """
        if not found.done:
            return []
        added, there = set(found.names), set(found.there)
        waiting = {each.body["person"] for each in await self._store.records(INVITATION)} if there else set()
        return [
            each
            for each in await self._store.people()
            if each.name in added or (each.name in there and each.id in waiting)
        ]

    async def _sorted_out(
        self, rows: Sequence[Row], known: Mapping[str, Person], by: Authority | None
    ) -> tuple[list[Row], list[Mistake]]:
        """The rows that can be followed, and why the others cannot."""
        groups = {LEFT, *(group.name for group in await self._changes.groups())}
        good: list[Row] = []
        mistakes: list[Mistake] = []
        for row in rows:
            try:
                check(row.name, row.wishes)
                if unknown := sorted(set(row.wishes.get("groups", ())) - groups):
                    said = Wording("groups: there is no group %(group)s; create it first", group=unknown[0])
                    raise CommandError(said)
                if row.wishes.get("admin") and not (row.name in known and known[row.name].admin):
                    insist_on_promoting(by)
                good.append(row)
            except CommandError as error:
                mistakes.append(Mistake(row.line, words_of(error)))
        return good, mistakes

    async def _follow(
        self, actor: str, row: Row, known: Mapping[str, Person], limits: Sequence[Limit], by: Authority | None
    ) -> Mistake | None:
        """Apply a row. Returns a mistake if the store has changed since the row was checked."""
        try:
            person = known.get(row.name) or await self._create(actor, row)
            await self._people.change(actor, person.id, row.wishes, by)
            if row.limits is not None:
                await self._set_limits(actor, person.id, row.limits, limits)
        except CommandError as error:
            return Mistake(row.line, words_of(error))
        return None

    async def _create(self, actor: str, row: Row) -> Person:
        wishes = row.wishes
        return await self._people.create(
            actor, row.name, wishes.get("email"), wishes.get("groups", ()), wishes.get("note", "")
        )

    async def _set_limits(self, actor: str, person_id: str, wanted: Sequence[Limit], there: Sequence[Limit]) -> None:
        mine = {limit.kind: limit for limit in there if limit.subject == person_id}
        for limit in wanted:
            old = mine.pop(limit.kind, None)
            if old is None or old.amount != limit.amount:
                if old is not None:
                    await self._changes.remove_limit(actor, old.id)
                await self._changes.set_limit(actor, for_person(limit, person_id))
        for limit in mine.values():
            await self._changes.remove_limit(actor, limit.id)


def _differs(row: Row, person: Person, limits: Sequence[Limit]) -> bool:
    if any(set(value) != set(person.groups) if field == "groups" else getattr(person, field) != value
           for field, value in row.wishes.items()):  # fmt: skip
        return True
    mine = {(limit.kind, limit.amount) for limit in limits if limit.subject == person.id}
    return row.limits is not None and {(limit.kind, limit.amount) for limit in row.limits} != mine
