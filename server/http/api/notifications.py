"""`/api/admin/notifications`: which messages are sent and were sent, and a test."""

from __future__ import annotations

from typing import Any

from server.admin.resources import MESSAGE
from server.config.openapi import Description
from server.config.shapes import Flag, Many, Thing, Whole
from server.http.api.schemas import list_of, message_json
from server.http.api.table import Asking, Operation

MESSAGE_SHAPE = MESSAGE.record("Message")
MESSAGES = Thing(
    {
        "mail": Flag(),
        "operator_mail": Flag(),
        "webhook": Flag(),
        "thresholds": Many(Whole(1, 100)),
        "data": Many(MESSAGE_SHAPE, 1_000),
    },
    name="Messages",
)


async def list_messages(asking: Asking) -> object:
    settings = asking.services.settings
    return {
        "mail": settings.smtp_url is not None,
        "operator_mail": bool(settings.operator_mail),
        "webhook": bool(settings.notify_webhook_url),
        "thresholds": settings.notify_thresholds,
        "data": [message_json(each) for each in await asking.services.notifications.latest()],
    }


async def test_messages(asking: Asking) -> object:
    return {"data": [message_json(each) for each in await asking.services.notifications.test(asking.actor)]}


def _describe(method: str, path: str, summary: str, **more: Any) -> Description:
    return Description(method=method, path=f"/api/admin/notifications{path}", summary=summary, role="admin", **more)


OPERATIONS = (
    Operation(_describe("GET", "", "Mails and webhooks: what is configured, and the latest", answer=MESSAGES),
              list_messages),
    Operation(
        _describe("POST", "/test", "Send a test by every way, and say how each went", answer=list_of(MESSAGE_SHAPE)),
        test_messages,
    ),
)  # fmt: skip
