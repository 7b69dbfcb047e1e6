"""`/me/groups`: the groups that a person is in, the courses they teach, and how one joins, begins and ends them."""

from __future__ import annotations

from collections.abc import Sequence

from server.admin.commands.courses import CourseMember, Plan
from server.http.pages.forms import Done, Form
from server.http.pages.me import MemberPage, caller_of
from server.http.pages.me_ledger import cells, first_day, group_limits, last_moment, spent_view
from server.ledger.limits import Scope
from server.ledger.reports import By, Days
from server.policy.commands import NotThere
from server.policy.groups import LEFT, TEACHERS, Group
from server.wire.errors import UnknownId
from web import render_me
from web.view_me import CourseView, GroupsView, MembershipView, MemberView, NewSecret
from web.wording import Wording

HOME = "/me/groups"
DAYS = 30  # of a course's chart


class GroupsPage(MemberPage):
    """`/me/groups`"""

    async def draw(self, *path: str) -> bytes:
        services, me = self.services, self.me
        taught = {course.name: course for course in await services.courses.taught_by(me) if me.id in course.teachers}
        known = {group.name: group for group in await services.changes.groups()} | taught
        names = dict.fromkeys(name for name in (*caller_of(me).groups, *taught) if name != LEFT)
        joined = await services.changes.joined(me.id)
        groups = tuple([await self._membership(known.get(name, Group(name=name)), joined) for name in names])
        return render_me.groups_html(GroupsView(self.frame, groups, may_found=me.admin, made=self.made))

    async def join(self, form: Form) -> Done:
        await self.services.courses.join(self.me, form.needed("code"), self.address())
        return Done("joined", HOME)

    async def leave(self, _: Form, name: str) -> Done:
        await self.services.courses.leave(self.me, name)
        return Done("left", HOME)

    async def found(self, form: Form) -> NewSecret:
        """Begin a course, and show the code by which people join."""
        named = [await self.services.changes.person_named(name) for name in form.names("teachers")]
        teachers = tuple(each.id for each in named) or (self.me.id,)
        plan = Plan(
            name=form.needed("name"),
            teachers=teachers,
            models=form.words("models"),
            since=form.needed_begin("since"),
            until=form.needed_end("until"),
            pot=form.money("pot"),
            per_head=form.money("per_head"),
        )
        course, code = await self.services.courses.create(self.me, plan)
        return NewSecret("join code", course.name, code, again=True)

    async def _membership(self, group: Group, joined: Sequence[str]) -> MembershipView:
        """`leave`: who joined may go; where an operator or the provider has put them is not theirs to change."""
        me = self.me
        return MembershipView(
            name=group.name,
            note=group.note,
            since_ms=group.since,
            until_ms=last_moment(group.until),
            limits=await group_limits(self.services, me.id, group.name, (Scope.GROUP, Scope.MEMBER)),
            teaches=me.id in group.teachers,
            leave=group.name in joined and group.name in me.groups and bool(group.teachers),
        )


class CoursePage(MemberPage):
    """`/me/groups/NAME`: for those who teach it."""

    async def draw(self, *path: str) -> bytes:
        services, name = self.services, path[0]
        try:
            seen = await services.courses.view(self.me, name)
        except NotThere:
            raise UnknownId from None
        today = services.calendar.day(services.wall())
        first = first_day(today, DAYS)
        view = CourseView(
            frame=self.frame,
            group=MembershipView(
                name,
                seen.group.note,
                seen.group.since,
                last_moment(seen.group.until),
                await group_limits(services, self.me.id, name, (Scope.GROUP,)),
                teaches=True,
            ),
            total=spent_view(Wording("In all"), seen.used),
            members=await self._members(name, seen.members),
            first_day=first,
            last_day=today,
            cells=await cells(services, Days(group=name, first=first, last=today)),
            joinable=bool(seen.group.join),
            code=seen.code,
            made=self.made,
            texts=TEACHERS in seen.group.readers and self.me.id in seen.group.teachers,
        )
        return render_me.course_html(view)

    async def code(self, _: Form, name: str) -> NewSecret:
        return NewSecret("join code", name, await self.services.courses.new_code(self.me, name), again=True)

    async def close(self, _: Form, name: str) -> Done:
        await self.services.courses.close(self.me, name)
        return Done("course-closed", HOME)

    async def _members(self, name: str, members: tuple[CourseMember, ...]) -> tuple[MemberView, ...]:
        """In sums, as the courses show them, with the day of the latest request."""
        last: dict[str, str] = {}
        for each in await self.services.store.sums(Days(group=name), (By.PERSON, By.DAY)):
            person, day = each.key
            last[person or ""] = max(day or "", last.get(person or "", ""))
        return tuple(
            MemberView(
                member.name,
                member.used.requests,
                member.used.input + member.used.output,
                member.used.cost_micro_usd,
                last.get(member.used.key[0] or "") or None,
                member.left,
            )
            for member in members
        )
