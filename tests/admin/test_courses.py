"""Courses: made by administrators, joined by a code, looked after by teachers, who see totals and nothing else."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from server.admin.commands.courses import THE_OPERATOR, CourseCommands, CourseError, Plan
from server.ledger.limits import LimitWindow, Scope, Unit
from server.ledger.quota import Settlement
from server.policy.commands import CommandError
from server.policy.groups import LEFT, Group, rights_of
from server.store.base import Person, Store
from server.wire.errors import RateLimited
from tests.accounts import DAY, HOME, PEPPER, AccountsFactory, Times, a_person
from tests.usage.rows import row

USD = 1_000_000


@pytest.fixture
def courses(store: Store, times: Times) -> CourseCommands:
    return make(store, times)


def make(store: Store, times: Times, pepper: bytes = PEPPER) -> CourseCommands:
    return CourseCommands(
        store, AccountsFactory(store, times).changes(), pepper, lambda: times.clock, lambda: times.wall
    )


async def lecture(store: Store, courses: CourseCommands, times: Times, name: str = "NLP 2027") -> tuple[Person, str]:
    """A course of Prof. Curie's, that begins tomorrow; its teacher and its code."""
    curie = await store.person("usr_Curie") or await a_person(store, "Curie")
    _, code = await courses.create(THE_OPERATOR, plan(times, name, curie.id))
    return curie, code


def plan(times: Times, name: str, *teachers: str) -> Plan:
    since, until = times.wall + DAY, times.wall + 100 * DAY
    return Plan(name=name, teachers=teachers, since=since, until=until, pot=200 * USD, per_head=5 * USD)


async def groups_of(store: Store, person: Person) -> tuple[str, ...]:
    found = await store.person(person.id)
    assert found is not None
    return found.groups


@pytest.mark.gen_test
async def test_a_course_has_a_pot_a_cap_per_head_and_dates(store: Store, courses: CourseCommands, times: Times) -> None:
    async with store:
        curie, code = await lecture(store, courses, times)
        (course,) = await courses.taught_by(curie)
        assert (course.since, course.until) == (times.wall + DAY, times.wall + 100 * DAY)
        changes = AccountsFactory(store, times).changes()
        limits = {limit.scope: limit for limit in await changes.limits()}
        assert {scope: limit.amount for scope, limit in limits.items()} == {
            Scope.GROUP: 200 * USD,
            Scope.MEMBER: 5 * USD,
        }
        for limit in limits.values():
            assert (limit.unit, limit.window, limit.subject) == (Unit.USD, LimitWindow.TERM, "NLP 2027")
            assert (limit.since, limit.until) == (course.since, course.until)
        assert re.fullmatch(r"([2-9A-HJKMNP-Z]{4}-){2}[2-9A-HJKMNP-Z]{4}", code)


@pytest.mark.gen_test
async def test_the_code_is_neither_in_the_database_nor_in_the_audit_log(
    store: Store, courses: CourseCommands, times: Times, tmp_path: Path
) -> None:
    async with store:
        _, code = await lecture(store, courses, times)
        (group,) = await AccountsFactory(store, times).changes().groups()
        assert all(group.join not in repr(entry) for entry in await store.audits(None, 100))
    for file in tmp_path.iterdir():
        for written in (code, code.replace("-", "")):
            assert written.encode() not in file.read_bytes()


@pytest.mark.gen_test
async def test_the_code_in_force_is_read_again_by_its_teachers_alone(
    store: Store, courses: CourseCommands, times: Times
) -> None:
    async with store:
        curie, code = await lecture(store, courses, times)
        assert await courses.code(curie, "NLP 2027") == code
        assert (await courses.view(curie, "NLP 2027")).code == code
        with pytest.raises(CourseError, match="not yours"):
            await courses.code(await a_person(store, "Ada"), "NLP 2027")
        assert await make(store, times, b"another pepper").code(curie, "NLP 2027") is None
        newer = await courses.new_code(curie, "NLP 2027")
        assert await courses.code(curie, "NLP 2027") == newer
        changes = AccountsFactory(store, times).changes()
        (group,) = await changes.groups()
        await changes.change_group("operator", replace(group, join="0" * 64))  # by who knows of no readable code
        assert await courses.code(curie, "NLP 2027") is None
        await courses.new_code(curie, "NLP 2027")
        await courses.close(curie, "NLP 2027")
        assert (await courses.code(curie, "NLP 2027"), await store.records("course_code")) == (None, [])


@pytest.mark.gen_test
async def test_whoever_has_the_code_is_a_member_however_it_is_typed(
    store: Store, courses: CourseCommands, times: Times
) -> None:
    async with store:
        _, code = await lecture(store, courses, times)
        ada = await a_person(store, "Ada", groups=("staff",))
        assert await courses.join(ada, f" {code.lower().replace('-', ' ')}", HOME) == "NLP 2027"
        assert await courses.join(ada, code, HOME) == "NLP 2027"
        assert await groups_of(store, ada) == ("staff", "NLP 2027")


