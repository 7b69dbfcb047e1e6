"""On whose money a request goes: that of the group it names, of the whole line of a token, of a guest's pass."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from server.admin.changes import Changes
from server.admin.commands.guest_passes import GuestPassCommands, WantedPass
from server.admin.makers import THE_OPERATOR
from server.auth.guest_passes import Passes
from server.config.specs import Secret
from server.ledger.limits import Limit, LimitWindow, Scope, Unit
from server.ledger.prices import Price, Rates
from server.ledger.usage import UsageRow
from server.policy.groups import Group
from server.store.base import Person, TokenTerms
from tests.accounting.books import ALL, PEPPER, budget, put_limits, put_prices
from tests.fakes.upstream import FakeUpstream
from tests.gateways import Running, gateway, spec

USD = 1_000_000
BODY = {"model": "gpt-5", "messages": [{"role": "user", "content": "Hello"}]}


@dataclass
class Town:
    """A gateway at which every request costs one dollar, and the person `ada`, who is in two groups."""

    running: Running
    session: aiohttp.ClientSession

    async def ask(self, secret: str = "", **headers: str) -> tuple[int, dict[str, Any]]:
        """The status and the answer."""
        all_headers = {"Authorization": f"Bearer {secret or self.running.token}", **headers}
        url = f"{self.running.url}/v1/chat/completions"
        async with self.session.post(url, json=BODY, headers=all_headers) as answer:
            return answer.status, await answer.json()

    async def status(self, secret: str = "", **headers: str) -> int:
        return (await self.ask(secret, **headers))[0]

    async def get(self, path: str, secret: str) -> int:
        async with self.session.get(self.running.url + path, headers={"X-Api-Key": secret}) as answer:
            return answer.status

    async def ada(self) -> Person:
        person = await self.running.services.store.person_by_name("ada")
        assert person is not None
        return person

    async def rows(self) -> list[UsageRow]:
        """What is on the ledger, the oldest first."""
        await self.running.services.reservations.quiet(5)
        return (await self.running.services.store.usage_rows(0, ALL))[::-1]

    async def limit(self, *limits: Limit) -> None:
        await put_limits(self.running.services, *limits)

    async def guest(self, usd: int, group: str = "") -> str:
        """A pass of ada's."""
        services = self.running.services
        changes = Changes(services.store, services.wall, lambda: f"aud_{usd}_{group}")
        office = GuestPassCommands(services.store, changes, Passes(PEPPER.encode()), services.wall)
        return (await office.issue_for(THE_OPERATOR, "operator", await self.ada(), WantedPass(3600, usd, group)))[1]


@asynccontextmanager
async def town(**settings: Any) -> AsyncIterator[Town]:
    async with (
        FakeUpstream() as fake,
        gateway(fake, token_pepper=Secret(PEPPER), **settings) as running,
        aiohttp.ClientSession() as session,
    ):
        services, found = running.services, Town(running, session)
        await put_prices(services, Price("dollar", "gpt-5", 0, Rates(request=USD)))
        await services.store.update_person((await found.ada()).id, {"groups": ("lab", "course")})
        yield found
        await services.reservations.quiet(5)
        running.assert_idle()


# Groups


@pytest.mark.gen_test
async def test_of_several_groups_the_named_one_pays_and_the_others_are_not_asked() -> None:
    async with town() as here:
        await here.limit(budget(Scope.GROUP, "lab", Unit.USD, USD), budget(Scope.MEMBER, "course", Unit.USD, 2 * USD))
        assert [await here.status() for _ in range(2)] == [200, 429]
        named = {"X-Fairgate-Group": "course"}
        assert [await here.status(**named) for _ in range(3)] == [200, 200, 429]
        assert [row.group for row in await here.rows()] == ["lab", "course", "course"]


@pytest.mark.gen_test
async def test_a_group_that_is_not_one_s_own_or_has_ended_cannot_be_named() -> None:
    async with town() as here:
        ada = await here.ada()
        await here.running.services.store.update_person(ada.id, {"groups": ("gone", "Übung 1")})
        changes = Changes(here.running.services.store, here.running.services.wall, lambda: "aud_1")
        await changes.create_group("operator", Group(name="gone", until=1))
        await here.running.services.changes.create_group("operator", Group(name="Übung 1"))
        await here.running.services.book.sync()
        for name in ("gone", "course", "", "%"):
            status, answer = await here.ask(**{"X-Fairgate-Group": name})
            assert (status, answer["error"]["param"]) == (400, "X-Fairgate-Group")
        assert await here.status(**{"X-Fairgate-Group": "%C3%9Cbung%201"}) == 200
        assert [row.group for row in await here.rows()] == ["Übung 1"]


@pytest.mark.gen_test
async def test_a_group_does_not_pay_for_what_only_another_one_allows() -> None:
    """Once `X-Fairgate-Group` let a pot of one group pay for a model that only the other's members may use."""
    async with town() as here:
        for group in (Group(name="lab", models=("gpt-4o",)), Group(name="course", models=("gpt-5",))):
            await here.running.services.changes.create_group("operator", group)
        await here.running.services.book.sync()
        status, answer = await here.ask(**{"X-Fairgate-Group": "lab"})
        assert (status, answer["error"]["param"]) == (400, "X-Fairgate-Group")
        assert [await here.status(**named) for named in ({"X-Fairgate-Group": "course"}, {})] == [200, 200]
        assert [row.group for row in await here.rows()] == ["course", "course"]


