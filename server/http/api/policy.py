"""`/api/admin/groups`, `limits`, `prices`, `notices`: what administrators decide at run time."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from server.admin.commands import closing
from server.admin.commands.courses import Plan
from server.admin.consequences import of_group_removal, of_limit_removal, of_price_removal
from server.admin.resources import COURSE, GROUP, LIMIT, NOTICE, PRICE
from server.config.openapi import Description
from server.config.shapes import Text, Thing, Whole, Word
from server.http.api.schemas import (
    DONE_WITH,
    GROUP_SHAPE,
    LIMIT_SHAPE,
    NOTICE_SHAPE,
    PRICE_SHAPE,
    done_with,
    group_json,
    limit_json,
    list_of,
    notice_json,
    price_json,
)
from server.http.api.table import Asking, Operation
from server.ledger.limits import limit_of
from server.ledger.prices import price_of
from server.policy.groups import group_body, group_of
from server.policy.notices import notice_of
from server.wire.errors import InvalidValue

T = TypeVar("T")

_RECORD_ID = re.compile(r"[A-Za-z0-9][\w .@+/*:-]{0,199}", re.ASCII)


async def list_groups(asking: Asking) -> object:
    return {"data": [group_json(each) for each in await asking.services.changes.groups()]}


async def create_group(asking: Asking) -> object:
    """Create a group. A field that is left out has its default; the group has no code to join by yet."""
    said = {field: value for field, value in asking.body.items() if field != "name"}
    group = read_body(lambda body: group_of(asking.body["name"], body), said, "name")
    await asking.services.changes.create_group(asking.actor, group)
    return group_json(group)


async def change_group(asking: Asking) -> object:
    """Change a group. A field that is left out stays."""
    before = group_body(await asking.services.changes.group(asking.id))
    group = read_body(lambda said: group_of(asking.id, {**before, **said}), asking.body, "name")
    await asking.services.changes.change_group(asking.actor, group)
    return group_json(group)


async def group_removal(asking: Asking) -> object:
    services = asking.services
    return dict((await of_group_removal(services.store, services.changes, asking.id)).numbers)


async def remove_group(asking: Asking) -> object:
    consequences = await of_group_removal(asking.services.store, asking.services.changes, asking.id)
    await asking.services.changes.remove_group(asking.actor, asking.id)
    return done_with(consequences)


async def put_in_group(asking: Asking) -> None:
    name, person = asking.ids
    await asking.services.changes.put_in_group(asking.actor, person, name)


async def take_from_group(asking: Asking) -> None:
    name, person = asking.ids
    await asking.services.changes.take_from_group(asking.actor, person, name)


async def create_course(asking: Asking) -> object:
    """A group with teachers, dates, a pot and a cap per head, and the code by which people join."""
    body = asking.body
    plan = Plan(
        name=body["name"],
        teachers=body["teachers"],
        since=body["since"],
        until=body["until"],
        pot=body.get("pot_micro_usd"),
        per_head=body.get("per_head_micro_usd"),
        models=body.get("models", ()),
    )
    group, code = await asking.services.courses.create(await asking.person(), plan)
    return {"group": group_json(group), "code": code}


async def list_limits(asking: Asking) -> object:
    return {"data": [limit_json(each) for each in await asking.services.changes.limits()]}


async def set_limit(asking: Asking) -> object:
    limit_id, body = record_id(asking), {**asking.body}
    body["family"] = body.pop("models", "*")
    limit = read_body(lambda said: limit_of(limit_id, said), body)
    return limit_json(await asking.services.changes.set_limit(asking.actor, limit, _is_new(asking)))


async def raise_limit(asking: Asking) -> object:
    limit_id = asking.id
    await asking.services.changes.raise_limit(asking.actor, limit_id, asking.body["extra"], asking.body["until"])
    return next(limit_json(each) for each in await asking.services.changes.limits() if each.id == limit_id)


async def remove_limit(asking: Asking) -> object:
    consequences = await of_limit_removal(asking.services.store, asking.services.changes, asking.id)
    await asking.services.changes.remove_limit(asking.actor, asking.id)
    return done_with(consequences)


async def list_prices(asking: Asking) -> object:
    return {"data": [price_json(each) for each in await asking.services.changes.prices()]}


async def set_price(asking: Asking) -> object:
    price_id = record_id(asking)
    price = read_body(lambda body: price_of(price_id, body), asking.body)
    await asking.services.changes.set_price(asking.actor, price, _is_new(asking))
    return price_json(price)


async def remove_price(asking: Asking) -> object:
    served = [model.name for model in asking.services.dispatcher.snapshot().models]
    consequences = await of_price_removal(asking.services.changes, asking.id, served)
    await asking.services.changes.remove_price(asking.actor, asking.id)
    return done_with(consequences)


async def list_notices(asking: Asking) -> object:
    return {"data": [notice_json(each) for each in await asking.services.changes.notices()]}


async def set_notice(asking: Asking) -> object:
    notice_id = record_id(asking)
    notice = read_body(lambda body: notice_of(notice_id, body), asking.body)
    await closing.announce(asking.services.changes, asking.actor, notice, _is_new(asking))
    return notice_json(notice)


async def remove_notice(asking: Asking) -> None:
    await asking.services.changes.remove_notice(asking.actor, asking.id)


def _is_new(asking: Asking) -> bool:
    """Whether one that exists is to be refused, and not written over."""
    return bool(asking.query.get("new") == "yes")


def record_id(asking: Asking) -> str:
    """The id in the path, for something that is written. Raises InvalidValue."""
    said = asking.id
    if not _RECORD_ID.fullmatch(said):
        raise InvalidValue("id")
    return said


def read_body(make: Callable[[Mapping[str, Any]], T], body: Mapping[str, Any], otherwise: str = "body") -> T:
    """The value of a whole body. Raises InvalidValue, which names the member that makes no sense with the others."""
    try:
        return make(body)
    except ValueError as error:
        field = str(error).partition(":")[0]
        named = {"family": "models"}.get(field, field)
        raise InvalidValue(named if named in body or named in ("models", "name") else otherwise) from None


WANTED_LIMIT = LIMIT.body("set", "WantedLimit")
WANTED_PRICE = PRICE.body("set", "WantedPrice")
ONLY_NEW = {"new": Word(("yes", "no"))}
FOUNDED = Thing({"group": GROUP_SHAPE, "code": Text()})
REMOVAL = Thing({"people": Whole(), "limits": Whole()}, name="GroupRemoval")


def _describe(method: str, path: str, summary: str, **more: Any) -> Description:
    return Description(method=method, path=f"/api/admin{path}", summary=summary, role="admin", **more)


OPERATIONS = (
    Operation(_describe("GET", "/groups", "Groups and what they give", answer=list_of(GROUP_SHAPE)), list_groups),
    Operation(
        _describe(
            "POST",
            "/groups",
            "Make a group; one that exists stays as it is",
            body=GROUP.body("create", "NewGroup"),
            answer=GROUP_SHAPE,
            status=201,
        ),
        create_group,
    ),
    Operation(
        _describe(
            "PATCH",
            "/groups/{group}",
            "Change what is said of a group, and leave the rest",
            body=GROUP.body("change", "GroupChanges"),
            answer=GROUP_SHAPE,
        ),
        change_group,
    ),
    Operation(
        _describe("GET", "/groups/{group}/removal", "What its removal would take away, in numbers", answer=REMOVAL),
        group_removal,
    ),
    Operation(_describe("DELETE", "/groups/{group}", "Forget what a group gives", answer=DONE_WITH), remove_group),
    Operation(_describe("PUT", "/groups/{group}/members/{person}", "Make a person a member", status=204), put_in_group),
    Operation(
        _describe("DELETE", "/groups/{group}/members/{person}", "End a membership given here", status=204),
        take_from_group,
    ),
    Operation(
        _describe(
            "POST",
            "/courses",
            "Make a course; its teachers can read the code by which people join again",
            body=COURSE.body("create", "WantedCourse"),
            answer=FOUNDED,
            status=201,
        ),
        create_course,
    ),
    Operation(_describe("GET", "/limits", "Limits decided at run time", answer=list_of(LIMIT_SHAPE)), list_limits),
    Operation(
        _describe(
            "PUT",
            "/limits/{limit}",
            "Set a limit",
            query=ONLY_NEW,
            body=WANTED_LIMIT,
            answer=LIMIT_SHAPE,
        ),
        set_limit,
    ),
    Operation(
        _describe(
            "POST",
            "/limits/{limit}/raise",
            "Allow more until a time",
            body=LIMIT.body("raise", "Increase"),
            answer=LIMIT_SHAPE,
        ),
        raise_limit,
    ),
    Operation(_describe("DELETE", "/limits/{limit}", "Remove a limit", answer=DONE_WITH), remove_limit),
    Operation(_describe("GET", "/prices", "Prices decided at run time", answer=list_of(PRICE_SHAPE)), list_prices),
    Operation(
        _describe(
            "PUT",
            "/prices/{price}",
            "Set a price",
            query=ONLY_NEW,
            body=WANTED_PRICE,
            answer=PRICE_SHAPE,
        ),
        set_price,
    ),
    Operation(_describe("DELETE", "/prices/{price}", "Remove a price", answer=DONE_WITH), remove_price),
    Operation(
        _describe("GET", "/notices", "Announcements, maintenance and incidents", answer=list_of(NOTICE_SHAPE)),
        list_notices,
    ),
    Operation(
        _describe(
            "PUT",
            "/notices/{notice}",
            "Publish a notice; it closes nothing",
            query=ONLY_NEW,
            body=NOTICE.body("set", "WantedNotice"),
            answer=NOTICE_SHAPE,
        ),
        set_notice,
    ),
    Operation(_describe("DELETE", "/notices/{notice}", "Remove a notice", status=204), remove_notice),
)
