"""`/api/admin/keys`, `queue`, `audit`: the upstream keys, the requests of this moment, and who changed what."""

from __future__ import annotations

from typing import Any

from server.admin.audit_search import KINDS, AuditFilter, find_changes, names_of_all
from server.admin.commands import requests
from server.admin.commands.undo import undo
from server.admin.consequences import of_key_removal
from server.admin.resources import KEY
from server.config.openapi import Description
from server.config.shapes import Flag, Maybe, Number, Text, Thing, Whole, Word
from server.http.api.schemas import CHANGE, DONE_WITH, KEY_SHAPE, change_json, done_with, key_json, list_of, page_of
from server.http.api.table import Asking, Operation
from server.http.key_standings import standings, tested
from server.keys.wishes import ListedKey
from server.ledger.question import cursor, cursor_text

PAGE, MOST, MOST_LIVE = 100, 1000, 200
LIVE = Thing(
    {
        "id": Text(1000),
        "person": Text(1000),
        "name": Text(1000),
        "model": Text(1000),
        "state": Word(("queued", "running")),
        "batch": Flag(),
        "position": Whole(),
        "waited_seconds": Number(0, 1e9),
        "expected_seconds": Maybe(Number(0, 1e9)),
        "running_seconds": Number(0, 1e9),
        "key": Maybe(Text()),
        "attempts": Whole(),
    },
    name="LiveRequest",
)


async def list_keys(asking: Asking) -> object:
    keys = await asking.services.keys.keys()
    found = await standings(asking.services, keys)
    return {"data": [key_json(each, found[each.id]) for each in keys]}


async def show_key(asking: Asking) -> object:
    key = await asking.services.keys.key(asking.id)
    return key_json(key, (await standings(asking.services, [key]))[key.id])


async def add_key(asking: Asking) -> object:
    wanted = {name: value for name, value in asking.body.items() if name != "secret"}
    wanted = {name: list(value) if isinstance(value, tuple) else value for name, value in wanted.items()}
    added = await asking.services.keys.add(asking.actor, asking.body["secret"], wanted)
    return key_json(ListedKey(added.id, added.spec, added.hint, added=True, paused=False), None)


async def change_key(asking: Asking) -> object:
    """Change terms of a key. A field that is left out stays, null takes its term away."""
    key = await asking.services.keys.change(asking.actor, asking.id, asking.body)
    return key_json(key, (await standings(asking.services, [key]))[key.id])


async def pause_key(asking: Asking) -> None:
    await asking.services.keys.pause(asking.actor, asking.id)


async def resume_key(asking: Asking) -> None:
    await asking.services.keys.resume(asking.actor, asking.id)


async def recheck_key(asking: Asking) -> object:
    await tested(asking.services, asking.actor, asking.id)
    return await show_key(asking)


async def remove_key(asking: Asking) -> object:
    services = asking.services
    consequences = of_key_removal(await services.keys.keys(), asking.id, await services.everywhere.live())
    await services.keys.remove(asking.actor, asking.id)
    return done_with(consequences)


async def live_requests(asking: Asking) -> object:
    names = await _names(asking)
    return {
        "data": [
            {
                "id": each.id,
                "person": each.person,
                "name": names.get(each.person, each.person),
                "model": each.model,
                "state": each.state,
                "batch": each.batch,
                "position": each.position,
                "waited_seconds": round(each.waited, 3),
                "expected_seconds": round(each.expected, 1),
                "running_seconds": round(each.running, 3),
                "key": each.key,
                "attempts": each.attempts,
            }
            for each in (await asking.services.everywhere.live())[:MOST_LIVE]
        ]
    }


async def cancel_request(asking: Asking) -> None:
    services = asking.services
    live = await services.everywhere.live()
    await requests.cancel(services.changes, asking.actor, asking.id, live, services.everywhere.cancel)


async def cancel_all(asking: Asking) -> object:
    services = asking.services
    live = await services.everywhere.live()
    return done_with(await requests.cancel_all(services.changes, asking.actor, live, services.everywhere.cancel))


async def cancel_requests_of(asking: Asking) -> object:
    services, person = asking.services, asking.id
    live = await services.everywhere.live()
    name = (await _names(asking)).get(person, person)
    done = await requests.cancel_of(services.changes, asking.actor, person, name, live, services.everywhere.cancel)
    return done_with(done)


async def _names(asking: Asking) -> dict[str, str]:
    return {each.id: each.name for each in await asking.services.store.people()}


async def audit(asking: Asking) -> object:
    services, query = asking.services, asking.query
    wanted = AuditFilter(**{name: query.get(name, "") for name in ("who", "kind", "what")})
    names, count = await names_of_all(services.store), query.get("limit", PAGE)
    found, more = await find_changes(services.changes, wanted, names, cursor(query), count)
    return {"data": [change_json(each) for each in found], "next_cursor": more and cursor_text(more)}


async def undo_removal(asking: Asking) -> None:
    await undo(asking.services.changes, asking.actor, asking.id)


def _describe(method: str, path: str, summary: str, **more: Any) -> Description:
    return Description(method=method, path=f"/api/admin{path}", summary=summary, role="admin", **more)


NEW_KEY = KEY.body("add", "NewKey")

OPERATIONS = (
    Operation(_describe("GET", "/keys", "Upstream keys, by their fingerprints", answer=list_of(KEY_SHAPE)), list_keys),
    Operation(
        _describe("POST", "/keys", "Add a key; it is never shown again", body=NEW_KEY, answer=KEY_SHAPE, status=201),
        add_key
    ),
    Operation(
        _describe("PATCH", "/keys/{key}", "Change the terms of an added key; null takes one away",
                  body=KEY.body("change", "KeyTerms"), answer=KEY_SHAPE),
        change_key,
    ),
    Operation(_describe("POST", "/keys/{key}/pause", "Give a key no further request", status=204), pause_key),
    Operation(_describe("POST", "/keys/{key}/resume", "Use a key again", status=204), resume_key),
    Operation(_describe("GET", "/keys/{key}", "A key, and how it stands", answer=KEY_SHAPE), show_key),
    Operation(
        _describe("POST", "/keys/{key}/recheck", "Test a key now, free, and say what was found", answer=KEY_SHAPE),
        recheck_key,
    ),
    Operation(_describe("DELETE", "/keys/{key}", "Forget an added key", answer=DONE_WITH), remove_key),
    Operation(_describe("GET", "/queue", "Requests that run and wait now", answer=list_of(LIVE)), live_requests),
    Operation(_describe("DELETE", "/queue", "End all requests of this moment", answer=DONE_WITH), cancel_all),
    Operation(_describe("DELETE", "/queue/{request}", "End a request", status=204), cancel_request),
    Operation(
        _describe("DELETE", "/people/{person}/queue", "End all requests of a person at this moment", answer=DONE_WITH),
        cancel_requests_of,
    ),
    Operation(
        _describe(
            "GET", "/audit", "Who changed what, the newest first",
            query={"cursor": Text(1000), "limit": Whole(1, MOST), "who": Text(), "kind": Word(KINDS), "what": Text()},
            answer=page_of(CHANGE),
        ),
        audit,
    ),
    Operation(
        _describe("POST", "/audit/{entry}/undo", "Put back a group, a limit or a price that was removed", status=204),
        undo_removal,
    ),
)  # fmt: skip
