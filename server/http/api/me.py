"""`/api/me/...`: what people do for themselves by a program, as they do it on their pages."""

from __future__ import annotations

from typing import Any

from server.admin.commands.courses import View
from server.admin.resources import AMOUNT, COURSE
from server.config.openapi import JSON, Description
from server.config.shapes import Anything, Flag, Instant, Many, Maybe, Text, Thing, Word
from server.http.api.schemas import (
    GROUP_SHAPE,
    USED,
    group_json,
    list_of,
    used_json,
)
from server.http.api.table import Asking, File, NotPossible, Operation
from server.http.api.tokens import OWN
from server.ledger.when import iso
from server.wire.errors import UnknownId
from web.languages import NAMES

CODE = Text(64)
SESSION = Thing({"id": Text(64), "created_at": Instant(), "expires_at": Instant()}, name="Session")
COURSE_VIEW = Thing(
    {
        "group": GROUP_SHAPE,
        "pot_micro_usd": Maybe(AMOUNT),
        "per_head_micro_usd": Maybe(AMOUNT),
        "code": Maybe(CODE),
        "used": USED,
        "members": Many(Thing({"name": Text(), "left": Flag(), "used": USED}), 100_000),
    },
    name="Course",
)


async def list_sessions(asking: Asking) -> object:
    return {
        "data": [
            {"id": each.id, "created_at": iso(each.created_at), "expires_at": iso(each.expires_at)}
            for each in await asking.services.sessions.of(asking.actor)
        ]
    }


async def end_session(asking: Asking) -> None:
    if not await asking.services.sessions.end(asking.actor, asking.id):
        raise UnknownId


async def set_nickname(asking: Asking) -> object:
    return {"nickname": await asking.services.people.set_nickname(await asking.person(), asking.body["nickname"])}


async def set_mails(asking: Asking) -> object:
    body = asking.body
    language = (body["language"] or "") if "language" in body else None
    person = await asking.services.people.set_mails(await asking.person(), body["mails"], language)
    return {"mails": person.mails, "language": person.language or None}


async def list_courses(asking: Asking) -> object:
    """Those that one is in, and those that one teaches."""
    person = await asking.person()
    taught = {each.name for each in await asking.services.courses.taught_by(person)}
    mine = {*person.groups, *person.claimed, *taught}
    return {
        "data": [
            group_json(each) for each in await asking.services.changes.groups() if each.teachers and each.name in mine
        ]
    }


async def join_course(asking: Asking) -> object:
    return {"name": await asking.services.courses.join(await asking.person(), asking.body["code"], asking.address)}


async def leave_course(asking: Asking) -> None:
    await asking.services.courses.leave(await asking.person(), asking.id)


async def show_course(asking: Asking) -> object:
    return _course(await asking.services.courses.view(await asking.person(), asking.id))


async def new_code(asking: Asking) -> object:
    return {"code": await asking.services.courses.new_code(await asking.person(), asking.id)}


async def close_course(asking: Asking) -> None:
    await asking.services.courses.close(await asking.person(), asking.id)


async def export_me(asking: Asking) -> File:
    return File("fairgate-me.json", JSON, asking.services.privacy.export(await asking.person()))


async def erase_me(asking: Asking) -> None:
    """Erase the caller; only with their own name as the confirmation, so that a slip erases no person."""
    if asking.body["confirm"] != (await asking.person()).name:
        raise NotPossible(words="Confirm with your name as it is here.")
    await asking.services.privacy.erase(asking.actor, asking.actor)


def _course(view: View) -> dict[str, Any]:
    return {
        "group": group_json(view.group),
        "code": view.code,
        "pot_micro_usd": view.pot,
        "per_head_micro_usd": view.per_head,
        "used": used_json(view.used),
        "members": [{"name": each.name, "left": each.left, "used": used_json(each.used)} for each in view.members],
    }


def _describe(method: str, path: str, summary: str, **more: Any) -> Description:
    return Description(method=method, path=f"/api/me{path}", summary=summary, role="person", **more)


JOINED = Thing({"name": Text()})
MAILS = Thing({"mails": Flag()}, {"language": Maybe(Word(tuple(NAMES)))})
NICKNAME = Thing({"nickname": Maybe(Text(64))})

OPERATIONS = (
    *OWN,
    Operation(_describe("GET", "/sessions", "Browsers in which I am logged in", answer=list_of(SESSION)),
    list_sessions), Operation(_describe("DELETE", "/sessions/{session}", "Log out in one of them", status=204),
    end_session), Operation(
        _describe("PUT", "/nickname", "Stand on the leaderboard, or with null not", body=NICKNAME, answer=NICKNAME),
        set_nickname,
    ),
    Operation(
        _describe("PUT", "/mails", "Get mails about my budgets, or none", body=MAILS, answer=MAILS), set_mails,
    ),
    Operation(_describe("GET", "/courses", "Courses that I am in or teach", answer=list_of(GROUP_SHAPE)), list_courses),
    Operation(
        _describe("POST", "/courses/join", "Become a member by a code", body=COURSE.body("join"), answer=JOINED),
        join_course,
    ),
    Operation(_describe("GET", "/courses/{course}", "The usage of a course of mine", answer=COURSE_VIEW), show_course),
    Operation(_describe("DELETE", "/courses/{course}", "Leave a course", status=204), leave_course),
    Operation(
        _describe("POST", "/courses/{course}/code", "Another code to join by", answer=Thing({"code": CODE}),
        status=201), new_code,
    ),
    Operation(_describe("POST", "/courses/{course}/close", "End a course that I teach", status=204), close_course),
    Operation(
        _describe("GET", "/export", "Everything that is stored about me", answer=Thing({"person": Anything()},
        open=True)), export_me,
    ),
    Operation(
        _describe(
            "POST", "/erase", "Forget me; the usage stays, without a name", body=Thing({"confirm": Text(64)}),
            status=204,
        ),
        erase_me,
    ),
)  # fmt: skip
