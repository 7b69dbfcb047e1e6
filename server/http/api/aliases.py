"""`/api/admin/aliases`: names for models, as administrators decide them at run time."""

from __future__ import annotations

from typing import Any

from server.admin.resources import ALIAS
from server.config.openapi import Description
from server.http.api.policy import ONLY_NEW, read_body, record_id
from server.http.api.schemas import alias_json, list_of
from server.http.api.table import Asking, Operation
from server.policy.aliases import alias_of

ALIAS_SHAPE = ALIAS.record("Alias")


async def list_aliases(asking: Asking) -> object:
    return {"data": [alias_json(each) for each in await asking.services.changes.aliases()]}


async def set_alias(asking: Asking) -> object:
    name = record_id(asking)
    alias = read_body(lambda body: alias_of(name, body), asking.body)
    await asking.services.changes.set_alias(asking.actor, alias, asking.query.get("new") == "yes")
    return alias_json(alias)


async def remove_alias(asking: Asking) -> None:
    await asking.services.changes.remove_alias(asking.actor, asking.id)


def _describe(method: str, path: str, summary: str, **more: Any) -> Description:
    return Description(method=method, path=f"/api/admin/aliases{path}", summary=summary, role="admin", **more)


OPERATIONS = (
    Operation(
        _describe("GET", "", "Names for models, decided at run time", answer=list_of(ALIAS_SHAPE)), list_aliases
    ),
    Operation(
        _describe(
            "PUT", "/{alias}", "Set a name for a model",
            query=ONLY_NEW, body=ALIAS.body("set", "WantedAlias"), answer=ALIAS_SHAPE,
        ),
        set_alias,
    ),
    Operation(_describe("DELETE", "/{alias}", "Remove a name", status=204), remove_alias),
)  # fmt: skip
