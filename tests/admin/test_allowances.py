"""More for one person, for a while: it changes no limit of the others, and ends by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest

from server.admin.commands.allowances import More, allow_more, more_of
from server.ledger.calendar import Calendar
from server.ledger.holds import NOTHING, Who, applying, claim
from server.ledger.limits import Limit, LimitSet, LimitWindow, Scope, Unit
from server.policy.commands import CommandError, NotThere
from server.policy.groups import Group
from tests.admin.test_changes import BOSS, NOW, opened
from tests.store.samples import ADA

UTC = Calendar(UTC)
MONTHLY = Limit("everyone/usd/*/month", Scope.EVERYONE, "", Unit.USD, LimitWindow.MONTH, 20_000_000)
TEN = More(Unit.USD, LimitWindow.MONTH, 10_000_000, NOW + 1_000)


@pytest.mark.gen_test
async def test_more_on_each_persons_limit_is_a_limit_of_ones_own_that_ends_with_the_increase(tmp_path: Path) -> None:
    async with opened(tmp_path) as (changes, store):
        made = await allow_more(changes, BOSS, ADA, TEN, (MONTHLY,), NOW)
        assert (made.scope, made.subject, made.amount_at(NOW)) == (Scope.PERSON, ADA.id, 30_000_000)
        assert (made.applies(None, NOW), made.applies(None, NOW + 1_000)) == (True, False)
        later = More(Unit.USD, LimitWindow.MONTH, 5_000_000, NOW + 9_000)
        again = await allow_more(changes, BOSS, ADA, later, (MONTHLY,), NOW)
        assert (again.id, again.amount_at(NOW), again.until) == (made.id, 35_000_000, NOW + 9_000)
        assert await changes.limits() == [again]
        assert [(each.actor, each.action) for each in await store.audits(None, 9)] == [(BOSS, "limit.set")] * 2


@pytest.mark.gen_test
async def test_more_on_ones_own_limit_raises_that_one_and_it_stays(tmp_path: Path) -> None:
    async with opened(tmp_path) as (changes, _):
        own = Limit("lim_1", Scope.PERSON, ADA.id, Unit.USD, LimitWindow.MONTH, 50_000_000)
        await changes.set_limit(BOSS, own)
        made = await allow_more(changes, BOSS, ADA, TEN, (MONTHLY,), NOW)
        assert (made.id, made.amount_at(NOW), made.amount_at(TEN.until), made.until) == (
            "lim_1",
            60_000_000,
            50_000_000,
            None,
        )


@pytest.mark.gen_test
async def test_a_limit_of_the_settings_that_was_replaced_at_run_time_is_not_the_one_that_is_raised(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as (changes, _):
        decided = Limit("lim_all", Scope.EVERYONE, "", Unit.USD, LimitWindow.MONTH, 40_000_000)
        await changes.set_limit(BOSS, decided)
        made = await allow_more(changes, BOSS, ADA, TEN, (MONTHLY,), NOW)
        assert made.amount_at(NOW) == 50_000_000
        assert decided in await changes.limits()


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (More(Unit.USD, LimitWindow.DAY, 1, NOW + 1), NotThere),
        (More(Unit.USD, LimitWindow.MONTH, 0, NOW + 1), CommandError),
        (More(Unit.USD, LimitWindow.MONTH, 1, NOW), CommandError),
        (More(Unit.USD, LimitWindow.MONTH, 10**15, NOW + 1), CommandError),
    ],
)
@pytest.mark.gen_test
async def test_more_of_what_is_not_there_or_makes_no_sense_changes_nothing(
    wrong: More, error: type[Exception], tmp_path: Path
) -> None:
    async with opened(tmp_path) as (changes, store):
        with pytest.raises(error):
            await allow_more(changes, BOSS, ADA, wrong, (MONTHLY,), NOW)
        assert (await changes.limits(), await store.audits(None, 9)) == ([], [])


@pytest.mark.gen_test
async def test_more_for_one_member_of_a_group_is_theirs_alone_and_on_top_of_what_each_member_has(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as (changes, store):
        await changes.create_group(BOSS, Group(name="lab"))
        await store.update_person(ADA.id, {"groups": ("lab",)})
        ada = replace(ADA, groups=("lab",))
        term = {"unit": Unit.USD, "window": LimitWindow.TERM, "since": NOW - 9, "until": NOW + 9_000}
        head = Limit("head", Scope.MEMBER, "lab", amount=5_000_000, **term)
        await changes.set_limit(BOSS, head)
        ten = More(Unit.USD, LimitWindow.TERM, 10_000_000, NOW + 1_000, group="lab")
        made = await allow_more(changes, BOSS, ada, ten, (), NOW)
        again = await allow_more(changes, BOSS, ada, ten, (), NOW)
        assert (made.id, made.person, made.extra, again.extra) == (again.id, ada.id, 10_000_000, 20_000_000)
        assert again.id != "head"

        def most(person: str, now: int) -> list[int]:
            found = claim(applying(limits, who := Who(person, None, ("lab",)), None, now), who, NOTHING, UTC, now)
            return [each.most for each in found.budgets]

        limits = LimitSet(await changes.limits())
        assert (most(ada.id, NOW), most("bob", NOW)) == ([25_000_000], [5_000_000])
        assert most(ada.id, NOW + 1_000) == [5_000_000]
        await changes.set_limit(BOSS, replace(head, amount=7_000_000))
        limits = LimitSet(await changes.limits())
        assert (most(ada.id, NOW), most("bob", NOW)) == ([27_000_000], [7_000_000])
        daily, choir = replace(ten, window=LimitWindow.DAY), replace(ten, group="choir")
        for person, more in ((ADA, ten), (ada, choir), (ada, daily)):
            with pytest.raises(NotThere):
                await allow_more(changes, BOSS, person, more, (), NOW)


def test_an_increase_is_read_as_people_write_it() -> None:
    assert more_of("10", "usd/month", 7) == More(Unit.USD, LimitWindow.MONTH, 10_000_000, 7)
    assert more_of("5", "requests/day gpt-4*", 7) == More(Unit.REQUESTS, LimitWindow.DAY, 5, 7, "gpt-4*")
    with pytest.raises(ValueError, match="expected"):
        more_of("10", "usd/month, 5 usd/day", 7)
