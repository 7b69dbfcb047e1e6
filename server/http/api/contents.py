"""`POST .../groups/{group}/texts`: the texts of a person that a group lets its operators or its teachers read."""

from __future__ import annotations

import base64

from server.admin.commands.contents import OPERATORS, TEACHERS, ContentCommands
from server.admin.resources import GROUP
from server.config.openapi import Description
from server.config.shapes import Instant, Text, Thing, Whole
from server.http.api.schemas import list_of
from server.http.api.table import Asking, Operation
from server.ledger.when import iso
from server.store.base import Content
from server.wire.errors import PermissionDenied

LONGEST = 2 << 20
TEXT = Thing(
    {"request_id": Text(1000), "at": Instant(), "asked": Text(LONGEST, least=0), "answered": Text(LONGEST, least=0)},
    name="KeptText",
)
READING = Thing({"by": Text(1000), "at": Instant(), "group": Text(1000), "texts": Whole()}, name="Reading")
BODY = GROUP.body("texts", "WhoseTexts")


def text_json(content: Content) -> dict[str, str]:
    """A prompt and its answer; what is no text is in base64."""
    asked, answered = readable(content.asked), readable(content.answered)
    return {"request_id": content.request_id, "at": iso(content.at), "asked": asked, "answered": answered}


def readable(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return base64.b64encode(raw).decode()


async def read_as_operator(asking: Asking) -> object:
    return await _read(asking, OPERATORS)


async def read_as_teacher(asking: Asking) -> object:
    if asking.caller.terms.narrow:
        raise PermissionDenied
    return await _read(asking, TEACHERS)


async def _read(asking: Asking, reader: str) -> object:
    found = await _commands(asking).read(asking.actor, reader, asking.id, asking.body["person"])
    return {"data": [text_json(each) for each in found]}


async def readings(asking: Asking) -> object:
    found = await _commands(asking).readings(asking.actor)
    return {
        "data": [{"by": each.actor, "at": iso(each.at), "group": each.group, "texts": each.texts} for each in found]
    }


def _commands(asking: Asking) -> ContentCommands:
    return ContentCommands(asking.services.store, asking.services.changes, asking.services.wall)


OPERATIONS = (
    Operation(
        Description(
            method="POST", path="/api/admin/groups/{group}/texts", role="admin", body=BODY, answer=list_of(TEXT),
            summary="Texts of a person that the group lets its operators read; it is noted",
        ),
        read_as_operator,
    ),
    Operation(
        Description(
            method="POST", path="/api/me/groups/{group}/texts", role="person", body=BODY, answer=list_of(TEXT),
            summary="Texts of a person that the group lets its teachers read; it is noted",
        ),
        read_as_teacher,
    ),
    Operation(
        Description(
            method="GET", path="/api/me/readings", role="person", answer=list_of(READING),
            summary="Who has read texts of yours, and when",
        ),
        readings,
    ),
)  # fmt: skip
