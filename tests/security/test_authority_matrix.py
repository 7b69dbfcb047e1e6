"""Every means of authentication, with every term, at every verb of the API; and no sequence of verbs leads upwards.

The verbs come from the table of routes. What a credential may is written down here once more, apart from the code.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from itertools import count
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tornado.ioloop import IOLoop
from tornado.routing import Matcher

from server.admin.commands.guest_passes import WantedPass
from server.admin.makers import THE_OPERATOR
from server.http.access import Role, Route
from server.http.browsed import SESSION
from server.http.chat import XSRF_HEADER, ChatHandler
from server.http.compat.flask import CreateApiKey, KeyInPath
from server.http.pages.base import BrowserHandler
from server.http.pages.login import UserHandler
from server.http.routes import routes
from server.ledger.limits import Limit, LimitWindow, Scope, Unit
from server.ledger.when import iso
from server.policy.groups import Group
from server.store.base import TokenTerms
from tests.admin.estate import Answer, Estate, estate
from tests.loops import one_loop

HOUR = 3_600_000
CALL, READ, CHANGE, ADMINISTER = 1, 2, 3, 4
ADDRESSES = count(1)
SAMPLES = ("x", "1", "tok_1")

# What each credential may, of ada, who is a person, and of boss, who is an administrator.
MAY = {
    "nothing": (0, 0),
    "header": (READ, READ),
    "token": (CHANGE, ADMINISTER),
    "token that ends": (CHANGE, ADMINISTER),
    "token with models": (READ, READ),
    "token with networks": (READ, READ),
    "token with addresses": (READ, READ),
    "token of a kind": (READ, READ),
    "token with a limit": (CHANGE, CHANGE),
    "pass": (CALL, CALL),
    "session": (CHANGE, ADMINISTER),
    "session of a token with a limit": (CHANGE, CHANGE),
    "session of a token that was narrowed": (READ, READ),
}
NEEDS = {Role.PUBLIC: 0, Role.CALLER: READ, Role.PERSON: CHANGE, Role.ADMIN: ADMINISTER}
TERMS: dict[str, tuple[TokenTerms, bool]] = {
    "token": (TokenTerms(), False),
    "token that ends": (TokenTerms(), True),
    "token with models": (TokenTerms(models=("gpt-5",)), False),
    "token with networks": (TokenTerms(networks=("0.0.0.0/0",)), False),
    "token with addresses": (TokenTerms(addresses=1_000), False),
    "token of a kind": (TokenTerms(kind="temporary"), True),
    "token with a limit": (TokenTerms(), False),
}

Crowd = tuple[Estate, dict[tuple[str, str], str]]

io_loop = pytest.fixture(one_loop, scope="module", name="io_loop")


@asynccontextmanager
async def town() -> AsyncIterator[Crowd]:
    """A house with every credential of ada's and of boss's."""
    async with estate(user_header_networks=(ip_network("10.0.0.0/8"),), legacy_routes=True) as place:
        services, found = place.services, {}
        for name in ("ada", "boss"):
            found["nothing", name], found["header", name] = "", name
            ids = {}
            for kind, (terms, ends) in TERMS.items():
                end = services.wall() + HOUR if ends else None
                token, found[kind, name] = await services.accounts.create_token(name, kind, end, terms)
                ids[kind] = token.id
            limited = Limit(f"limit {name}", Scope.TOKEN, ids["token with a limit"], Unit.USD, LimitWindow.EVER, 10**9)
            await services.changes.set_limit("operator", limited)
            person, wanted = await services.people.person(place.ids[name]), WantedPass(3600, 1_000_000)
            _, found["pass", name] = await services.passes.issue_for(THE_OPERATOR, "operator", person, wanted)
            found["session", name] = await services.sessions.open(person.id)
            for kind, of in (
                ("session of a token with a limit", "token with a limit"),
                ("session of a token that was narrowed", "token with models"),
            ):
                found[kind, name] = await services.sessions.open(person.id, token_id=ids[of])
        await services.take_effect()
        yield place, found


@pytest.fixture(scope="module")
def crowd(io_loop: IOLoop) -> Iterator[Crowd]:
    stack = AsyncExitStack()
    opened: Crowd = io_loop.run_sync(lambda: stack.enter_async_context(town()))
    yield opened
    io_loop.run_sync(stack.aclose)


def headers_of(kind: str, credential: str) -> dict[str, str]:
    """Each comes from an address of their own, so that failures are not counted together; a name from the network."""
    number, network = next(ADDRESSES), 10 if kind == "header" else 11
    headers = {"X-Forwarded-For": f"{network}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"}
    if kind == "header":
        return {**headers, "X-User": credential}
    if kind.startswith("session"):
        return {**headers, "Cookie": f"{SESSION}={credential}"}
    return {**headers, "Authorization": f"Bearer {credential}"} if credential else headers


def sample(route: Route) -> str | None:
    """A path of the route; None if it cannot be made from its pattern."""
    pattern = str(route.pattern)
    for word in SAMPLES:
        path = re.sub(r"\\(.)", r"\1", re.sub(r"\([^()]*(?:\([^()]*\)[^()]*)*\)", word, pattern))
        if re.fullmatch(pattern, path):
            return path
    return None


def is_tried(route: Route) -> bool:
    """The verbs of the API and of the pages. Keys in paths have tests of their own, and `/user` knows both."""
    elsewhere = isinstance(route.pattern, Matcher) or route.handler in (UserHandler, CreateApiKey, KeyInPath)
    return not elsewhere and sample(route) is not None


def expected(route: Route, role: Role, kind: str, name: str) -> bool:
    """Whether this credential is let in."""
    if kind != "nothing" and kind.startswith("session") is not issubclass(route.handler, (BrowserHandler, ChatHandler)):
        return role is Role.PUBLIC
    needed = CALL if role is Role.CALLER and route.handler.guests else NEEDS[role]
    return MAY[kind][name == "boss"] >= needed


async def asked(place: Estate, route: Route, method: str, headers: dict[str, str]) -> Answer:
    """With a body of which nothing is made."""
    path, page = sample(route) or "", issubclass(route.handler, BrowserHandler)
    kind = "application/x-www-form-urlencoded" if page else "application/json"
    if page:
        headers |= {"Accept": "text/html", "Sec-Fetch-Site": "cross-site"}  # so that a logout asks first
    if route.handler is ChatHandler:  # from our own page, with the token of its forms
        cookie = headers.get("Cookie", "").removeprefix(f"{SESSION}=")
        headers |= {"Sec-Fetch-Site": "same-origin", XSRF_HEADER: place.services.sessions.xsrf(cookie)}
    body = None if method == "GET" else "x=1&" * 200 if page else "[]"
    return await place.send(method, path, body, {**headers, "Content-Type": kind})


def is_in(answer: Answer) -> bool:
    return answer.status not in (401, 403) and not answer.headers.get("location", "").startswith("/login?")


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.gen_test(timeout=300)
async def test_every_credential_may_at_every_verb_what_the_table_says(crowd: Crowd) -> None:
    place, credentials = crowd
    wrong, tried = [], 0
    for route in filter(is_tried, routes(place.services)):
        for method, role in route.roles.items():
            if role is Role.PUBLIC:
                continue
            for (kind, name), credential in credentials.items():
                answer = await asked(place, route, method, headers_of(kind, credential))
                tried += 1
                if is_in(answer) != expected(route, role, kind, name) or answer.status == 500:
                    wrong.append((method, str(route.pattern), str(role), kind, name, answer.status))
    assert not wrong, wrong[:20]
    assert tried > 2000


# No sequence of verbs leads upwards


@dataclass
class Climber:
    """Somebody without ADMIN who tries everything with all credentials that they were given or have made."""

    place: Estate
    person_id: str
    name: str
    kind: str  # of their first credential
    end: int | None
    secrets: list[str] = field(default_factory=list)

    async def act(self, verb: str, number: int, with_end: bool) -> None:
        """One verb, with one of the credentials."""
        secret = self.secrets[number % len(self.secrets)]
        headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        ids = [token.id for token in await self.place.services.store.tokens(self.person_id)]
        method, path, body = self.request(verb, ids[number % len(ids)], with_end)
        answer = await self.place.send(method, path, None if body is None else orjson.dumps(body), headers)
        if answer.status == 201 and "secret" in answer.json:
            self.secrets.append(answer.json["secret"])

    def request(self, verb: str, token_id: str, with_end: bool) -> tuple[str, str, Any]:
        wall, me = self.place.services.wall(), self.person_id
        end = {"expires_at": iso(wall + 600_000)} if with_end else {}
        verbs: dict[str, tuple[str, str, Any]] = {
            "make": ("POST", "/api/me/tokens", {"name": "more", **end}),
            "make special": ("POST", "/api/me/tokens", {"name": "more", "kind": "special", **end}),
            "make long": ("POST", "/api/me/tokens", {"name": "more", "expires_at": iso(wall + 100 * HOUR)}),
            "rotate": ("POST", f"/api/me/tokens/{token_id}/rotate", {"grace_seconds": 60}),
            "widen": ("PATCH", f"/api/me/tokens/{token_id}", {"models": [], "expires_at": None, "kind": "normal"}),
            "narrow": ("PATCH", f"/api/me/tokens/{token_id}", {"addresses": 9}),
            "issue": ("POST", "/api/me/passes", {"seconds": 86_400, "micro_usd": 10**9, "group": "lab"}),
            "issue short": ("POST", "/api/me/passes", {"seconds": 60, "micro_usd": 10, "group": "lab"}),
            "leave": ("DELETE", "/api/me/courses/lab", None),
            "promote": ("PATCH", f"/api/admin/people/{me}", {"admin": True}),
            "endow": ("POST", f"/api/admin/people/{me}/tokens", {"name": "more"}),
            "lift": ("DELETE", f"/api/admin/limits/limit%20{self.name}", None),
            "import": ("POST", "/api/admin/people.csv", {}),
            "old admin": ("POST", "/admin/users", {"nickname": self.name}),
            "old price": ("POST", "/model/gpt-5", {}),
        }
        return verbs[verb]

    async def assert_no_higher(self) -> None:
        """No administrator, no model beyond the group's, nothing beyond the end and the limit of the first one."""
        services = self.place.services
        person = await services.people.person(self.person_id)
        assert not person.admin
        assert services.book.rights((*person.groups, *person.claimed), services.wall()).models in (("gpt-5",), ())
        limits = {limit.subject for limit in await services.changes.limits() if limit.scope is Scope.TOKEN}
        for token in await services.store.tokens(self.person_id):
            if token.name == "bystander":
                continue
            assert self.end is None or (token.expires_at is not None and token.expires_at <= self.end), token
            assert token.terms.kind != "special"
            if self.kind in ("limited", "narrow"):
                assert token.id.partition("-")[0] in limits or token.terms.models, token
        for each in await services.passes.issued(self.person_id):
            assert self.end is None or each.what.expires_at <= self.end
            assert self.kind not in ("limited", "narrow"), "it would be free of the limit"


