"""A login against npm's oidc-provider, which is certified and enforces PKCE and exact redirect addresses."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from tornado.testing import bind_unused_port

from server.auth.oidc.provider import CodeRefused, IdentityProvider
from server.config.specs import Secret
from tests.fakes.upstream import FakeUpstream
from tests.fetched import by_npm
from tests.gateways import Running, gateway
from tests.needs import program
from tests.oidc.browsing import Answer, Browser, browser
from tests.oidc.children import child
from tests.oidc.idp import CLIENT_ID, CLIENT_SECRET
from tests.oidc.lobby import STUDENTS

PACKAGE = "oidc-provider@8.8.1"  # the last one that runs on node 20, too
INSTALL_SECONDS = 120

pytestmark = [pytest.mark.slow, pytest.mark.timeout(INSTALL_SECONDS + 60)]


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The provider's script beside its packages."""
    program("node")
    folder = tmp_path_factory.mktemp("node")
    (folder / "node_modules").symlink_to(by_npm(PACKAGE) / "node_modules")
    return Path(shutil.copy(Path(__file__).with_name("provider.mjs"), folder))


@asynccontextmanager
async def services(script: Path) -> AsyncIterator[tuple[str, Running]]:
    """The provider and a gateway that know each other."""
    socket, port = bind_unused_port()
    socket.close()
    home = f"http://127.0.0.1:{port}"
    command = ["node", str(script), f"{home}/callback", f"{home}/bye", CLIENT_SECRET]
    async with child(command, r"port (\d+)", script.parent) as provider_port, FakeUpstream() as fake:
        issuer = f"http://127.0.0.1:{provider_port}"
        settings = {
            "port": port,
            "oidc_issuer": issuer,
            "oidc_client_id": CLIENT_ID,
            "oidc_client_secret": Secret(CLIENT_SECRET),
            "post_logout_uri": f"{home}/bye",
            "claim_rules": STUDENTS,
            "oidc_bearer": True,
        }
        async with gateway(fake, **settings) as running:
            yield issuer, running


async def consent(visitor: Browser, address: str, name: str) -> Answer:
    """Log in there and agree, until the provider sends the browser back."""
    home = f"{visitor.url}/callback"
    page = await visitor.follow(await visitor.get(address), home)
    for form in ({"prompt": "login", "login": name, "password": "any"}, {"prompt": "consent"}):
        action = re.search(r'action="([^"]+)"', page.text)
        assert action, page.text
        page = await visitor.follow(await visitor.post(action[1], **form), home)
    return page


def changed(address: str, **changes: str | None) -> str:
    """An authorization request with other parameters; None takes one away."""
    parts = urlsplit(address)
    query = {**dict(parse_qsl(parts.query)), **changes}
    return parts._replace(query=urlencode({name: value for name, value in query.items() if value})).geturl()


@pytest.mark.gen_test(timeout=60)
async def test_in_and_out_with_a_certified_provider(script: Path) -> None:
    async with services(script) as (issuer, running), browser(running.url) as visitor:
        begun = await visitor.get("/login/oidc?next=/me")
        back = await consent(visitor, begun.location, "eve")
        arrived = await visitor.get(back.location)
        assert (arrived.status, arrived.location) == (303, "/me")
        person = await running.services.sessions.person_of(arrived.cookies["fairgate-session"].value)
        assert person is not None
        # Claims of the scopes come from the userinfo endpoint; an unverified address is none.
        assert (person.name, person.email, person.claimed) == ("eve", None, ("students",))
        assert (await visitor.get(back.location)).status == 400
        left = await visitor.get("/logout")
        assert left.location.startswith(f"{issuer}/session/end?id_token_hint=eyJ")
        asked = await visitor.get(left.location)
        assert (asked.status, "post_logout_redirect_uri" in asked.text) == (200, False)
        assert (await visitor.get("/user")).status == 401


@pytest.mark.gen_test(timeout=60)
async def test_its_rules_are_kept(script: Path) -> None:
    async with services(script) as (issuer, running), browser(running.url) as visitor:
        begun = await visitor.get("/login/oidc")
        for uri in (f"{running.url}/callback/", f"{running.url}/other", "https://evil.example/callback"):
            assert (await visitor.get(changed(begun.location, redirect_uri=uri))).status == 400
        refused = await visitor.get(changed(begun.location, code_challenge=None, code_challenge_method=None))
        assert "error=invalid_request" in refused.location
        told = await visitor.get(refused.location)
        assert (told.status, "invalid_request" in told.text) == (400, True)

        begun = await visitor.get("/login/oidc")
        back = await consent(visitor, begun.location, "ada-1")
        code = dict(parse_qsl(urlsplit(back.location).query))["code"]
        provider = IdentityProvider(issuer, CLIENT_ID, Secret(CLIENT_SECRET), running.services.clock)
        try:
            with pytest.raises(CodeRefused):
                await provider.exchange(
                    code, "another verifier of forty-three letters, or more", f"{running.url}/callback"
                )
        finally:
            await provider.close()
