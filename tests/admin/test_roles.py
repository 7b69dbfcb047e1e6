"""Every route by every method, asked by everybody: the table says who may, and this is how it is."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from typing import Any

import pytest
from tornado.ioloop import IOLoop
from tornado.routing import Matcher

from server.admin.commands.guest_passes import WantedPass
from server.admin.makers import THE_OPERATOR
from server.http.access import Role, Route
from server.http.base import BaseHandler
from server.http.browsed import SESSION
from server.http.chat import XSRF_HEADER, ChatHandler
from server.http.compat.flask import KeyInPath
from server.http.own_keys import OwnKeyHandler
from server.http.pages.base import MOST_FIELDS, BrowserHandler
from server.http.pages.login import UserHandler
from server.http.routes import routes
from server.store.base import TokenTerms
from tests.admin.estate import Answer, Estate, estate

EVERYTHING: dict[str, Any] = {"byo_keys": True, "legacy_routes": True}
SAMPLES = ("x", "1", "tok_1", "app.css")
ADDRESSES = count(1)
TOO_MANY_FIELDS = "&".join(f"f{number}=x" for number in range(MOST_FIELDS + 1))

# What somebody brings, and what they are by it where it counts.
TOKENS = {
    "a person's token": Role.PERSON,
    "another person's token": Role.PERSON,
    "an administrator's token": Role.ADMIN,
    "a token that was narrowed down": Role.CALLER,
    "a guest's pass": Role.CALLER,
    "a revoked token": Role.PUBLIC,
    "a disabled person's token": Role.PUBLIC,
}
COOKIES = {
    "a person's session": Role.PERSON,
    "an administrator's session": Role.ADMIN,
    "an expired session": Role.PUBLIC,
    "a made up session": Role.PUBLIC,
}
NOTHING = {"nothing": Role.PUBLIC}
RANKS = {Role.PUBLIC: 0, Role.CALLER: 1, Role.PERSON: 2, Role.ADMIN: 3}

Crowd = tuple[Estate, Mapping[str, str]]


@asynccontextmanager
async def town() -> AsyncIterator[Crowd]:
    """An estate, and a credential of each kind."""
    async with estate(**EVERYTHING) as place:
        services, ids = place.services, place.ids
        await place.person("gone")
        await services.changes.set_disabled("operator", ids["gone"], True)
        token, revoked = await services.accounts.create_token("ada", "old")
        await services.accounts.revoke(token.id)
        _, narrow = await services.accounts.create_token("boss", "narrow", terms=TokenTerms(models=("gpt-5",)))
        ada = await services.people.person(ids["ada"])
        _, guest = await services.passes.issue_for(THE_OPERATOR, "operator", ada, WantedPass(3600, 1_000_000))
        yield (
            place,
            {
                "nothing": "",
                "a person's token": place.tokens["ada"],
                "another person's token": place.tokens["bob"],
                "an administrator's token": place.tokens["boss"],
                "a token that was narrowed down": narrow,
                "a guest's pass": guest,
                "a revoked token": revoked,
                "a disabled person's token": place.tokens["gone"],
                "a person's session": await services.sessions.open(ids["ada"]),
                "an administrator's session": await services.sessions.open(ids["boss"]),
                "an expired session": await services.sessions.open(ids["boss"], until=services.wall()),
                "a made up session": "x" * 43,
            },
        )


@pytest.fixture(scope="module")
def crowd(io_loop: IOLoop) -> Iterator[Crowd]:
    stack = AsyncExitStack()
    opened: Crowd = io_loop.run_sync(lambda: stack.enter_async_context(town()))
    yield opened
    io_loop.run_sync(stack.aclose)


def sample(route: Route) -> str:
    """A path of the route."""
    if route.handler is OwnKeyHandler:
        return "/byo/fake/models"
    pattern = str(route.pattern)
    for word in SAMPLES:
        path = re.sub(r"\\(.)", r"\1", re.sub(r"\([^()]*(?:\([^()]*\)[^()]*)*\)", word, pattern))
        if re.fullmatch(pattern, path):
            return path
    raise AssertionError(f"no sample fits {pattern}")


def headers_of(route: Route, kind: str, credential: str) -> dict[str, str]:
    """What this kind of visitor sends. Each comes from an address of their own: failures are not counted together."""
    number = next(ADDRESSES)
    headers = {"X-Forwarded-For": f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"}
    if kind in COOKIES:
        headers["Cookie"] = f"{SESSION}={credential}"
    elif kind in TOKENS and route.handler is OwnKeyHandler:
        headers |= {"Authorization": "Bearer sk-a-key-of-my-own", "X-Fairgate-Token": credential}
    elif kind in TOKENS:
        headers["Authorization"] = f"Bearer {credential}"
    if route.handler is ChatHandler:  # from our own page, with the token of its forms
        xsrf = route.kwargs["sessions"].xsrf(credential)
        headers |= {"Sec-Fetch-Site": "same-origin", XSRF_HEADER: xsrf}
    elif issubclass(route.handler, BrowserHandler):
        headers |= {"Accept": "text/html", "Sec-Fetch-Site": "cross-site"}  # so that nobody is logged out
    return headers


async def asked(place: Estate, route: Route, method: str, headers: dict[str, str]) -> Answer:
    """With a body of which nothing is made: who comes in is told so, or that there is no such thing."""
    if method == "GET":
        return await place.send(method, sample(route), None, headers)
    if issubclass(route.handler, BrowserHandler):
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return await place.send(method, sample(route), TOO_MANY_FIELDS, {**headers, **form})
    return await place.send(method, sample(route), "[]", {**headers, "Content-Type": "application/json"})


def is_in(answer: Answer) -> bool:
    return answer.status not in (401, 403) and not answer.headers.get("location", "").startswith("/login?")


def may_come_in(route: Route, role: Role, kind: str) -> bool:
    """By the table: the API knows credentials, pages know sessions, `/user` knows both."""
    known = {**NOTHING, **TOKENS, **COOKIES}
    if route.handler is not UserHandler:
        known = {**NOTHING, **(COOKIES if issubclass(route.handler, (BrowserHandler, ChatHandler)) else TOKENS)}
    if kind == "a guest's pass" and not route.handler.guests and role is not Role.PUBLIC:
        return False
    return RANKS[known.get(kind, Role.PUBLIC)] >= RANKS[role]


def is_elsewhere(route: Route, role: Role, kind: str) -> bool:
    """What other tests try: keys in paths; and what a door of its own asks about a token of a narrow person."""
    if isinstance(route.pattern, Matcher) or route.handler is KeyInPath:
        return True
    return role is Role.PUBLIC and kind in TOKENS and issubclass(route.handler, BrowserHandler)


@pytest.mark.slow
@pytest.mark.gen_test(timeout=120)
async def test_every_route_lets_in_whom_the_table_names_and_nobody_else(crowd: Crowd) -> None:
    place, credentials = crowd
    wrong, tried = [], 0
    for route in routes(place.services):
        for method, role in route.roles.items():
            for kind, credential in credentials.items():
                if is_elsewhere(route, role, kind):
                    continue
                answer = await asked(place, route, method, headers_of(route, kind, credential))
                tried += 1
                if is_in(answer) != may_come_in(route, role, kind) or answer.status == 500:
                    wrong.append((method, str(route.pattern), role, kind, answer.status))
    assert not wrong
    assert tried > 1500


@pytest.mark.gen_test
async def test_a_key_in_a_path_is_the_only_one_that_counts_there(crowd: Crowd) -> None:
    place, credentials = crowd
    for kind, role in TOKENS.items():
        if kind == "a guest's pass":
            continue  # it has another shape than that path
        answer = await place.send("POST", f"/{credentials[kind]}/v1/chat/completions", "[]", {})
        assert (answer.status == 401) == (role is Role.PUBLIC), kind


@pytest.mark.gen_test
async def test_who_has_not_logged_in_is_sent_to_the_login_and_back(crowd: Crowd) -> None:
    place, _ = crowd
    answer = await place.send("GET", "/admin/people?q=a", None, {"Accept": "text/html"})
    assert (answer.status, answer.headers["location"]) == (303, "/login?next=%2Fadmin%2Fpeople%3Fq%3Da")
    assert (await place.send("POST", "/admin/people", "name=x", {"Accept": "text/html"})).status == 401


@pytest.mark.gen_test
async def test_a_refusal_does_not_cut_the_connection_before_it_is_read(crowd: Crowd) -> None:
    place, _ = crowd
    for _ in range(3):
        answer = await place.ask("POST", "/api/admin/people", None, {"name": "x" * 10_000})
        assert answer.refusal == (401, "invalid_api_key", None)
        assert "connection" not in answer.headers


def test_a_route_without_a_role_for_each_of_its_methods_cannot_be_made() -> None:
    class Careless(BaseHandler):
        def get(self) -> None: ...

        def post(self) -> None: ...

    with pytest.raises(ValueError, match="needs a role for each of its methods"):
        Route("/", Careless, {"GET": Role.PUBLIC})
    with pytest.raises(ValueError, match="Careless"):
        Route("/", Careless, {"GET": Role.PUBLIC, "POST": Role.ADMIN, "PUT": Role.ADMIN})


@pytest.mark.gen_test
async def test_no_path_stands_in_the_table_twice(crowd: Crowd) -> None:
    place, _ = crowd
    patterns = [route.pattern for route in routes(place.services)]
    assert len(set(patterns)) == len(patterns)
