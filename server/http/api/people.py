"""`/api/admin/people`, and the tokens and passes of people: what administrators may do for others."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import asdict
from typing import Any

from server.admin.commands.allowances import More, allow_more
from server.admin.commands.invitations import Invitation
from server.admin.consequences import of_disabling, of_promotion
from server.admin.resources import LIMIT, PERSON
from server.config.openapi import CSV, Description
from server.config.shapes import Flag, Instant, Many, Text, Thing, Whole, Word
from server.http.api.schemas import (
    CONSEQUENCES,
    LIMIT_SHAPE,
    PERSON_SHAPE,
    done_with,
    limit_json,
    page_of,
    person_json,
)
from server.http.api.table import Asking, File, Operation
from server.http.api.tokens import OF_ALL
from server.ledger.limits import LimitWindow, Unit, family_of
from server.ledger.when import iso

PAGE, MOST = 100, 1000
CHANGED = Thing(PERSON_SHAPE.members, {"consequences": CONSEQUENCES}, name="ChangedPerson")
INVITATION = Thing(
    {"person": Text(), "name": Text(), "code": Text(), "path": Text(), "expires_at": Instant()}, name="Invitation"
)
IMPORTED = Thing(
    {
        "done": Flag(),
        "added": Whole(),
        "changed": Whole(),
        "mistakes": Many(Thing({"line": Whole(), "sentence": Text(1000)}), 10_000),
    },
    {"invitations": Many(INVITATION, 10_000)},
    name="Imported",
)


async def find_people(asking: Asking) -> object:
    query, limit = asking.query, asking.query.get("limit", PAGE)
    found = await asking.services.people.find(query.get("q", ""), query.get("cursor"), limit + 1)
    more = found[limit - 1].name if len(found) > limit else None
    return {"data": [person_json(each) for each in found[:limit]], "next_cursor": more}


async def create_person(asking: Asking) -> object:
    return person_json(await asking.services.people.create(asking.actor, **asking.body))


async def show_person(asking: Asking) -> object:
    return person_json(await asking.services.people.person(asking.id))


async def change_person(asking: Asking) -> object:
    """With what it does to make an administrator, or to close an access."""
    services, person = asking.services, await asking.services.people.person(asking.id)
    changed = await services.people.change(asking.actor, asking.id, asking.body, asking.authority)
    answer = person_json(changed)
    if changed.disabled and not person.disabled:
        live = await services.everywhere.live()
        answer |= done_with(await of_disabling(services.store, person, live))
    elif changed.admin and not person.admin:
        answer |= done_with(await of_promotion(services.store, person))
    return answer


async def erase_person(asking: Asking) -> None:
    await asking.services.privacy.erase(asking.actor, asking.id)


async def allow_person_more(asking: Asking) -> object:
    """More for one person: of their own limit, of each person's, or of each member's of a group."""
    services, body = asking.services, asking.body
    person, family = await services.people.person(asking.id), family_of(body.get("models", "*").split())
    more = More(
        Unit(body["unit"]), LimitWindow(body["window"]), body["extra"], body["until"], family, body.get("group", "")
    )
    limits, now = services.settings.limits, services.wall()
    return limit_json(await allow_more(services.changes, asking.actor, person, more, limits, now))


async def invite_person(asking: Asking) -> object:
    """A link for a first login, in place of an earlier one."""
    return _invitation(await asking.services.invitations.invite(asking.maker, asking.actor, asking.id))


async def withdraw_invitation(asking: Asking) -> None:
    await asking.services.invitations.withdraw(asking.actor, asking.id)


def _invitation(made: Invitation) -> dict[str, object]:
    person = made.person
    return {
        "person": person.id,
        "name": person.name,
        "code": made.secret,
        "path": made.link(""),
        "expires_at": iso(made.expires_at),
    }


async def export_people(asking: Asking) -> File:
    return File("fairgate-people.csv", CSV, _once(await asking.services.people_table.export()))


async def import_people(asking: Asking) -> object:
    services, invitations = asking.services, asking.services.invitations
    partial, trial, invite = (asking.query.get(name) == "yes" for name in ("partial", "trial", "invite"))
    if invite:
        await invitations.insist(asking.maker)
    found = await services.people_table.read(
        asking.actor, asking.text, partial=partial, trial=trial, by=asking.authority
    )
    answer: dict[str, object] = {
        "done": found.done,
        "added": found.added,
        "changed": found.changed,
        "mistakes": [asdict(each) for each in found.mistakes],
    }
    if invite:
        added = await services.people_table.to_invite(found)
        invited = await invitations.invite_each(asking.maker, asking.actor, added)
        answer["invitations"] = [_invitation(each) for each in invited]
    return answer


async def _once(content: bytes) -> AsyncGenerator[bytes, None]:
    yield content


YES = dict.fromkeys(("partial", "trial", "invite"), Word(("yes", "no")))


def _describe(method: str, path: str, summary: str, **more: Any) -> Description:
    return Description(method=method, path=f"/api/admin{path}", summary=summary, role="admin", **more)


OPERATIONS = (
    Operation(
        _describe(
            "GET", "/people", "People by name, address or group, in the order of their names",
            query={"q": Text(), "cursor": Text(64), "limit": Whole(1, MOST)}, answer=page_of(PERSON_SHAPE),
        ),
        find_people,
    ),
    Operation(
        _describe("POST", "/people", "Add a person", body=PERSON.body("create"), answer=PERSON_SHAPE, status=201),
        create_person,
    ),
    Operation(_describe("GET", "/people/{person}", "A person", answer=PERSON_SHAPE), show_person),
    Operation(
        _describe(
            "PATCH", "/people/{person}", "Change a person, close their access, or make them an administrator",
            body=PERSON.body("change"), answer=CHANGED,
        ),
        change_person,
    ),
    Operation(
        _describe("POST", "/people/{person}/erase", "Forget a person; the usage stays, without a name", status=204),
        erase_person,
    ),
    Operation(
        _describe(
            "POST", "/people/{person}/raise", "Allow one person more until a time, on top of what they may use now",
            body=LIMIT.body("allow", "More"), answer=LIMIT_SHAPE,
        ),
        allow_person_more,
    ),
    Operation(
        _describe(
            "POST", "/people/{person}/invitation", "Invite a person by a link that works once, for their first login",
            answer=INVITATION, status=201,
        ),
        invite_person,
    ),
    Operation(
        _describe("DELETE", "/people/{person}/invitation", "End the invitation of a person", status=204),
        withdraw_invitation,
    ),
    Operation(_describe("GET", "/people.csv", "All people as a table", gives=(CSV,), answer=Text()), export_people),
    Operation(
        _describe(
            "POST", "/people.csv", "Add and change people as a table says: all of them, or with a mistake no one",
            query=YES, takes=CSV, answer=IMPORTED,
        ),
        import_people,
    ),
    *OF_ALL,
)  # fmt: skip