@pytest.mark.gen_test
async def test_a_key_of_one_group_serves_nothing_that_another_one_pays() -> None:
    async with (
        FakeUpstream() as fake,
        gateway(fake, spec(fake, groups=("course",))) as running,
        aiohttp.ClientSession() as session,
    ):
        here = Town(running, session)
        await running.services.store.update_person((await here.ada()).id, {"groups": ("lab", "course")})
        assert await here.status(**{"X-Fairgate-Group": "lab"}) == 404
        assert [await here.status(**named) for named in ({"X-Fairgate-Group": "course"}, {})] == [200, 200]
        assert [row.group for row in await here.rows()] == ["course", "course"]


# Tokens


@pytest.mark.gen_test
async def test_special_tokens_know_no_minute_but_the_same_budgets() -> None:
    async with town() as here:
        everyone = Scope.EVERYONE, ""
        minute = budget(*everyone, Unit.REQUESTS, 1, window=LimitWindow.MINUTE)
        await here.limit(minute, budget(*everyone, Unit.USD, 3 * USD))
        _, special = await here.running.services.accounts.create_token("ada", "special", terms=TokenTerms("special"))
        assert [await here.status() for _ in range(2)] == [200, 429]
        assert [await here.status(special) for _ in range(3)] == [200, 200, 429]


@pytest.mark.gen_test
async def test_a_new_secret_is_no_new_budget() -> None:
    async with town() as here:
        accounts = here.running.services.accounts
        old, secret = await accounts.create_token("ada", "robot")
        await here.limit(budget(Scope.TOKEN, old.id, Unit.USD, 2 * USD))
        assert await here.status(secret) == 200
        new, another = await accounts.rotate(old.id)
        assert await here.status(secret) == 401
        assert [await here.status(another) for _ in range(2)] == [200, 429]
        assert [row.token_id for row in await here.rows()] == [old.id, new.id]


@pytest.mark.gen_test
async def test_a_token_for_some_models_finds_no_other_one() -> None:
    async with town() as here:
        _, secret = await here.running.services.accounts.create_token(
            "ada", "small", terms=TokenTerms(models=("gpt-4*",))
        )
        assert await here.status(secret) == 404
        assert await here.get("/v1/models/gpt-4o", secret) == 200
        assert await here.get("/v1/models/gpt-5", secret) == 404


# Guests


@pytest.mark.gen_test
async def test_a_guest_spends_what_the_pass_says_on_the_account_of_who_issued_it() -> None:
    async with town() as here:
        await here.limit(budget(Scope.MEMBER, "course", Unit.USD, 100 * USD))
        guest = await here.guest(2 * USD + 1, "course")
        assert [await here.status(guest) for _ in range(3)] == [200, 200, 429]
        ada = await here.ada()
        rows = await here.rows()
        assert {(row.person_id, row.group) for row in rows} == {(ada.id, "course")}
        (token_id,) = {row.token_id for row in rows}
        assert str(token_id).startswith("pass:")
        assert await here.running.services.store.taken([f"member:course/{ada.id}/usd/*/ever/ever"]) == [2 * USD]


@pytest.mark.gen_test
async def test_a_guest_is_bound_by_the_budgets_of_who_issued_the_pass() -> None:
    async with town() as here:
        await here.limit(budget(Scope.EVERYONE, "", Unit.USD, USD))
        guest = await here.guest(50 * USD)
        assert [await here.status(guest) for _ in range(2)] == [200, 429]
        assert await here.status() == 429


@pytest.mark.gen_test
async def test_a_guest_asks_models_and_sees_nothing_of_who_issued_the_pass() -> None:
    async with town() as here:
        guest = await here.guest(USD)
        assert await here.get("/v1/models", guest) == 200
        assert await here.get("/api/queue?model=gpt-5", guest) == 200
        _, answer = await here.ask()
        (row,) = await here.rows()
        for path in (f"/api/explain/{row.request_id}", "/api/me", "/api/me/usage", "/api/usage"):
            assert await here.get(path, here.running.token) in (200, 403)
            assert await here.get(path, guest) == 403, path
        assert answer["model"]


@pytest.mark.gen_test
@pytest.mark.slow
async def test_while_the_store_is_away_a_pass_spends_its_own_money_and_everything_is_booked_afterwards() -> None:
    async with town() as here:
        store = here.running.services.store
        await here.limit(budget(Scope.EVERYONE, "", Unit.USD, 50 * USD))
        guest = await here.guest(3 * USD)
        assert await here.status(guest) == 200
        await here.rows()
        await store.close()
        assert [await here.status(guest) for _ in range(3)] == [200, 200, 503]
        assert await here.status() == 503  # ada herself has a budget, of which nothing is leased here
        await store.open()
        assert len(await here.rows()) == 3
        ada = await here.ada()
        assert await store.taken([f"person:{ada.id}/usd/*/ever/ever"]) == [3 * USD]
