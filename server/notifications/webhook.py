"""Webhooks, as the Standard Webhooks write them (https://www.standardwebhooks.com): an id, a time and a signature.

The signature is HMAC-SHA256 over `id.timestamp.body` with the secret behind `whsec_`. The id is that of the delivery
and stays the same however often it is tried, so that the receiver can tell a repetition. The address is the operator's
own, from the settings; no person can name one, and no redirect is followed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

import orjson

from server.config.notify_parsers import WHSEC
from server.config.specs import Secret
from server.httpclient.client import HttpClient
from server.httpclient.egress import Egress
from server.httpclient.errors import HttpFailure
from server.ledger.when import iso
from server.policy.notifications import Cause, Delivery, Failure

PATIENCE = 20.0  # seconds for the head of the answer
CONNECT_SECONDS = 10.0
GONE = 410  # by which a receiver says that it wants nothing more
INSTANTS = ("since", "until", "resets_at")


class WebhookSender:
    """Sends to the operator's address, and signs with the operator's secret."""

    def __init__(self, url: str, secret: Secret, egress: Egress) -> None:
        self._url, self._secret, self._egress = url, secret, egress
        self._client = HttpClient(CONNECT_SECONDS, idle=PATIENCE, kept=0.0, glance=1.0)

    async def send(self, delivery: Delivery, now: int) -> Failure | None:
        """None if the receiver has it. `now`: UTC milliseconds."""
        body = payload_of(delivery)
        headers = {"Content-Type": "application/json", "User-Agent": "fairgate"}
        headers |= signed_headers(self._secret, delivery.id, now // 1000, body)
        try:
            answer = await self._client.send("POST", self._url, headers, body, PATIENCE, self._egress, keep=False)
        except HttpFailure:
            return Failure(Cause.UNREACHED)
        except (ValueError, OSError):
            return Failure(Cause.UNUSABLE, final=True)
        async with answer:
            status = answer.status
        if 200 <= status < 300:
            return None
        return Failure(Cause.GONE, status, final=True) if status == GONE else Failure(Cause.STATUS, status)

    async def close(self) -> None:
        await self._client.close()


def payload_of(delivery: Delivery) -> bytes:
    """The body: the kind of the event, when it was seen, and its facts, instants as text."""
    times = {name: iso(at) for name in INSTANTS if (at := delivery.facts.get(name)) is not None}
    return orjson.dumps(
        {"type": str(delivery.kind), "timestamp": iso(delivery.at), "data": {**delivery.facts, **times}}
    )


def signed_headers(secret: Secret, delivery_id: str, seconds: int, body: bytes) -> dict[str, str]:
    """The three headers of a message. `seconds`: since 1970, UTC."""
    key = base64.b64decode(secret.reveal().removeprefix(WHSEC))
    content = b".".join((delivery_id.encode(), str(seconds).encode(), body))
    signature = base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
    return {"webhook-id": delivery_id, "webhook-timestamp": str(seconds), "webhook-signature": f"v1,{signature}"}
