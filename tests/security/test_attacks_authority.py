"""Attacks that were seen to succeed: with a weaker credential to a stronger one. Each is replayed over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import ip_network
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from server.http.browsed import SESSION
from server.ledger.limits import Limit, LimitWindow, Scope, Unit
from server.ledger.when import iso
from server.store.base import TokenTerms
from tests.admin.estate import ADMIN_KEY, Answer, Estate, estate
from tests.loops import one_loop

HOUR = 3_600_000
LOOPBACK = (ip_network("127.0.0.0/8"),)

io_loop = pytest.fixture(one_loop, scope="module", name="io_loop")


@pytest.fixture(scope="module")
def place(io_loop: IOLoop) -> Iterator[Estate]:
    """A house that believes `X-User` from this machine, with one token of each kind of ada's and of the boss's."""
    stack = AsyncExitStack()
    opened: Estate = io_loop.run_sync(lambda: stack.enter_async_context(town()))
    yield opened
    io_loop.run_sync(stack.aclose)


@asynccontextmanager
async def town() -> AsyncIterator[Estate]:
    settings: dict[str, Any] = {"user_header_networks": LOOPBACK, "trusted_proxy_hops": 0}
    async with estate(**settings) as built:
        services = built.services
        for name in ("ada", "boss"):
            for kind, expires_at, terms in (
                ("ending", services.wall() + HOUR, TokenTerms()),
                ("narrow", None, TokenTerms(models=("gpt-5",))),
                ("limited", None, TokenTerms()),
            ):
                token, built.tokens[f"{kind} {name}"] = await services.accounts.create_token(
                    name, kind, expires_at, terms
                )
                if kind == "limited":
                    limit = Limit(token.id, Scope.TOKEN, token.id, Unit.USD, LimitWindow.EVER, 1)
                    await services.changes.set_limit("operator", limit)
        await services.take_effect()
        yield built


async def as_named(place: Estate, method: str, path: str, name: str, body: str | None = None) -> Answer:
    return await place.send(method, path, body, {"X-User": name, "Content-Type": "application/json"})


# A name in a header


@pytest.mark.gen_test
async def test_a_name_in_a_header_makes_no_token_and_no_pass(place: Estate) -> None:
    before = len(await place.services.store.tokens(place.ids["boss"]))
    answer = await as_named(place, "POST", "/api/me/tokens", "boss", '{"name": "mine"}')
    assert (answer.status, "secret" in answer.json) == (403, False)
    wanted = '{"seconds": 60, "micro_usd": 1, "group": ""}'
    assert (await as_named(place, "POST", "/api/me/passes", "boss", wanted)).status == 403
    assert len(await place.services.store.tokens(place.ids["boss"])) == before


@pytest.mark.gen_test
async def test_a_name_in_a_header_neither_exports_nor_erases_that_person(place: Estate) -> None:
    assert (await as_named(place, "GET", "/api/me/export", "bob")).status == 403
    assert (await as_named(place, "POST", "/api/me/erase", "bob", '{"confirm": "bob"}')).status == 403
    assert await place.services.store.person_by_name("bob") is not None
    for path in ("/api/me/tokens", "/api/me/passes", "/api/me/courses", "/user"):
        assert (await as_named(place, "GET", path, "bob")).status == 403, path


@pytest.mark.gen_test
async def test_an_administrators_name_in_a_header_administers_nothing(place: Estate) -> None:
    assert (await as_named(place, "GET", "/api/admin/people", "boss")).status == 403
    assert (await as_named(place, "GET", "/api/me", "boss")).json["admin"] is False
    assert (await as_named(place, "GET", "/api/usage?user=ada", "boss")).status == 403
    price = '{"validFrom": "2026-01-01T00:00:00Z", "per1KQueryTokens": 0, "per1KAnswerTokens": 0}'
    assert (await as_named(place, "POST", "/model/gpt-5", "boss", price)).status == 403
    assert (await as_named(place, "GET", "/create_api_key/eve", "boss")).status == 401


@pytest.mark.gen_test
async def test_a_name_in_a_header_calls_and_reads_what_is_its_own(place: Estate) -> None:
    assert (await as_named(place, "GET", "/v1/models", "ada")).status == 200
    assert (await as_named(place, "GET", "/api/me", "ada")).json["name"] == "ada"
    assert (await as_named(place, "GET", "/api/usage", "ada")).status == 200


# A token that ends


@pytest.mark.gen_test
async def test_a_token_that_ends_makes_none_that_ends_later(place: Estate) -> None:
    wall = place.services.wall()
    for ends in ({}, {"expires_at": iso(wall + 2 * HOUR)}):
        answer = await place.ask("POST", "/api/me/tokens", "ending ada", {"name": "longer", **ends})
        assert answer.refusal == (409, "not_possible", None), ends
    sooner = {"name": "shorter", "expires_at": iso(wall + HOUR // 2)}
    assert (await place.ask("POST", "/api/me/tokens", "ending ada", sooner)).status == 201
    answer = await place.ask("POST", f"/api/admin/people/{place.ids['boss']}/tokens", "ending boss", {"name": "longer"})
    assert answer.refusal == (409, "not_possible", None)
    wanted = {"seconds": 7200, "micro_usd": 1}
    answer = await place.ask("POST", f"/api/admin/people/{place.ids['ada']}/passes", "ending boss", wanted)
    assert answer.refusal == (409, "not_possible", None)


@pytest.mark.gen_test
async def test_a_token_that_ends_renews_none_that_does_not(place: Estate) -> None:
    token, _ = await place.services.accounts.create_token("ada", "for good")
    for path, who in (("/api/me/tokens", "ending ada"), ("/api/admin/tokens", "ending boss")):
        answer = await place.ask("POST", f"{path}/{token.id}/rotate", who, {})
        assert answer.refusal == (409, "not_possible", None), path


@pytest.mark.gen_test
async def test_a_token_that_ends_makes_no_administrator(place: Estate) -> None:
    path = f"/api/admin/people/{place.ids['bob']}"
    assert (await place.ask("PATCH", path, "ending boss", {"admin": True})).status == 409
    table = "name,admin\r\nbob,yes\r\n"
    found = await place.ask("POST", "/api/admin/people.csv", "ending boss", table, **{"Content-Type": "text/csv"})
    assert found.json["done"] is False, found.json
    assert found.json["mistakes"]
    bob = await place.services.store.person_by_name("bob")
    assert bob is not None
    assert not bob.admin


@pytest.mark.gen_test
async def test_a_session_is_worth_the_token_that_began_it(place: Estate) -> None:
    """It ends with it, and what is made in it ends no later."""
    form = await place.send("GET", "/login", None, {"Accept": "text/html"})
    assert form.status == 200
    tokens = {token.name: token for token in await place.services.store.tokens(place.ids["ada"])}
    sessions = place.services.sessions
    cookie = await sessions.open(place.ids["ada"], until=tokens["ending"].expires_at, token_id=tokens["ending"].id)
    headers = {"Cookie": f"{SESSION}={cookie}", "Content-Type": "application/x-www-form-urlencoded"}
    before = len(await place.services.store.tokens(place.ids["ada"]))
    made = await place.send("POST", "/me/tokens", f"xsrf={sessions.xsrf(cookie)}&name=longer", headers)
    assert made.status == 400
    assert len(await place.services.store.tokens(place.ids["ada"])) == before


# A token with a limit or with terms


@pytest.mark.gen_test
async def test_a_token_with_a_limit_makes_none_without(place: Estate) -> None:
    for expires_at in (None, iso(place.services.wall() + HOUR)):
        wanted = {"name": "free", "expires_at": expires_at}
        assert (await place.ask("POST", "/api/me/tokens", "limited ada", wanted)).refusal[:2] == (409, "not_possible")
    token, _ = await place.services.accounts.create_token("ada", "free already")
    assert (await place.ask("POST", f"/api/me/tokens/{token.id}/rotate", "limited ada", {})).status == 409
    assert (await place.ask("GET", "/api/admin/people", "limited boss")).status == 403


@pytest.mark.gen_test
async def test_a_limit_that_another_gateway_has_set_counts_at_once(place: Estate) -> None:
    """The book is read every few seconds; who makes a token is asked for in the store."""
    token, secret = await place.services.accounts.create_token("ada", "limited elsewhere")
    place.tokens["elsewhere"] = secret
    limit = Limit("elsewhere", Scope.TOKEN, token.id, Unit.REQUESTS, LimitWindow.DAY, 5)
    await place.services.changes.set_limit("operator", limit)  # without `take_effect`
    assert (await place.ask("POST", "/api/me/tokens", "elsewhere", {"name": "free"})).status == 409


@pytest.mark.gen_test
async def test_a_limited_token_gets_a_new_secret_and_keeps_its_limit(place: Estate) -> None:
    token, secret = await place.services.accounts.create_token("bob", "limited")
    place.tokens["limited bob"] = secret
    await place.services.changes.set_limit("operator", Limit("b", Scope.TOKEN, token.id, Unit.USD, LimitWindow.EVER, 1))
    await place.services.take_effect()
    renewed = await place.ask("POST", f"/api/me/tokens/{token.id}/rotate", "limited bob", {})
    assert renewed.status == 201
    place.tokens["limited bob"] = renewed.json["secret"]
    assert (await place.ask("POST", "/api/me/tokens", "limited bob", {"name": "free"})).status == 409


@pytest.mark.gen_test
async def test_a_narrow_token_of_an_administrator_administers_nothing_at_any_door(place: Estate) -> None:
    assert (await place.ask("GET", "/api/admin/people", "narrow boss")).status == 403
    assert (await place.ask("GET", "/api/me", "narrow boss")).json["admin"] is False
    assert (await place.ask("GET", "/api/usage?user=ada", "narrow boss")).status == 403
    assert (await place.ask("GET", "/queries?user=ada", "narrow boss")).status == 403
    assert (await place.ask("POST", "/model/gpt-5", "narrow boss", {})).status == 403
    assert (await place.ask("POST", "/create_api_key/eve", "narrow boss")).status == 401
    assert (await place.ask("GET", "/admin/users", "narrow boss")).status == 403


@pytest.mark.gen_test
async def test_the_operators_key_may_everything(place: Estate) -> None:
    assert place.tokens["operator"] == ADMIN_KEY
    made = await place.ask("POST", f"/api/admin/people/{place.ids['bob']}/tokens", "operator", {"name": "given"})
    assert made.status == 201
