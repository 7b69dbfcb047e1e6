"""`/api/admin/people`, and the tokens and passes of people: what administrators may do for others."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import asdict
from typing import Any

from server.admin.commands.guest_passes import WantedPass
from server.admin.commands.tokens import WantedToken
from server.config.openapi import CSV, Description
from server.config.shapes import Flag, Many, Maybe, Shape, Text, Thing, Whole, Word
from server.http.api.schemas import (
    AMOUNT,
    NEW_PASS,
    NEW_TOKEN,
    PASS,
    PATTERNS,
    PERSON,
    TERMS,
    TOKEN,
    WHEN,
    issued_json,
    list_of,
    page_of,
    pass_json,
    person_json,
    terms_of,
    token_json,
)
from server.http.api.table import Asking, File, Operation

PAGE, MOST = 100, 1000
GRACE = 30 * 86_400  # seconds
NAME, EMAIL = Text(64), Maybe(Text(254, least=3))
MEMBERS: Mapping[str, Shape] = {"email": EMAIL, "groups": Many(NAME), "note": Text(1000, least=0)}
IMPORTED = Thing(
    {
        "done": Flag(),
        "added": Whole(),
        "changed": Whole(),
        "mistakes": Many(Thing({"line": Whole(), "sentence": Text(1000)}), 10_000),
    },
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
    return person_json(await asking.services.people.change(asking.actor, asking.id, asking.body, asking.authority))


async def erase_person(asking: Asking) -> None:
    await asking.services.privacy.erase(asking.actor, asking.id)


async def export_people(asking: Asking) -> File:
    return File("fairgate-people.csv", CSV, _once(await asking.services.people_table.export()))


async def import_people(asking: Asking) -> object:
    partial, trial = (asking.query.get(name) == "yes" for name in ("partial", "trial"))
    found = await asking.services.people_table.read(
        asking.actor, asking.text, partial=partial, trial=trial, by=asking.authority
    )
    return {
        "done": found.done,
        "added": found.added,
        "changed": found.changed,
        "mistakes": [asdict(each) for each in found.mistakes],
    }


async def list_tokens(asking: Asking) -> object:
    tokens = await asking.services.store.tokens(asking.query.get("person"))
    return {"data": [token_json(each) for each in tokens]}


async def create_token(asking: Asking) -> object:
    wanted = wanted_token(asking.body)
    token, secret = await asking.services.tokens.create_for(asking.maker, asking.actor, asking.id, wanted)
    return {**token_json(token), "secret": secret}


async def rotate_token(asking: Asking) -> object:
    grace = asking.body.get("grace_seconds", 0)
    token, secret = await asking.services.tokens.rotate(asking.maker, asking.actor, asking.id, grace_seconds=grace)
    return {**token_json(token), "secret": secret}


async def narrow_token(asking: Asking) -> object:
    return token_json(await asking.services.tokens.narrow(asking.actor, asking.id, asking.body))


async def revoke_token(asking: Asking) -> None:
    await asking.services.tokens.revoke(asking.actor, asking.id)


async def list_passes(asking: Asking) -> object:
    return {"data": [issued_json(each) for each in await asking.services.passes.issued(asking.query.get("person"))]}


async def issue_pass(asking: Asking) -> object:
    issuer = await asking.services.people.person(asking.id)
    wanted = wanted_pass(asking.body)
    what, secret = await asking.services.passes.issue_for(asking.maker, asking.actor, issuer, wanted)
    return {**pass_json(what), "secret": secret}


async def revoke_pass(asking: Asking) -> None:
    await asking.services.passes.revoke(asking.actor, asking.id)


def wanted_token(body: Mapping[str, Any]) -> WantedToken:
    return WantedToken(body["name"], body.get("expires_at"), terms_of(body))


def wanted_pass(body: Mapping[str, Any]) -> WantedPass:
    return WantedPass(body["seconds"], body["micro_usd"], body.get("group", ""), body.get("models", ()))


async def _once(content: bytes) -> AsyncGenerator[bytes, None]:
    yield content


WANTED_TOKEN = Thing({"name": NAME}, {"expires_at": WHEN, **TERMS}, name="WantedToken")
WANTED_PASS = Thing(
    {"seconds": Whole(1, GRACE), "micro_usd": AMOUNT},
    {"group": Text(64, least=0), "models": PATTERNS},
    name="WantedPass",
)
NARROWING = Thing({}, {"expires_at": WHEN, **TERMS}, name="Narrowing")
ROTATION = Thing({}, {"grace_seconds": Whole(0, GRACE)}, name="Rotation")
WHOSE = {"person": Text(64)}
YES = {"partial": Word(("yes", "no")), "trial": Word(("yes", "no"))}


def _told(method: str, path: str, summary: str, **more: Any) -> Description:
    return Description(method=method, path=f"/api/admin{path}", summary=summary, role="admin", **more)


OPERATIONS = (
    Operation(
        _told(
            "GET", "/people", "People by name, address or group, in the order of their names",
            query={"q": Text(), "cursor": Text(64), "limit": Whole(1, MOST)}, answer=page_of(PERSON),
        ),
        find_people,
    ),
    Operation(
        _told("POST", "/people", "Add somebody", body=Thing({"name": NAME}, MEMBERS), answer=PERSON, status=201),
        create_person,
    ),
    Operation(_told("GET", "/people/{person}", "Somebody", answer=PERSON), show_person),
    Operation(
        _told(
            "PATCH", "/people/{person}", "Change somebody, close their access, or make them an administrator",
            body=Thing({}, {"name": NAME, "admin": Flag(), "disabled": Flag(), **MEMBERS}), answer=PERSON,
        ),
        change_person,
    ),
    Operation(
        _told("POST", "/people/{person}/erase", "Forget somebody; what was used stays, as nobody's", status=204),
        erase_person,
    ),
    Operation(_told("GET", "/people.csv", "Everybody as a table", gives=(CSV,), answer=Text()), export_people),
    Operation(
        _told(
            "POST", "/people.csv", "Add and change people as a table says: all of them, or with a mistake nobody",
            query=YES, takes=CSV, answer=IMPORTED,
        ),
        import_people,
    ),
    Operation(_told("GET", "/tokens", "Tokens, the oldest first", query=WHOSE, answer=list_of(TOKEN)), list_tokens),
    Operation(
        _told(
            "POST", "/people/{person}/tokens", "A new token for somebody; its secret is told now and never again",
            body=WANTED_TOKEN, answer=NEW_TOKEN, status=201,
        ),
        create_token,
    ),
    Operation(
        _told(
            "POST", "/tokens/{token}/rotate", "Another secret in a token's place", body=ROTATION, answer=NEW_TOKEN,
            status=201,
        ),
        rotate_token,
    ),
    Operation(
        _told("PATCH", "/tokens/{token}", "Let a token do less; no term grows", body=NARROWING, answer=TOKEN),
        narrow_token,
    ),
    Operation(_told("DELETE", "/tokens/{token}", "Revoke a token, for good", status=204), revoke_token),
    Operation(
        _told("GET", "/passes", "Guest passes that have not expired", query=WHOSE, answer=list_of(PASS)), list_passes
    ),
    Operation(
        _told(
            "POST", "/people/{person}/passes", "A pass for a guest of somebody's, told now and never again",
            body=WANTED_PASS, answer=NEW_PASS, status=201,
        ),
        issue_pass,
    ),
    Operation(_told("DELETE", "/passes/{pass}", "Revoke a pass", status=204), revoke_pass),
)  # fmt: skip
