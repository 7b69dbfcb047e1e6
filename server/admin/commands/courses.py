"""Courses and teams: groups that people join by a code, with a pot for all, a cap per head, and dates.

A course is a group that has teachers. Its pot and its cap per head are limits of its term, from the first day to the
last. A request that is booked on the course draws on both. Everything goes through `Changes`, and so into the audit
log, and can be changed there, too.

The code has 12 characters of an alphabet in which no two look alike. Kept is its HMAC under a key made of the pepper,
and apart from it the code as its teachers read it again, sealed under another such key: a reader of the database joins
nothing. (Not under MASTER_KEYS, which an installation may lack: without the pepper no code opens anything.) Guesses are
slowed down, as a person and by their address; the right code opens all the same from an address that others guess from:
a lecture hall may share it. An old code, an unknown one and one of a course that has ended get the same answer. A new
code puts no member out.

Teachers see what a course has used, in all and by member: requests, tokens and money. They see no prompt, and nothing
that a member does elsewhere.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace

from server.admin.changes import OPERATOR, Changes
from server.auth.throttle import Failures
from server.crypto import Seal, derived
from server.ledger.limits import Limit, LimitWindow, Scope, Unit
from server.ledger.reports import By, Days, Sum
from server.policy.commands import AlreadyThere, CommandError, NotThere, words_of
from server.policy.groups import Group, group_body, group_of
from server.store import acts
from server.store.acts import Act
from server.store.base import Person, Record, Store
from server.wire.errors import RateLimited
from web.wording import Wording

ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # without 0 O, 1 I L
CODE_LETTERS = 12
CODE = "course_code"  # the kind of record that holds a sealed code; its id is the course's name
FOR_EVER = 100 * 365 * 86_400  # seconds
NO_SUCH_COURSE = Wording("there is no such course, or it is not yours")

# The operator at the command line may do everything.
THE_OPERATOR = Person(OPERATOR, OPERATOR, False, 0, admin=True)


class CourseError(CommandError):
    """This cannot be done with a course; the text says why, without repeating what was typed."""


class NoSuchCourse(CourseError, NotThere):
    """There is no course of this name that the caller may see."""


class CourseExists(CourseError, AlreadyThere):
    """A course of this name would take over what exists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A course as it is wanted. Times are UTC milliseconds; money is micro-USD, None is no such limit."""

    name: str
    teachers: tuple[str, ...]  # people's ids
    since: int
    until: int
    pot: int | None = None
    per_head: int | None = None
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CourseMember:
    """The usage of a member in the course, as a teacher may see it."""

    name: str
    used: Sum
    left: bool  # has used something, and is no member any more


@dataclass(frozen=True, slots=True)
class View:
    """A course as its teachers see it; `pot` and `per_head` are micro-USD as they are allowed now, None is no limit."""

    group: Group
    pot: int | None
    per_head: int | None
    used: Sum
    members: tuple[CourseMember, ...]  # who used the most money first
    code: str | None = None  # the one in force; None where there is none, or it was made before codes were readable


class CourseCommands:
    """The verbs; each is asked for by a person. `clock` is seconds, monotonic, `wall` UTC milliseconds.

    All raise CommandError, of which CourseError is one, and StoreError.
    """

    def __init__(
        self, store: Store, changes: Changes, pepper: bytes, clock: Callable[[], float], wall: Callable[[], int]
    ) -> None:
        self._store, self._changes, self._clock, self._wall = store, changes, clock, wall
        self._key, self._seal = derived(pepper, "join codes"), Seal(pepper, "readable join codes")
        self._failures = Failures()

    async def create(self, actor: Person, plan: Plan) -> tuple[Group, str]:
        """Make a course; the text is the code by which people join. Only for administrators.

        A name must never have been a group's: who still bears it as a label would be a member at once.
        """
        if not actor.admin:
            raise CourseError(Wording("only an administrator makes a course"))
        group, limits = _group(plan), _limits(plan)
        if await self._is_known(plan.name):
            raise CourseExists(Wording("this name is in use: there is such a group, or a person bears it"))
        code = _new_code()
        course = replace(group, join=self._digest(code))
        await self._changes.create_group(actor.id, course, limits, (self._readable(course, code),))
        return course, _written(code)

    async def join(self, person: Person, code: str, address: str) -> str:
        """Become a member; returns the name of the course. Raises RateLimited from the 31st wrong code in a minute."""
        names = (f"person {person.id}", f"address {address}")
        if (wait := self._failures.wait(names[0], self._clock())) is not None:
            raise RateLimited(retry_after=wait)
        course = await self._opened_by(code)
        if course is None:
            waits = [wait for name in names if (wait := self._failures.count(name, self._clock())) is not None]
            no_course = Wording("this code opens no course: look for a slip, or ask your teacher for the newest one")
            raise RateLimited(retry_after=max(waits)) if waits else CourseError(no_course)
        await self._changes.put_in_group(person.id, person.id, course.name)
        return course.name

    async def leave(self, person: Person, name: str) -> None:
        """End one's own membership. The usage stays counted: a person who joins again finds the same cap."""
        if all(each.name != name for each in await self._courses()):
            raise NoSuchCourse(NO_SUCH_COURSE)
        await self._changes.take_from_group(person.id, person.id, name)

    async def new_code(self, actor: Person, name: str) -> str:
        """Another code in place of the one before, for its teachers."""
        course = await self._course(actor, name)
        if not self._is_open(course):
            raise CourseError(Wording("this course has ended"))
        code = _new_code()
        changed = replace(course, join=self._digest(code))
        await self._changes.change_group(actor.id, changed, (self._readable(changed, code),))
        return _written(code)

    async def close(self, actor: Person, name: str) -> None:
        """End a course now, for its teachers: it gives its members nothing any more, and takes no new ones."""
        course, now = await self._course(actor, name), self._wall()
        if not self._is_open(course):
            return
        since = course.since if course.since is None or course.since < now else now - 1
        closed = replace(course, since=since, until=now, join="")
        await self._changes.change_group(actor.id, closed, (acts.drop_record(CODE, name),))

    async def view(self, actor: Person, name: str) -> View:
        """The usage of a course, for its teachers."""
        course = await self._course(actor, name)
        (used,) = await self._store.sums(Days(group=name), ())
        sums = {each.key[0]: each for each in await self._store.sums(Days(group=name), (By.PERSON,))}
        members = []
        for person in await self._store.people():
            is_member = name in (*person.groups, *person.claimed)
            found = sums.get(person.id)
            if is_member or found is not None:
                members.append(CourseMember(person.name, found or Sum(key=(person.id,)), not is_member))
        members.sort(key=lambda each: (-each.used.cost_micro_usd, each.name))
        pot, per_head = await self._amount(Scope.GROUP, name), await self._amount(Scope.MEMBER, name)
        return View(course, pot, per_head, used, tuple(members), await self._code_of(course))

    async def code(self, actor: Person, name: str) -> str | None:
        """The code in force, for its teachers."""
        return await self._code_of(await self._course(actor, name))

    async def taught_by(self, person: Person) -> list[Group]:
        """The courses that a person may look at."""
        return [each for each in await self._courses() if person.admin or person.id in each.teachers]

    async def _courses(self) -> list[Group]:
        return [group for group in await self._changes.groups() if group.teachers]

    async def _course(self, actor: Person, name: str) -> Group:
        """A course that is this person's to look after. Another one's is not there."""
        for course in await self.taught_by(actor):
            if course.name == name:
                return course
        raise NoSuchCourse(NO_SUCH_COURSE)

    def _readable(self, course: Group, code: str) -> Act:
        """Keep a code so that its teachers can read it. It counts only beside its own digest."""
        sealed = self._seal.close(f"{course.join} {code}".encode(), self._wall()).decode()
        return acts.put_record(Record(CODE, course.name, {"sealed": sealed}))

    async def _code_of(self, course: Group) -> str | None:
        if not course.join or not self._is_open(course):
            return None
        sealed = next((str(it.body["sealed"]) for it in await self._store.records(CODE) if it.id == course.name), "")
        opened = self._seal.open(sealed.encode(), self._wall(), FOR_EVER) or b""
        digest, _, code = opened.decode().partition(" ")
        return _written(code) if hmac.compare_digest(digest.encode(), course.join.encode()) else None

    async def _opened_by(self, code: str) -> Group | None:
        """The course of a code. Every one is compared, so that the time does not tell which."""
        digest, found = self._digest(code.replace("-", "").replace(" ", "").upper()), None
        for course in await self._courses():
            if hmac.compare_digest(course.join.encode(), digest.encode()) and self._is_open(course):
                found = course
        return found

    def _is_open(self, course: Group) -> bool:
        """People may join before it begins."""
        return course.until is None or self._wall() < course.until

    def _digest(self, code: str) -> str:
        return hmac.digest(self._key, code.encode("utf-8", "replace"), "sha256").hex()

    async def _is_known(self, name: str) -> bool:
        if any(record.id == name for record in await self._store.records("group")):
            return True
        return any(name in (*person.groups, *person.claimed) for person in await self._store.people())

    async def _amount(self, scope: Scope, name: str) -> int | None:
        """The amount that the tightest of its limits in money allows for a whole term; None if it has none."""
        now = self._wall()
        amounts = [
            limit.amount_at(now)
            for limit in await self._changes.limits()
            if (limit.scope, limit.subject, limit.unit, limit.window) == (scope, name, Unit.USD, LimitWindow.TERM)
            and not limit.person
        ]
        return min(amounts, default=None)


def _new_code() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(CODE_LETTERS))


def _written(code: str) -> str:
    """A code as people read it."""
    return "-".join(code[at : at + 4] for at in range(0, CODE_LETTERS, 4))


def _group(plan: Plan) -> Group:
    if not plan.teachers:
        raise CourseError(Wording("a course has a teacher"))
    group = Group(
        name=plan.name,
        models=plan.models,
        since=plan.since,
        until=plan.until,
        teachers=tuple(dict.fromkeys(plan.teachers)),
    )
    try:
        return group_of(group.name, group_body(group))  # with all its checks
    except ValueError as error:
        raise CourseError(words_of(error)) from None


def _limits(plan: Plan) -> list[Limit]:
    """The pot of all, and the cap of each."""
    wanted = ((Scope.GROUP, "pot", plan.pot), (Scope.MEMBER, "head", plan.per_head))
    try:
        return [
            Limit(
                f"course/{plan.name}/{word}", scope, plan.name, Unit.USD, LimitWindow.TERM, amount,
                since=plan.since, until=plan.until,
            )
            for scope, word, amount in wanted
            if amount is not None
        ]  # fmt: skip
    except ValueError as error:
        raise CourseError(words_of(error)) from None