@pytest.mark.gen_test
async def test_a_wrong_an_old_and_an_ended_code_are_told_the_same(
    store: Store, courses: CourseCommands, times: Times
) -> None:
    async with store:
        curie, old = await lecture(store, courses, times)
        _, ended = await lecture(store, courses, times, "Old")
        ada = await a_person(store, "Ada")
        await courses.new_code(curie, "NLP 2027")
        await courses.close(curie, "Old")
        for code in ("", "nothing", "\ud800", old, ended, "0" * 10_000):
            with pytest.raises(CourseError) as caught:
                await courses.join(ada, code, HOME)
            assert str(caught.value).startswith("this code opens no course: look for a slip")
        with pytest.raises(CourseError):
            await make(store, times, b"another pepper").join(ada, old, HOME)
        assert await groups_of(store, ada) == ()


@pytest.mark.gen_test
async def test_a_course_that_is_over_admits_nobody(store: Store, courses: CourseCommands, times: Times) -> None:
    async with store:
        curie, code = await lecture(store, courses, times)
        times.advance(100 * 86_400)
        with pytest.raises(CourseError, match="opens no course"):
            await courses.join(await a_person(store, "Ada"), code, HOME)
        with pytest.raises(CourseError, match="ended"):
            await courses.new_code(curie, "NLP 2027")


@pytest.mark.gen_test
async def test_who_guesses_is_told_to_slow_down_by_person_and_by_address(
    store: Store, courses: CourseCommands, times: Times
) -> None:
    async with store:
        _, code = await lecture(store, courses, times)
        ada, bob = await a_person(store, "Ada"), await a_person(store, "Bob")
        for n in range(30):
            with pytest.raises(CourseError):
                await courses.join(ada, "wrong", f"192.0.2.{n}")
        times.advance(20)
        with pytest.raises(RateLimited) as caught:
            await courses.join(ada, code, "198.51.100.1")  # even the right one: else guessing would go on
        assert caught.value.retry_after == 40.0
        for n in range(30):
            with pytest.raises(CourseError):
                await courses.join(await a_person(store, f"P{n}"), "wrong", "198.51.100.2")
        with pytest.raises(RateLimited):
            await courses.join(bob, "wrong", "198.51.100.2")
        assert await courses.join(bob, code, "198.51.100.2") == "NLP 2027"  # the neighbours are not locked out
        times.advance(60)
        assert await courses.join(ada, code, HOME) == "NLP 2027"


@pytest.mark.gen_test
async def test_members_leave_courses_and_nothing_else(store: Store, courses: CourseCommands, times: Times) -> None:
    async with store:
        _, code = await lecture(store, courses, times)
        await AccountsFactory(store, times).changes().create_group("operator", Group(name="kept", content_days=3))
        ada = await a_person(store, "Ada", groups=("kept",))
        await courses.join(ada, code, HOME)
        await courses.leave(ada, "NLP 2027")
        assert await groups_of(store, ada) == ("kept", LEFT)
        for name in ("kept", "nothing"):
            with pytest.raises(CourseError, match="no such course"):
                await courses.leave(ada, name)
        with pytest.raises(CommandError, match="no membership"):
            await courses.leave(ada, "NLP 2027")


@pytest.mark.gen_test
async def test_nobody_leaves_a_course_that_an_operator_has_put_them_in(
    store: Store, courses: CourseCommands, times: Times
) -> None:
    async with store:
        _, code = await lecture(store, courses, times)
        changes = AccountsFactory(store, times).changes()
        ada, bob = await a_person(store, "Ada"), await a_person(store, "Bob")
        await changes.put_in_group("operator", ada.id, "NLP 2027")
        await courses.join(bob, code, HOME)
        await changes.put_in_group("operator", bob.id, "NLP 2027")
        for person in (ada, bob):
            with pytest.raises(CommandError, match="an administrator has put you"):
                await courses.leave(person, "NLP 2027")
            await courses.join(person, code, HOME)  # who is in it joins it no second time
            with pytest.raises(CommandError, match="an administrator has put you"):
                await courses.leave(person, "NLP 2027")
            assert await groups_of(store, person) == ("NLP 2027",)


