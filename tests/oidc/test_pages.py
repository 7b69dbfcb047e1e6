"""The way in and out as a browser goes it: real sockets, real cookies."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from http.cookies import Morsel
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from yarl import URL

from server.auth.oidc.login_state import MOST
from server.config.specs import Secret
from server.http.redirects import own_path
from tests.fakes.upstream import FakeUpstream
from tests.gateways import Running, gateway
from tests.oidc.browsing import Answer, Browser, browser
from tests.oidc.idp import CLIENT_ID, CLIENT_SECRET, Idp, broken, identity_provider, rsa_key, signed
from tests.oidc.lobby import STUDENTS

ADMIN_KEY = "an administrator's key"


@dataclass
class Site:
    idp: Idp
    running: Running

    def browser(self) -> AbstractAsyncContextManager[Browser]:
        return browser(self.running.url)


@asynccontextmanager
async def site(**settings: Any) -> AsyncIterator[Site]:
    async with identity_provider(now=time.time) as idp, FakeUpstream() as fake:
        values = {
            "oidc_issuer": idp.url,
            "oidc_client_id": CLIENT_ID,
            "oidc_client_secret": Secret(CLIENT_SECRET),
            "claim_rules": STUDENTS,
            "admin_key": Secret(ADMIN_KEY),
            **settings,
        }
        async with gateway(fake, **values) as running:
            yield Site(idp, running)


def xsrf(page: Answer) -> str:
    found = re.search(r'name="xsrf" value="([^"]+)"', page.text)
    assert found
    return found[1]


@pytest.mark.gen_test
async def test_in_by_the_organisations_login_and_out_again() -> None:
    async with site() as place, place.browser() as visitor:
        page = await visitor.get("/login?next=/me%3Fa=b")
        assert (page.status, page.headers["Cache-Control"]) == (200, "no-store")
        assert 'href="/login/oidc?next=%2Fme%3Fa%3Db"' in page.text
        arrived = await visitor.login("/me?a=b")
        assert (arrived.status, arrived.location) == (303, "/me?a=b")
        cookie = arrived.cookies["fairgate-session"]
        assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["domain"]) == (True, "Lax", "/", "")
        user = await visitor.get("/user")
        assert '"sub":"ada-1"' in user.text
        left = await visitor.get("/logout")
        assert left.location.startswith(f"{place.idp.url}/logout?id_token_hint=")
        assert (await visitor.get("/user", Accept="application/json")).status == 401
        visitor.session.cookie_jar.update_cookies({"fairgate-session": cookie.value}, URL(visitor.url))
        assert (await visitor.get("/user", Accept="application/json")).status == 401  # the store has forgotten it, too


@pytest.mark.gen_test
async def test_a_login_makes_a_new_session_and_ends_the_old_one() -> None:
    async with site() as place, place.browser() as visitor:
        old = (await visitor.login()).cookies["fairgate-session"].value
        new = (await visitor.login()).cookies["fairgate-session"].value
        assert old != new
        sessions = place.running.services.sessions
        assert await sessions.person_of(old) is None
        assert await sessions.person_of(new) is not None


@pytest.mark.gen_test
async def test_under_https_cookies_are_bound_to_the_host_and_secure() -> None:
    async with site(public_url="https://llm.example.org") as place, place.browser() as visitor:
        begun = await visitor.get("/login/oidc")
        assert parse_qs(urlsplit(begun.location).query)["redirect_uri"] == ["https://llm.example.org/callback"]
        cookie = attempt(begun)
        assert cookie.key.startswith("__Host-fairgate-login-")
        assert (cookie["secure"], cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, True, "Lax", "/")
        assert (await visitor.get("/login")).cookies["__Host-fairgate-form"]["secure"]


@pytest.mark.gen_test
async def test_a_callback_without_its_login_is_a_plain_page_and_no_session() -> None:
    async with site() as place, place.browser() as visitor, place.browser() as another:
        state = parse_qs(urlsplit((await visitor.get("/login/oidc")).location).query)["state"][0]
        for path in (
            "/callback",
            "/callback?state=x&code=y",
            "/callback?code=y&state=%ff",
            "/callback?state=a&state=b",
        ):
            refused = await another.get(path)
            assert refused.status == 400
            assert "fairgate-session" not in refused.cookies
        refused = await another.get(f"/callback?code=y&state={state}")
        assert refused.status == 400
        assert place.idp.asked["/token"] == 0


@pytest.mark.gen_test
async def test_a_callback_is_good_once() -> None:
    async with site() as place, place.browser() as visitor:
        begun = await visitor.get("/login/oidc")
        back = await visitor.get(begun.location)
        cookie = attempt(begun)
        assert (await visitor.get(back.location)).status == 303
        visitor.session.cookie_jar.update_cookies({cookie.key: cookie.value}, URL(visitor.url))
        assert (await visitor.get(back.location)).status == 400


@pytest.mark.parametrize(("tabs", "ends"), [(2, 0), (2, 1), (5, 2), (MOST, 0)])
@pytest.mark.gen_test
async def test_every_tab_of_a_browser_may_end_its_own_login(tabs: int, ends: int) -> None:
    async with site() as place, place.browser() as visitor:
        begun = [await visitor.get(f"/login/oidc?next=/me?tab={number}") for number in range(tabs)]
        back = await visitor.get(begun[ends].location)
        entered = await visitor.get(back.location)
        assert (entered.status, entered.location) == (303, f"/me?tab={ends}")
        another = await visitor.get(begun[ends - 1].location)
        assert (await visitor.get(another.location)).status == 303, "the others are still good"


@pytest.mark.gen_test
async def test_a_browser_keeps_a_few_attempts_and_forgets_those_that_it_names_first() -> None:
    """Browsers name the oldest cookies first (RFC 6265, section 5.4)."""
    names = [f"fairgate-login-{number:012}" for number in range(MOST + 1)]
    async with site() as place, place.browser() as visitor:
        for kept in (MOST - 1, MOST, MOST + 1):
            sent = "; ".join(f"{name}=x" for name in ["other", *names[:kept]])
            begun = await visitor.get("/login/oidc", Cookie=sent)
            dropped = [name for name, cookie in begun.cookies.items() if not cookie.value]
            assert dropped == names[: kept - (MOST - 1)], "with the new one there are MOST"
            assert attempt(begun).key not in names
            visitor.session.cookie_jar.clear()


@pytest.mark.gen_test
async def test_what_the_provider_says_is_shown_as_text() -> None:
    async with site() as place, place.browser() as visitor:
        state = parse_qs(urlsplit((await visitor.get("/login/oidc")).location).query)["state"][0]
        refused = await visitor.get(f"/callback?error=%3Cscript%3E&state={state}")
        assert (refused.status, "<script>" in refused.text, "&lt;script&gt;" in refused.text) == (400, False, True)
        assert "default-src 'none'" in refused.headers["Content-Security-Policy"]


def attempt(begun: Answer) -> Morsel[str]:
    """The cookie of the login that was begun."""
    return next(cookie for name, cookie in begun.cookies.items() if "fairgate-login-" in name and cookie.value)


EVIL = [
    "//evil.example", "/\\evil.example", "\\\\evil.example", "https:evil.example", "https://evil.example", "%2f%2fevil",
    "/\t/evil.example", "/\n/evil.example", "javascript:alert(1)", "evil.example", "", " /me", "///evil",
    "/a\r\nSet-Cookie: x", "/ü", "/" + "a" * 2000, "/x#//evil", '/"><script>',
]  # fmt: skip


@pytest.mark.parametrize("path", EVIL, ids=ascii)
def test_nobody_is_sent_anywhere_but_to_a_page_of_ours(path: str) -> None:
    assert own_path(path) == "/"


@pytest.mark.parametrize("path", ["/", "/me", "/me?tab=a&b=%2F%2Fx", "/admin/people/usr_1", "/a//b", "/?x=//y"])
def test_our_own_pages_are_reached(path: str) -> None:
    assert own_path(path) == path


@pytest.mark.gen_test
async def test_no_way_in_leads_elsewhere() -> None:
    async with site() as place, place.browser() as visitor:
        for path in ("//evil.example", "/\\evil.example", "%2f%2fevil.example"):
            assert (await visitor.login(path)).location == "/"
        straight = await visitor.get("/login?return_url=" + quote("https://evil.example/x"))
        assert (straight.status, straight.location) == (303, "/login/oidc?next=%2F")
        token, page = place.running.token, await visitor.get("/login")
        entered = await visitor.post("/login", token=token, next="//evil.example", xsrf=xsrf(page))
        assert (entered.status, entered.location) == (303, "/")


@pytest.mark.gen_test
async def test_in_by_a_token_from_our_own_form_only() -> None:
    async with site() as place, place.browser() as visitor, place.browser() as another:
        token, page = place.running.token, await visitor.get("/login?next=/me")
        assert 'value="/me"' in page.text
        for form in ({}, {"xsrf": "x"}, {"xsrf": xsrf(await another.get("/login"))}):
            assert (await visitor.post("/login", token=token, **form)).status == 403
        assert (await another.post("/login", token=token, xsrf=xsrf(page))).status == 403
        wrong = await visitor.post("/login", token="fg_wrong<b>", next="/me", xsrf=xsrf(page))
        assert (wrong.status, "fg_wrong" in wrong.text, 'value="/me"' in wrong.text) == (401, False, True)
        entered = await visitor.post("/login", token=token, next="/me", xsrf=xsrf(page))
        assert (entered.status, entered.location) == (303, "/me")
        assert '"preferred_username":"ada"' in (await visitor.get("/user")).text
        assert (await visitor.get("/logout")).location == "/"
        assert (await visitor.get("/user")).status == 401


@pytest.mark.gen_test
async def test_in_by_the_administrators_key() -> None:
    async with site() as place, place.browser() as visitor:
        page = await visitor.get("/login")
        entered = await visitor.post("/login", token=ADMIN_KEY, xsrf=xsrf(page))
        person = await place.running.services.sessions.person_of(entered.cookies["fairgate-session"].value)
        assert person is not None
        assert person.admin


@pytest.mark.gen_test
async def test_the_31st_wrong_token_in_a_minute_is_a_page_that_says_wait() -> None:
    async with site() as place, place.browser() as visitor:
        form = xsrf(await visitor.get("/login"))
        answers = [(await visitor.post("/login", token="wrong", xsrf=form)).status for _ in range(31)]
        assert answers == [401] * 30 + [429]


@pytest.mark.gen_test
async def test_a_link_on_another_site_logs_nobody_out() -> None:
    async with site() as place, place.browser() as visitor:
        await visitor.login()
        asked = await visitor.get("/logout", **{"Sec-Fetch-Site": "cross-site"})
        assert (asked.status, "/logout" in asked.text) == (200, True)
        assert (await visitor.get("/user")).status == 200


@pytest.mark.gen_test
async def test_a_form_that_is_too_large_or_no_text_is_refused() -> None:
    async with site() as place, place.browser() as visitor:
        await visitor.get("/login")
        assert (await visitor.post("/login", token="x" * 100_000)).status == 413
        fields = {f"f{number}": "x" for number in range(200)}
        assert (await visitor.post("/login", **fields)).status == 400


@pytest.mark.gen_test
async def test_the_host_that_our_proxies_saw_chooses_the_redirect_address() -> None:
    both = ("https://a.example.org/callback", "https://b.example.org/callback")
    forwarded = {"X-Forwarded-Host": "evil.example, b.example.org", "X-Forwarded-Proto": "https"}
    for hops, chosen in ((0, both[0]), (1, both[1])):
        settings = {"trusted_proxy_hops": hops, "oidc_redirect_uris": both}
        async with site(**settings) as place, place.browser() as visitor:
            begun = await visitor.get("/login/oidc", **forwarded)
            assert parse_qs(urlsplit(begun.location).query)["redirect_uri"] == [chosen]
            assert attempt(begun).key.startswith("__Host-") is (hops == 1)


@pytest.mark.gen_test
async def test_while_the_provider_is_away_a_token_still_lets_in() -> None:
    async with site() as place, place.browser() as visitor:
        place.idp.faults["/.well-known/openid-configuration"] = broken
        away = await visitor.get("/login/oidc?next=/me")
        assert (away.status, away.location) == (503, "")
        entered = await visitor.post("/login", token=place.running.token, xsrf=xsrf(away))
        assert entered.status == 303


@pytest.mark.gen_test
async def test_without_a_provider_there_is_no_such_login() -> None:
    async with site(oidc_issuer="") as place, place.browser() as visitor:
        page = await visitor.get("/login?return_url=/me")
        assert (page.status, "/login/oidc" in page.text, 'value="/me"' in page.text) == (200, False, True)
        for path in ("/login/oidc", "/callback?code=x&state=y"):
            assert (await visitor.get(path)).status == 404


@pytest.mark.gen_test
async def test_the_providers_tokens_open_the_api_where_that_is_switched_on() -> None:
    for switched_on, status in ((True, 200), (False, 401)):
        async with site(oidc_bearer=switched_on) as place, place.browser() as visitor:
            token = signed(place.idp.claims(affiliation=["student@x"]), rsa_key("one"))
            answer = await visitor.get("/user", Authorization=f"Bearer {token}", Accept="application/json")
            assert answer.status == status
            models = await visitor.get("/v1/models", Authorization=f"Bearer {token}", Accept="application/json")
            assert models.status == status