VERBS = (
    "make", "make special", "make long", "rotate", "widen", "narrow", "issue", "issue short", "leave", "promote",
    "endow", "lift", "import", "old admin", "old price",
)  # fmt: skip
FIRST = {
    "ending": (TokenTerms(), HOUR),
    "limited": (TokenTerms(), None),
    "narrow": (TokenTerms(models=("gpt-5",)), None),
}


async def climber(place: Estate, kind: str) -> Climber:
    """Somebody new of this kind, in a group whose members may have guests; they have an unlimited token elsewhere."""
    services, name = place.services, f"{kind} {next(ADDRESSES)}"
    person = await services.people.create("operator", name, groups=("lab",))
    terms, lasts = FIRST[kind]
    end = None if lasts is None else services.wall() + lasts
    token, secret = await services.accounts.create_token(name, "first", end, terms)
    if kind == "limited":
        limit = Limit(f"limit {name}", Scope.TOKEN, token.id, Unit.USD, LimitWindow.EVER, 5)
        await services.changes.set_limit("operator", limit)
    await services.accounts.create_token(name, "bystander")
    await services.take_effect()
    return Climber(place, person.id, name, kind, end, [secret])


@pytest.fixture(scope="module")
def mountain(io_loop: IOLoop) -> Iterator[Estate]:
    stack = AsyncExitStack()
    opened: Estate = io_loop.run_sync(lambda: stack.enter_async_context(estate(trusted_proxy_hops=0)))
    group = Group(name="lab", models=("gpt-5",), guests=True, teachers=(opened.ids["boss"],))
    io_loop.run_sync(lambda: opened.services.changes.create_group("operator", group))
    io_loop.run_sync(opened.services.take_effect)
    yield opened
    io_loop.run_sync(stack.aclose)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(sorted(FIRST)),
    st.lists(st.tuples(st.sampled_from(VERBS), st.integers(0, 20), st.booleans()), min_size=1, max_size=12),
)
def test_no_sequence_of_verbs_leads_upwards(
    io_loop: IOLoop, mountain: Estate, kind: str, verbs: list[tuple[str, int, bool]]
) -> None:
    async def climb() -> None:
        somebody = await climber(mountain, kind)
        for verb, number, with_end in verbs:
            await somebody.act(verb, number, with_end)
        await somebody.assert_no_higher()

    io_loop.run_sync(climb)
