"""The verbs about courses: `python -m server course ...`."""
# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse
import time
from typing import Any

from server.admin.commands.courses import THE_OPERATOR, CourseCommands, CourseError, CourseMember, Plan
from server.bootstrap.ownership import confirm_pepper
from server.cli.context import Add, CommandContext, parsed, plain, times, wall, when
from server.cli.output import Columns, lists, show
from server.cli.people import pepper_of
from server.config import parsers
from server.http.api.schemas import group_json, used_json
from server.ledger.money import micro_usd, usd
from server.policy.groups import Group


def add_verbs(add: Add) -> None:
    create = add("create", _create, "make a course, and tell the code by which people join")
    create.add_argument("course", metavar="COURSE")
    create.add_argument(
        "--teachers", type=parsed(parsers.words), required=True, metavar="A,B", help="who looks after it"
    )
    create.add_argument("--pot", type=parsed(micro_usd), metavar="USD", help="what all members together may spend")
    create.add_argument("--per-head", type=parsed(micro_usd), metavar="USD", help="what each member may spend of it")
    create.add_argument("--models", type=parsed(parsers.words), default=(), metavar="A,B*", help="which may be used")
    times(create)
    for name, work, summary in (
        ("code", _code, "a new code in place of the one before"),
        ("close", _close, "end it now"),
    ):
        add(name, work, summary).add_argument("course", metavar="COURSE")
    lists(add("view", _view, "what its members have used")).add_argument("course", metavar="COURSE")
    lists(add("list", _list, "all courses"))


def _courses(room: CommandContext) -> CourseCommands:
    return CourseCommands(room.store, room.changes, pepper_of(room), time.monotonic, wall)


async def _create(room: CommandContext, options: argparse.Namespace) -> None:
    since, until = room.begins_if(options.since), room.ends_if(options.until)
    if since is None or until is None:
        raise CourseError("a course needs --since and --until")
    teachers = tuple([(await room.changes.person_named(name)).id for name in options.teachers])
    plan = Plan(
        name=options.course,
        teachers=teachers,
        since=since,
        until=until,
        pot=options.pot,
        per_head=options.per_head,
        models=tuple(options.models),
    )
    await confirm_pepper(room.store, room.settings)
    _, code = await _courses(room).create(THE_OPERATOR, plan)
    print(code)


async def _code(room: CommandContext, options: argparse.Namespace) -> None:
    await confirm_pepper(room.store, room.settings)
    print(await _courses(room).new_code(THE_OPERATOR, options.course))


async def _close(room: CommandContext, options: argparse.Namespace) -> None:
    await _courses(room).close(THE_OPERATOR, options.course)


async def _list(room: CommandContext, options: argparse.Namespace) -> None:
    columns: Columns[Group] = {
        "course": lambda each: each.name,
        "since": lambda each: when(each.since),
        "until": lambda each: when(each.until),
        "people may join": lambda each: "yes" if each.join else "no",
    }
    show(room.settings, options, await _courses(room).taught_by(THE_OPERATOR), group_json, columns)


async def _view(room: CommandContext, options: argparse.Namespace) -> None:
    view = await _courses(room).view(THE_OPERATOR, options.course)
    pot, head = (None if it is None else f"{usd(it)} USD" for it in (view.pot, view.per_head))
    used = usd(view.used.cost_micro_usd)
    if not options.json:
        print(f"{plain(view.group.name)}: {used} USD used; pot {pot or '-'}, per head {head or '-'}")
        print(f"code {view.code or '-'}")
    columns: Columns[CourseMember] = {
        "member": lambda each: f"{each.name} (left)" if each.left else each.name,
        "requests": lambda each: each.used.requests,
        "input": lambda each: each.used.input,
        "output": lambda each: each.used.output,
        "USD": lambda each: usd(each.used.cost_micro_usd),
    }
    show(room.settings, options, view.members, _member, columns)


def _member(member: CourseMember) -> dict[str, Any]:
    return {"name": member.name, "left": member.left, "used": used_json(member.used)}
