"""Webhooks are what the Standard Webhooks' own library accepts, and failures say what kind they are."""

from __future__ import annotations

import base64
import json

import pytest
from standardwebhooks import Webhook

from server.config.specs import Secret
from server.httpclient.egress import DIRECTLY
from server.notifications.webhook import WebhookSender, signed_headers
from server.policy.notifications import Cause, Channel, Delivery, EventKind, Failure
from tests.upstream.servers import Script, Served, answering, serving

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
FACTS = {"threshold": 80, "models": "gpt-5*", "resets_at": 1_796_083_200_000, "person": "usr_ada"}
NOW = 1_795_262_400_000
MESSAGE = Delivery("msg_1", EventKind.BUDGET, NOW, Channel.WEBHOOK, "operator", FACTS, NOW, None)


def answer(status: int) -> Script:
    return answering(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\nLocation: http://127.0.0.1:1/\r\n\r\nok" % status)


async def sent(script: Script, now: int = NOW) -> tuple[Failure | None, Served]:
    async with serving(script) as receiver:
        sender = WebhookSender(receiver.url(path="/hook"), Secret(SECRET), DIRECTLY)
        try:
            return await sender.send(MESSAGE, now), receiver
        finally:
            await sender.close()


@pytest.mark.gen_test
async def test_the_receivers_library_accepts_what_is_sent_and_no_other_text() -> None:
    from time import time_ns

    failure, receiver = await sent(answer(204), time_ns() // 1_000_000)
    assert failure is None
    lines = receiver.heads[0].decode().split("\r\n")
    assert lines[0] == "POST /hook HTTP/1.1"
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    body = receiver.bodies[0].decode()
    Webhook(SECRET).verify(body, headers)
    with pytest.raises(Exception, match="No matching signature"):
        Webhook(SECRET).verify(body + " ", headers)
    assert headers["webhook-id"] == "msg_1"
    assert json.loads(body) == {
        "type": "budget.threshold",
        "timestamp": "2026-11-21T12:00:00.000Z",
        "data": {**FACTS, "resets_at": "2026-12-01T00:00:00.000Z"},
    }


def test_the_signature_is_the_one_of_the_specification() -> None:
    """The example of the specification's own tests."""
    headers = signed_headers(
        Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        b'{"test": 2432232314}',
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, None),
        (302, Failure(Cause.STATUS, 302)),
        (410, Failure(Cause.GONE, 410, final=True)),
        (503, Failure(Cause.STATUS, 503)),
    ],
)
async def test_a_receiver_may_say_no_and_no_redirect_is_followed(status: int, expected: Failure | None) -> None:
    assert (await sent(answer(status)))[0] == expected


@pytest.mark.gen_test
async def test_where_no_receiver_is_nothing_arrives() -> None:
    async with serving(answer(200)) as gone:
        url = gone.url()
    for address, expected in ((url, Failure(Cause.UNREACHED)), ("https://", Failure(Cause.UNUSABLE, final=True))):
        sender = WebhookSender(address, Secret(SECRET), DIRECTLY)
        assert await sender.send(MESSAGE, NOW) == expected
        await sender.close()
