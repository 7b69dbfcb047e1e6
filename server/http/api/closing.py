"""`/api/admin/maintenance`, `close`, `open`: maintenance that is scheduled, and a gateway that is closed now."""

from __future__ import annotations

from typing import Any

from server.admin.commands import closing
from server.admin.resources import MAINTENANCE
from server.config.openapi import Description
from server.config.shapes import Flag, Thing, Whole
from server.http.api.policy import read_body, record_id
from server.http.api.schemas import NOTICE_SHAPE, notice_json
from server.http.api.table import Asking, Operation
from server.policy.maintenance import maintenance
from server.policy.notices import NoticeKind, notice_of


async def schedule(asking: Asking) -> object:
    name, body = record_id(asking), {**asking.body, "kind": NoticeKind.MAINTENANCE}
    notice = read_body(lambda said: notice_of(name, said), body)
    await closing.schedule(asking.services.changes, asking.actor, notice, asking.services.wall())
    return notice_json(notice)


async def whom_it_hits(asking: Asking) -> object:
    hit, now = closing.hit(await asking.services.everywhere.live()), asking.services.wall()
    closed = maintenance(asking.services.book.notices, now) is not None
    return {"closed": closed, "running": hit.running, "waiting": hit.waiting, "people": hit.people}


async def close(asking: Asking) -> object:
    """The numbers are those of the moment before."""
    hit, services = closing.hit(await asking.services.everywhere.live()), asking.services
    text, until = asking.body.get("text", ""), asking.body.get("until")
    await closing.close(services.changes, asking.actor, services.wall(), text, until)
    return {"closed": True, "running": hit.running, "waiting": hit.waiting, "people": hit.people}


async def reopen(asking: Asking) -> None:
    await closing.reopen(asking.services.changes, asking.actor, asking.services.wall())


SCHEDULED = MAINTENANCE.body("schedule", "ScheduledMaintenance")
CLOSING = MAINTENANCE.body("close", "Closing")
CLOSED = Thing({"closed": Flag(), "running": Whole(), "waiting": Whole(), "people": Whole()}, name="Closed")


def _describe(method: str, path: str, summary: str, **more: Any) -> Description:
    return Description(method=method, path=f"/api/admin{path}", summary=summary, role="admin", **more)


OPERATIONS = (
    Operation(
        _describe(
            "PUT", "/maintenance/{notice}", "Schedule maintenance; all people read it beforehand", body=SCHEDULED,
            answer=NOTICE_SHAPE,
        ),
        schedule,
    ),
    Operation(_describe("GET", "/close", "How many requests and people closing hits now", answer=CLOSED), whom_it_hits),
    Operation(
        _describe("POST", "/close", "Turn new requests away from now on; what runs and waits is served", body=CLOSING,
              answer=CLOSED),
        close,
    ),
    Operation(_describe("POST", "/open", "Serve requests again", status=204), reopen),
)  # fmt: skip
