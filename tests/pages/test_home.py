"""The home page, the list of models, and the authority of a session in the chat: from our own page only."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest
from tornado.ioloop import IOLoop

from server.ledger.limits import Limit, LimitWindow, Scope, Unit
from server.policy.aliases import Alias
from tests.loops import entered, one_loop
from tests.pages.visitors import Visitor, services, visitor

io_loop = pytest.fixture(one_loop, scope="module", name="io_loop")
QUESTION = {"model": "gpt-5", "messages": [{"role": "user", "content": "Hello"}]}


@dataclass
class Answer:
    status: int
    text: str
    headers: Mapping[str, str]


@dataclass
class Here:
    """A gateway, and ada in front of it."""

    ada: Visitor
    token: str

    @property
    def origin(self) -> str:
        return self.ada.running.url

    async def token_on_page(self) -> str:
        found = re.search(r'data-xsrf="([^"]+)"', (await self.ada.get("/me")).text)
        assert found
        return found[1]

    async def ask(self, body: object = QUESTION, **headers: str | None) -> Answer:
        """As the chat's script asks. A header that is None is not sent."""
        usual = {"X-Fairgate-Xsrf": self.token, "Origin": self.origin, "Content-Type": "application/json"}
        named = {name.replace("_", "-").title(): value for name, value in headers.items()}
        sent = {name: value for name, value in {**usual, **named}.items() if value is not None}
        url, session = f"{self.origin}/me/chat", self.ada.browser.session
        async with session.post(url, data=json.dumps(body), headers=sent) as answer:
            return Answer(answer.status, await answer.text(), answer.headers)


@asynccontextmanager
async def opened() -> AsyncIterator[Here]:
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(services(allowed_origins=("*",)))
        ada = await stack.enter_async_context(visitor(running, running.token))
        here = Here(ada, "")
        here.token = await here.token_on_page()
        yield here


@pytest.fixture(scope="module")
def here(io_loop: IOLoop) -> Iterator[Here]:
    with entered(io_loop, opened()) as found:
        yield found


@pytest.mark.gen_test
async def test_a_session_asks_from_our_own_page_and_the_request_is_on_the_ledger(here: Here) -> None:
    answer = await here.ask({**QUESTION, "stream": True})
    assert answer.status == 200
    assert "data: [DONE]" in answer.text
    await here.ada.running.services.pipeline.quiet(5)
    row = await here.ada.running.services.store.usage(answer.headers["X-Request-Id"])
    assert row is not None
    (token,) = [it for it in await here.ada.running.services.store.tokens() if it.name == "test"]
    assert (row.model_asked, row.token_id) == ("gpt-5", token.id)  # the token that began the session
    assert f"/me/requests/{row.request_id}" in (await here.ada.get("/me")).text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X_Fairgate_Xsrf": None}, 403),
        ({"X_Fairgate_Xsrf": "x" * 43}, 403),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": None}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Sec_Fetch_Site": "none"}, 403),
        ({"Sec_Fetch_Site": "same-origin", "X_Fairgate_Xsrf": None}, 403),
        ({"Sec_Fetch_Site": "same-origin"}, 200),
    ],
)
@pytest.mark.gen_test
async def test_another_site_and_a_form_without_the_token_ask_nothing(
    here: Here, headers: dict[str, str | None], status: int
) -> None:
    before = len(here.ada.running.fake.records)
    answer = await here.ask(**headers)
    assert answer.status == status, answer.text
    assert (len(here.ada.running.fake.records) > before) is (status == 200)
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.gen_test
async def test_no_browser_is_allowed_to_ask_from_elsewhere_and_a_token_is_not_asked_for(here: Here) -> None:
    asked = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    async with here.ada.browser.session.options(f"{here.origin}/me/chat", headers=asked) as answer:
        assert "Access-Control-Allow-Origin" not in answer.headers
    async with visitor(here.ada.running) as stranger:
        ours = {"Origin": here.origin, "X-Fairgate-Xsrf": here.token}
        for known in (here.ada.running.headers, {"Cookie": "fairgate-session=" + "x" * 43}, {}):
            headers, url = {**known, **ours}, f"{here.origin}/me/chat"
            async with stranger.browser.session.post(url, json=QUESTION, headers=headers) as answer:
                assert answer.status == 401


