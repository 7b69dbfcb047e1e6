"""Guesses over HTTP at the secrets of the operator, and a guest pass that was forged with a pepper somebody guessed."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from server.auth.guest_passes import Pass, Passes
from server.auth.throttle import MOST
from server.config.specs import Secret
from tests.admin.estate import ADMIN_KEY, Estate, estate

PROXY_KEY = "the key that everybody shares"


def basic(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"x:{password}".encode()).decode()}


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def api_key(secret: str) -> dict[str, str]:
    return {"X-Api-Key": secret}


DOORS: dict[str, tuple[str, str, Any, dict[str, Any]]] = {
    "ADMIN_KEY as a bearer": ("GET", "/api/admin/people", bearer, {}),
    "ADMIN_KEY in the other header": ("GET", "/api/admin/people", api_key, {}),
    "ADMIN_KEY where no credential is needed": ("GET", "/api/admin/people", bearer, {"gatekeeper": "none"}),
    "a password as HTTP Basic": ("POST", "/create_api_key/eve", basic, {}),
}


@pytest.mark.gen_test
@pytest.mark.parametrize("door", DOORS)
async def test_the_operators_secret_is_not_tried_any_faster(door: str) -> None:
    method, path, headers, settings = DOORS[door]
    async with estate(trusted_proxy_hops=0, **settings) as place:
        for number in range(MOST + 1):
            assert (await place.send(method, path, None, headers(f"guess {number}"))).status in (401, 403, 429)
        right = await place.send(method, path, None, headers(ADMIN_KEY))
        wrong = await place.send(method, path, None, headers("another guess"))
        assert (right.status, wrong.status) == (429, 429)
        assert right.json["error"] == wrong.json["error"]
        assert (await place.ask("GET", "/api/me", "ada")).status == 200, "who has a token goes on"


@pytest.mark.gen_test
async def test_the_shared_key_is_not_tried_any_faster() -> None:
    async with estate(gatekeeper="shared", proxy_key=Secret(PROXY_KEY), trusted_proxy_hops=1) as place:
        here, there = {"X-Forwarded-For": "192.0.2.1"}, {"X-Forwarded-For": "192.0.2.2"}
        for number in range(MOST + 1):
            await place.send("GET", "/v1/models", None, {**here, **bearer(f"guess {number}")})
        assert (await place.send("GET", "/v1/models", None, {**here, **bearer(PROXY_KEY)})).status == 429
        assert (await place.send("GET", "/v1/models", None, {**there, **bearer(PROXY_KEY)})).status == 200


async def forged(place: Estate, **changes: Any) -> str:
    """A pass as who knows the pepper makes one."""
    pepper = place.services.settings.token_pepper
    assert pepper is not None
    now = place.services.wall() // 1000 * 1000
    values = {"id": "0" * 16, "issuer": place.ids["boss"], "group": "", "models": (), "usd": 10**9}
    what = Pass(**{**values, "issued_at": now, "expires_at": now + 3_600_000, **changes})
    return Passes(pepper.reveal().encode()).signed(what)


@pytest.mark.gen_test
async def test_a_pass_that_is_on_no_record_opens_nothing_while_the_store_is_there() -> None:
    async with estate(token_pepper=Secret("sunshine")) as place:
        path = f"/api/admin/people/{place.ids['ada']}/passes"
        made = await place.ask("POST", path, "boss", {"seconds": 60, "micro_usd": 5})
        assert (await place.send("GET", "/v1/models", None, bearer(made.json["secret"]))).status == 200
        assert (await place.send("GET", "/v1/models", None, bearer(await forged(place)))).status == 401
        richer = await forged(place, id=made.json["id"], issuer=place.ids["ada"])
        assert (await place.send("GET", "/v1/models", None, bearer(richer))).status == 401
