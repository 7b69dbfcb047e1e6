"""A login against oidc-provider-mock, which somebody else wrote: no `kid` in its tokens, one key, no PKCE."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from server.config.specs import Secret
from tests.fakes.upstream import FakeUpstream
from tests.gateways import Running, gateway
from tests.oidc.browsing import browser
from tests.oidc.children import child
from tests.oidc.lobby import STUDENTS

ADA = {"sub": "ada-1", "preferred_username": "ada", "email": "ada@example.org", "affiliation": ["student@x"]}
COMMAND = [sys.executable, "-u", "-W", "ignore", "-m", "oidc_provider_mock", "-p", "0"]


@asynccontextmanager
async def services() -> AsyncIterator[tuple[str, Running]]:
    command = [*COMMAND, "--user-claims", json.dumps(ADA)]
    async with child(command, r"running on (http://127\.0\.0\.1:\d+)") as issuer, FakeUpstream() as fake:
        client = {"oidc_client_id": "fairgate", "oidc_client_secret": Secret("any")}  # it wants one, and takes any
        async with gateway(fake, oidc_issuer=issuer, **client, claim_rules=STUDENTS) as running:
            yield issuer, running


@pytest.mark.slow
@pytest.mark.gen_test(timeout=30)
async def test_in_and_out_with_oidc_provider_mock() -> None:
    async with services() as (issuer, running), browser(running.url) as visitor:
        begun = await visitor.get("/login/oidc?next=/me")
        assert begun.location.startswith(f"{issuer}/oauth2/authorize?")
        assert (await visitor.get(begun.location)).status == 200
        back = await visitor.post(begun.location, sub="ada-1")
        arrived = await visitor.get(back.location)
        assert (arrived.status, arrived.location) == (303, "/me")
        person = await running.services.sessions.person_of(arrived.cookies["fairgate-session"].value)
        assert person is not None
        assert (person.name, person.email, person.claimed) == ("ada-2", "ada@example.org", ("students",))
        assert (await visitor.get(back.location)).status == 400  # the same answer once more
        left = await visitor.get("/logout")
        assert left.location.startswith(f"{issuer}/oauth2/end_session?id_token_hint=eyJ")
        assert (await visitor.get(left.location)).status == 200
        assert (await visitor.get("/user")).status == 401


@pytest.mark.slow
@pytest.mark.gen_test(timeout=30)
async def test_who_declines_there_finds_our_login_again() -> None:
    """It forgets to send the state back, so that its word is not taken; the page is the same."""
    async with services() as (_, running), browser(running.url) as visitor:
        begun = await visitor.get("/login/oidc?next=/me")
        back = await visitor.post(begun.location, action="deny")
        refused = await visitor.get(back.location)
        assert (refused.status, "/login/oidc" in refused.text, "fairgate-session" in refused.cookies) == (
            400, True, False,
        )  # fmt: skip