@pytest.mark.gen_test
async def test_who_leaves_or_whose_course_ends_has_no_more_than_before(
    store: Store, courses: CourseCommands, times: Times
) -> None:
    async with store:
        _, code = await lecture(store, courses, times)
        changes = AccountsFactory(store, times).changes()
        ada = await a_person(store, "Ada")
        await courses.join(ada, code, HOME)
        known = {group.name: group for group in await changes.groups()}
        ended = known["NLP 2027"].until
        assert ended is not None
        assert rights_of(await groups_of(store, ada), known, ended - 1).may_use("gpt-5")
        assert not rights_of(await groups_of(store, ada), known, ended).may_use("gpt-5")
        await courses.leave(ada, "NLP 2027")
        assert not rights_of(await groups_of(store, ada), known, ended - 1).may_use("gpt-5")
        await courses.join(ada, code, HOME)
        assert rights_of(await groups_of(store, ada), known, ended - 1).may_use("gpt-5")


@pytest.mark.gen_test
async def test_only_administrators_make_courses_and_only_teachers_look_after_them(
    store: Store, courses: CourseCommands, times: Times
) -> None:
    async with store:
        await lecture(store, courses, times)
        bohr = await a_person(store, "Bohr")
        with pytest.raises(CourseError, match="administrator"):
            await courses.create(bohr, plan(times, "Mine", bohr.id))
        for attempt in (
            courses.view(bohr, "NLP 2027"),
            courses.new_code(bohr, "NLP 2027"),
            courses.close(bohr, "NLP 2027"),
            courses.view(bohr, "nothing"),
        ):
            with pytest.raises(CourseError, match="no such course, or it is not yours"):
                await attempt
        assert await courses.taught_by(bohr) == []
        assert len(await courses.taught_by(THE_OPERATOR)) == 1


@pytest.mark.gen_test
async def test_a_name_that_is_or_was_a_group_s_is_taken(store: Store, courses: CourseCommands, times: Times) -> None:
    async with store:
        curie, _ = await lecture(store, courses, times)
        await a_person(store, "Ada", groups=("by hand",), claimed=("by claim",))
        for name in ("NLP 2027", "by hand", "by claim"):
            with pytest.raises(CourseError, match="in use"):
                await courses.create(THE_OPERATOR, plan(times, name, curie.id))


@pytest.mark.gen_test
async def test_a_course_that_makes_no_sense_is_not_made(store: Store, courses: CourseCommands, times: Times) -> None:
    async with store:
        curie = await a_person(store, "Curie")
        wrong = (
            (plan(times, "NLP"), "a teacher"),
            (plan(times, "NLP", "usr_nobody"), "no such person"),
            (plan(times, "", curie.id), "name"),
            (Plan(name="NLP", teachers=(curie.id,), since=5, until=5), "until"),
            (Plan(name="NLP", teachers=(curie.id,), since=1, until=5, pot=-1), "amount"),
        )
        for each, about in wrong:
            with pytest.raises(CommandError, match=about):
                await courses.create(THE_OPERATOR, each)
        assert await courses.taught_by(THE_OPERATOR) == []


@pytest.mark.gen_test
@pytest.mark.parametrize("days", [0, 1, 50])
async def test_a_closed_course_gives_nothing_any_more_even_if_it_has_not_begun(
    store: Store, courses: CourseCommands, times: Times, days: int
) -> None:
    async with store:
        curie, _ = await lecture(store, courses, times)
        times.advance(days * 86_400)
        for _ in range(2):
            await courses.close(curie, "NLP 2027")
        (course,) = await courses.taught_by(curie)
        assert rights_of(["NLP 2027"], {"NLP 2027": course}, times.wall).groups == ()
        assert course.join == ""


@pytest.mark.gen_test
async def test_a_teacher_sees_totals_in_all_and_by_member_and_nothing_of_elsewhere(
    store: Store, courses: CourseCommands, times: Times
) -> None:
    async with store:
        curie, code = await lecture(store, courses, times)
        people = [await a_person(store, name) for name in ("Ada", "Bob", "Eve", "Joe")]
        for person in people[:3]:
            await courses.join(person, code, HOME)
        spent = (("Ada", 3), ("Ada", 4), ("Bob", 9), ("Eve", 1))
        for number, (name, cost) in enumerate(spent):
            here = row("2026-11-20T10:00:00Z", request_id=f"r{number}", person_id=f"usr_{name}", group="NLP 2027",
                       cost_micro_usd=cost * USD)  # fmt: skip
            await store.settle(Settlement(here))
        for name in ("Ada", "Joe"):
            there = row("2026-11-20T10:00:00Z", request_id=name, person_id=f"usr_{name}", group="other")
            await store.settle(Settlement(there))
        await courses.leave(people[2], "NLP 2027")
        view = await courses.view(curie, "NLP 2027")
        seen = [(it.name, it.used.requests, it.used.cost_micro_usd // USD, it.left) for it in view.members]
        assert seen == [("Bob", 1, 9, False), ("Ada", 2, 7, False), ("Eve", 1, 1, True)]
        assert (view.used.requests, view.used.cost_micro_usd) == (4, 17 * USD)
        assert (view.pot, view.per_head) == (200 * USD, 5 * USD)
