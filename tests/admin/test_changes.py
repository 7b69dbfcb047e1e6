"""The operator's desk: every change is noted before it is made, and what is not there cannot be changed."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from server.admin.changes import Changes, Overtaken
from server.ledger.limits import Limit, LimitWindow, Scope, Unit, limit_body
from server.ledger.prices import Price, Rates
from server.policy.commands import CommandError
from server.policy.groups import Group
from server.policy.notices import Notice, NoticeKind
from server.store import store_for
from server.store.acts import Act
from server.store.base import Audit, Record, Store, StoreError
from tests.store.samples import ADA, BOB, token
from tests.workbench import Delegate

BOSS, NOW = "usr_boss", 5_000
DAILY = Limit("lim_1", Scope.PERSON, ADA.id, Unit.USD, LimitWindow.DAY, 5_000_000)
COURSE = Group(name="course", weight=2.0, teachers=(BOB.id,))
PRICE = Price("own:gpt-5", "gpt-5", 0, Rates(input=1, output=2))
NOTICE = Notice("ntc_1", NoticeKind.MAINTENANCE, "Back at noon", 0, 9_000)

Change = Callable[[Changes], Awaitable[object]]


@asynccontextmanager
async def opened(tmp_path: Path) -> AsyncIterator[tuple[Changes, Store]]:
    numbers = count(1)
    async with store_for(f"sqlite:///{tmp_path}/fairgate.db") as store:
        for person in (ADA, BOB):
            await store.create_person(person)
        await store.add_token(b"digest", token("laptop"))
        yield Changes(store, lambda: NOW, lambda: f"aud_{next(numbers)}"), store


async def noted(changes: Changes) -> Audit:
    """The latest entry."""
    (entry,) = await changes.audits(None, 1)
    return entry


@pytest.mark.gen_test
async def test_a_limit_is_set_raised_for_a_while_and_removed_and_each_step_is_noted(tmp_path: Path) -> None:
    async with opened(tmp_path) as (changes, _):
        await changes.set_limit(BOSS, DAILY)
        assert await changes.limits() == [DAILY]
        first = {"scope": "person", "subject": ADA.id, "unit": "usd", "window": "day", "amount": 5_000_000}
        assert await noted(changes) == Audit("aud_1", NOW, BOSS, "limit.set", "lim_1", None, first)
        await changes.raise_limit(BOSS, "lim_1", 1_000_000, 8_000)
        (raised,) = await changes.limits()
        assert (raised.amount_at(NOW), raised.amount_at(8_000)) == (6_000_000, 5_000_000)
        second = first | {"extra": 1_000_000, "extra_until": 8_000}
        assert await noted(changes) == Audit("aud_2", NOW, BOSS, "limit.raise", "lim_1", first, second)
        await changes.remove_limit(BOSS, "lim_1")
        assert await changes.limits() == []
        assert await noted(changes) == Audit("aud_3", NOW, BOSS, "limit.remove", "lim_1", second, None)


@pytest.mark.gen_test
async def test_prices_groups_and_notices_come_and_go_and_each_step_is_noted(tmp_path: Path) -> None:
    async with opened(tmp_path) as (changes, _):
        await changes.set_price(BOSS, PRICE)
        await changes.create_group(BOSS, COURSE)
        await changes.set_notice(BOSS, NOTICE)
        assert (await changes.prices(), await changes.groups(), await changes.notices()) == (
            [PRICE],
            [COURSE],
            [NOTICE],
        )
        await changes.remove_price(BOSS, PRICE.id)
        await changes.remove_group(BOSS, COURSE.name)
        await changes.remove_notice(BOSS, NOTICE.id)
        assert (await changes.prices(), await changes.groups(), await changes.notices()) == ([], [], [])
        entries = [(entry.action, entry.target) for entry in await changes.audits(None, 10)]
        assert entries == [
            ("notice.remove", "ntc_1"),
            ("group.remove", "course"),
            ("price.remove", "own:gpt-5"),
            ("notice.set", "ntc_1"),
            ("group.create", "course"),
            ("price.set", "own:gpt-5"),
        ]


@pytest.mark.gen_test
async def test_people_are_put_into_groups_and_taken_out_renamed_disabled_and_made_administrators(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as (changes, store):
        await changes.create_group(BOSS, COURSE)
        await changes.put_in_group(BOSS, ADA.id, "course")
        assert (await noted(changes)).after == {"groups": ["course"]}
        await changes.put_in_group(BOSS, ADA.id, "course")
        await changes.rename(BOSS, ADA.id, "Countess")
        assert await noted(changes) == Audit(
            "aud_3", NOW, BOSS, "person.name", ADA.id, {"name": "Ada"}, {"name": "Countess"}
        )
        await changes.set_admin(BOSS, ADA.id, True)
        await changes.set_disabled(BOSS, ADA.id, True)
        person = await store.person(ADA.id)
        assert person is not None
        assert (person.name, person.groups, person.admin, person.disabled) == ("Countess", ("course",), True, True)
        await changes.take_from_group(BOSS, ADA.id, "course")
        assert (await changes.person_named("Countess")).groups == ()


@pytest.mark.gen_test
async def test_a_token_is_revoked_once_and_its_first_time_stays(tmp_path: Path) -> None:
    async with opened(tmp_path) as (changes, store):
        await changes.revoke_token(BOSS, "tok_laptop")
        assert [each.revoked_at for each in await store.tokens()] == [NOW]
        assert await noted(changes) == Audit(
            "aud_1", NOW, BOSS, "token.revoke", "tok_laptop", {"revoked_at": None}, {"revoked_at": NOW}
        )


NOBODY = Limit("lim_9", Scope.PERSON, "usr_nobody", Unit.USD, LimitWindow.DAY, 1)
IMPOSSIBLE: dict[str, Change] = {
    "a limit for nobody": lambda changes: changes.set_limit(BOSS, NOBODY),
    "a limit for no token": lambda changes: changes.set_limit(
        BOSS, Limit("l", Scope.TOKEN, "x", Unit.USD, LimitWindow.DAY, 1)
    ),
    "a limit for no group": lambda changes: changes.set_limit(
        BOSS, Limit("l", Scope.GROUP, "x", Unit.USD, LimitWindow.DAY, 1)
    ),
    "a limit for no name": lambda changes: changes.set_limit(
        BOSS, Limit("l", Scope.MEMBER, "\n", Unit.USD, LimitWindow.DAY, 1)
    ),
    "raising no limit": lambda changes: changes.raise_limit(BOSS, "x", 1, 8_000),
    "removing no limit": lambda changes: changes.remove_limit(BOSS, "x"),
    "removing no price": lambda changes: changes.remove_price(BOSS, "x"),
    "removing no group": lambda changes: changes.remove_group(BOSS, "x"),
    "removing no notice": lambda changes: changes.remove_notice(BOSS, "x"),
    "a teacher who is nobody": lambda changes: changes.create_group(BOSS, Group(name="g", teachers=("x",))),
    "a group that exists": lambda changes: changes.create_group(BOSS, Group(name="course")),
    "changing no group": lambda changes: changes.change_group(BOSS, Group(name="x")),
    "a member of nothing": lambda changes: changes.put_in_group(BOSS, ADA.id, "x"),
    "nobody as a member": lambda changes: changes.put_in_group(BOSS, "x", "course"),
    "no member": lambda changes: changes.take_from_group(BOSS, ADA.id, "course"),
    "nobody as an administrator": lambda changes: changes.set_admin(BOSS, "x", True),
    "disabling nobody": lambda changes: changes.set_disabled(BOSS, "x", True),
    "a name that is taken": lambda changes: changes.rename(BOSS, ADA.id, "Bob"),
    "an empty name": lambda changes: changes.rename(BOSS, ADA.id, ""),
    "a name that is ours": lambda changes: changes.rename(BOSS, ADA.id, "operator"),
    "no token": lambda changes: changes.revoke_token(BOSS, "x"),
    "nobody of a name": lambda changes: changes.person_named("x"),
}


@pytest.mark.gen_test
@pytest.mark.parametrize("change", IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
async def test_what_cannot_be_done_is_refused_and_neither_noted_nor_repeated(tmp_path: Path, change: Change) -> None:
    async with opened(tmp_path) as (changes, store):
        await store.put_record(Record("group", "course", {}))
        version = await store.book_version()
        with pytest.raises(CommandError) as refusal:
            await change(changes)
        assert "usr_nobody" not in str(refusal.value)
        assert "x" not in str(refusal.value).split()
        assert await changes.audits(None, 1) == []
        assert await store.book_version() == version


@pytest.mark.gen_test
@pytest.mark.parametrize(("extra", "until"), [(0, 8_000), (1, NOW), (10**16, 8_000)])
async def test_an_increase_is_of_something_and_ends_in_the_future(tmp_path: Path, extra: int, until: int) -> None:
    async with opened(tmp_path) as (changes, _):
        await changes.set_limit(BOSS, DAILY)
        with pytest.raises(CommandError):
            await changes.raise_limit(BOSS, DAILY.id, extra, until)
        assert await changes.limits() == [DAILY]


@pytest.mark.gen_test
async def test_a_limit_may_be_for_a_group_that_only_the_identity_provider_knows(tmp_path: Path) -> None:
    async with opened(tmp_path) as (changes, store):
        await store.update_person(ADA.id, {"claimed": ("staff",)})
        limit = Limit("lim_2", Scope.GROUP, "staff", Unit.USD, LimitWindow.MONTH, 1)
        await changes.set_limit(BOSS, limit)
        assert await changes.limits() == [limit]


@pytest.mark.gen_test
async def test_the_digest_of_a_join_code_is_not_noted(tmp_path: Path) -> None:
    async with opened(tmp_path) as (changes, _):
        await changes.create_group(BOSS, Group(name="course", join="c0ffee"))
        entry = await noted(changes)
        assert "c0ffee" not in repr(entry)
        assert entry.after is not None
        assert entry.after["join"] == "***"


@pytest.mark.gen_test
async def test_a_record_that_cannot_be_read_is_named_left_out_and_can_be_removed(tmp_path: Path) -> None:
    async with opened(tmp_path) as (changes, store):
        await store.put_record(Record("limit", "lim_x", {"of": "a newer release"}))
        assert await changes.limits() == []
        assert [record.id for record in await changes.unreadable()] == ["lim_x"]
        with pytest.raises(CommandError):
            await changes.raise_limit(BOSS, "lim_x", 1, 8_000)
        await changes.remove_limit(BOSS, "lim_x")
        assert await changes.unreadable() == []


class Slow(Delegate):
    """A store beside which another process changes the limit before each change."""

    async def change(self, entry: Audit, acts: Sequence[Act]) -> None:
        await self._store.put_record(Record("limit", DAILY.id, limit_body(replace(DAILY, amount=7))))
        await self._store.change(entry, acts)


def _without_log(path: Path) -> None:
    """The database refuses to write the audit log."""
    connection = sqlite3.connect(path)
    connection.execute("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END")
    connection.commit()
    connection.close()


@pytest.mark.gen_test
async def test_nothing_is_changed_that_could_not_be_noted(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, store):
        _without_log(tmp_path / "fairgate.db")
        changes = Changes(store, lambda: NOW, lambda: "aud")
        for change in (
            changes.set_limit(BOSS, DAILY),
            changes.rename(BOSS, ADA.id, "Eve"),
            changes.revoke_token(BOSS, "tok_laptop"),
        ):
            with pytest.raises(StoreError):
                await change
        assert await store.records("limit") == []
        assert await store.person(ADA.id) == ADA
        assert [each.revoked_at for each in await store.tokens()] == [None]


@pytest.mark.gen_test
async def test_what_another_one_has_changed_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    async with opened(tmp_path) as (changes, store):
        await changes.set_limit(BOSS, DAILY)
        slow = Changes(Slow(store), lambda: NOW, lambda: "aud")  # type: ignore[arg-type]  # all that is asked of it
        with pytest.raises(Overtaken):
            await slow.raise_limit(BOSS, DAILY.id, 1, 8_000)
        assert [each.amount for each in await changes.limits()] == [7]
        assert [entry.action for entry in await store.audits(None, 9)] == ["limit.set"]