@pytest.mark.gen_test
async def test_a_session_alone_opens_no_route_of_the_api(here: Here) -> None:
    headers = {"X-Fairgate-Xsrf": here.token, "Origin": here.origin}
    url = f"{here.origin}/v1/chat/completions"
    async with here.ada.browser.session.post(url, json=QUESTION, headers=headers) as answer:
        assert answer.status == 401


@pytest.mark.gen_test
async def test_limits_hold_and_what_the_token_of_the_session_may_not_the_chat_may_not(here: Here) -> None:
    running = here.ada.running
    secret = await running.token_of("eve")
    async with visitor(running, secret) as eve:
        hers = Here(eve, "")
        hers.token = await hers.token_on_page()
        person = await running.services.store.person_by_name("eve")
        assert person is not None
        limit = Limit("eve-day", Scope.PERSON, person.id, Unit.REQUESTS, LimitWindow.DAY, 1)
        await running.services.changes.set_limit("operator", limit)
        await running.services.take_effect()
        assert [(await hers.ask()).status for _ in range(2)] == [200, 429]
        assert 'class="hero bad"' in (await eve.get("/me")).text
        (token,) = await running.services.store.tokens(person.id)
        for wanted, status in (({"models": ("gpt-4o",)}, 404), ({"networks": ("10.0.0.0/8",)}, 401)):
            await running.services.tokens.narrow("operator", token.id, wanted)
            assert (await hers.ask()).status == status


@pytest.mark.gen_test
async def test_the_public_list_sorts_filters_and_shows_no_hidden_name(here: Here) -> None:
    changes = here.ada.running.services.changes
    await changes.set_alias("operator", Alias("main", "gpt-5"))
    await changes.set_alias("operator", Alias("secret-name", "gpt-5", listed=False))
    await here.ada.running.services.take_effect()
    async with visitor(here.ada.running) as stranger:
        page = await stranger.get("/models?sort=-name")
        names = re.findall(r'<bdi class="id">([^<]+)</bdi>', page.text)
        assert names == sorted(names, reverse=True)
        assert {"main", "gpt-5"} <= set(names)
        assert "secret-name" not in page.text
        assert re.findall(r'<bdi class="id">([^<]+)</bdi>', (await stranger.get("/models?q=GPT-4")).text) == ["gpt-4o"]
        assert (await stranger.get("/models?sort=x")).status == 400
        assert "Log out" not in page.text
    assert "Log out" in (await here.ada.get("/models")).text


@pytest.mark.gen_test
async def test_a_visitor_is_named_on_public_pages_and_on_refusals_and_no_cache_keeps_that(here: Here) -> None:
    async with visitor(here.ada.running) as stranger:
        for path in ("/", "/status", "/docs", "/api/docs", "/models", "/nothing/here", "/admin"):
            page = await here.ada.get(path)
            assert ("<bdi>ada</bdi>" in page.text, page.text.count("/logout")) == (True, 1), path
            assert page.headers["Cache-Control"] == "no-store", path
            other = await stranger.get(path)
            assert ("<bdi>ada</bdi>" in other.text, "/logout" in other.text) == (False, False), path


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("Asia/Kathmandu", "Asia/Kathmandu"),
        ("", "UTC"),
        ("../../etc/passwd", "UTC"),
        ("Nowhere/Land", "UTC"),
        ("A" * 400, "UTC"),
    ],
)
@pytest.mark.gen_test
async def test_times_are_in_the_zone_of_the_readers_browser(here: Here, zone: str, shown: str) -> None:
    here.ada.browser.session.cookie_jar.update_cookies({"fairgate-zone": zone})
    assert f"Times: {shown}" in (await here.ada.get("/me")).text


@pytest.mark.gen_test
async def test_a_token_says_when_it_was_used_last(here: Here) -> None:
    running = here.ada.running
    assert (await here.ask()).status == 200
    await running.services.pipeline.quiet(5)
    assert "Last used" in (await here.ada.get("/me/tokens")).text


@pytest.mark.gen_test
async def test_a_request_that_was_refused_is_among_the_latest_with_its_reason(here: Here) -> None:
    answer = await here.ask({**QUESTION, "model": "gpt-of-nobody"})
    assert answer.status == 404
    text = (await here.ada.get("/me")).text
    assert "There is no such model here, or you may not use it." in text
    assert f"/me/requests/{answer.headers['X-Request-Id']}" in text
