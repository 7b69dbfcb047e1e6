"""A door that is closed is closed at once and everywhere: for tokens, logins in browsers, and passes."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from server.admin.changes import Changes
from server.admin.commands.guest_passes import PROMISED, GuestPassCommands, WantedPass
from server.admin.makers import THE_OPERATOR
from server.auth.accounts import OPERATOR, Accounts
from server.auth.guest_passes import Passes
from server.auth.sessions import Sessions
from server.auth.token_login import login_with_token
from server.config.specs import Secret
from server.policy.groups import Group
from server.store import store_for
from server.store.base import Person, Store
from server.wire.errors import InvalidKey, PermissionDenied, RateLimited
from tests.accounts import ANY, HOME, PEPPER, AccountsFactory, Times, a_person, ada, bearer, refused
from tests.fakes.upstream import FakeUpstream
from tests.gateways import Running, gateway
from tests.oidc.lobby import lobby
from tests.oidc.test_bearer import token as id_token
from tests.workbench import Delegate

ADMIN_KEY = "the key of an administrator"


class Waiting(Delegate):
    """A store that answers the question for a person only when it may, and says when it was asked."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.asked, self.may = asyncio.Event(), asyncio.Event()

    async def person(self, person_id: str) -> Person | None:
        found = await self._store.person(person_id)
        self.asked.set()
        await self.may.wait()
        return found


@asynccontextmanager
async def running() -> AsyncIterator[Running]:
    async with FakeUpstream() as fake, gateway(fake, admin_key=Secret(ADMIN_KEY)) as it:
        yield it


def basic(password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'admin:{password}'.encode()).decode()}"}


async def models(it: Running) -> int:
    """The status with which ada's token is answered."""
    async with aiohttp.ClientSession() as session, session.get(f"{it.url}/v1/models", headers=it.headers) as answer:
        return answer.status


@pytest.mark.slow
@pytest.mark.gen_test
async def test_who_is_disabled_at_the_desk_is_out_at_once_and_does_not_come_back_in_with_an_old_login() -> None:
    async with running() as it:
        services = it.services
        person = await services.changes.person_named("ada")
        cookie = await services.sessions.open(person.id)
        assert await models(it) == 200
        await services.changes.set_disabled(OPERATOR.person_id, person.id, True)
        assert await models(it) == 401
        await services.changes.set_disabled(OPERATOR.person_id, person.id, False)
        assert await models(it) == 200
        assert await services.sessions.person_of(cookie) is None


@pytest.mark.gen_test
async def test_a_token_that_is_revoked_at_the_desk_opens_nothing_at_once() -> None:
    async with running() as it:
        assert await models(it) == 200
        (token,) = await it.services.accounts.tokens("ada")
        await it.services.changes.revoke_token(OPERATOR.person_id, token.id)
        assert await models(it) == 401


@pytest.mark.gen_test
async def test_a_login_ends_with_the_token_that_began_it_and_with_no_other(tmp_path: Path) -> None:
    async with store_for(f"sqlite:///{tmp_path}/db") as store:
        factory = AccountsFactory(store, Times())
        accounts, sessions = factory(), Sessions(store, PEPPER, lambda: factory.times.wall, 12)
        one, secret = await ada(accounts)
        other, _ = await accounts.create_token("Ada", "other")
        cookie = await login_with_token(accounts, store, sessions, secret, HOME)
        await factory.changes().revoke_token("operator", other.id)
        visit = await sessions.visit(cookie)
        assert visit is not None
        renewed = await sessions.open(visit.person.id, visit.sealed, visit.expires_at)
        await factory.changes().revoke_token("operator", one.id)
        assert await sessions.person_of(cookie) is None
        assert await sessions.person_of(renewed) is None, "nor does a new session in its place go on"


@pytest.mark.slow
@pytest.mark.gen_test
async def test_what_the_provider_s_tokens_are_remembered_for_is_forgotten_with_everything_else() -> None:
    async with lobby() as place:
        known = place.oidc.bearer
        accounts = Accounts(place.store, "user_token", "", PEPPER, wall=place.clock.wall, bearer=known)
        changes = Changes(place.store, place.clock.wall, lambda: "aud_1", accounts.forget)
        mine = id_token(place, groups=[], affiliation=[])
        caller = await bearer(accounts, mine)
        await changes.set_disabled("operator", caller.person_id, True)
        await refused(bearer(accounts, mine))


@pytest.mark.gen_test
async def test_a_bearer_who_is_looked_up_while_all_are_forgotten_is_not_remembered() -> None:
    async with lobby() as place:
        known = place.oidc.bearer
        mine = id_token(place, groups=[], affiliation=[])
        looking = asyncio.create_task(known.caller_of(mine))
        await asyncio.sleep(0)  # it has begun
        known.forget()
        caller = await looking
        assert caller is not None
        await place.store.set_person_disabled(caller.person_id, True)
        assert await known.caller_of(mine) is None


@pytest.mark.gen_test
async def test_a_pass_that_is_looked_up_while_all_are_forgotten_is_not_remembered(tmp_path: Path) -> None:
    async with store_for(f"sqlite:///{tmp_path}/db") as store:
        slow = Waiting(store)
        factory: Any = AccountsFactory(slow, Times())
        accounts, issuer = factory(), await a_person(store, "Ada")
        office = GuestPassCommands(
            store, Changes(store, lambda: factory.times.wall, lambda: "aud"), Passes(PEPPER), accounts._wall
        )
        what, text = await office.issue_for(THE_OPERATOR, "operator", issuer, WantedPass(3600, 1))
        looking = asyncio.create_task(bearer(accounts, text))
        await slow.asked.wait()
        accounts.forget()
        slow.may.set()
        assert (await looking).token_id == f"pass:{what.id}"
        await store.set_person_disabled(issuer.id, True)
        await refused(bearer(accounts, text))


@pytest.mark.gen_test
async def test_passes_that_are_asked_for_at_once_promise_no_more_than_one_after_the_other(tmp_path: Path) -> None:
    async with store_for(f"sqlite:///{tmp_path}/db") as store:
        factory = AccountsFactory(store, Times())
        office = GuestPassCommands(store, factory.changes(), Passes(PEPPER), lambda: factory.times.wall)
        issuer = await a_person(store, "Ada", groups=("lab",))
        await factory.changes().create_group("operator", Group(name="lab", guests=True))
        asked = [office.issue(THE_OPERATOR, issuer, WantedPass(3600, PROMISED, "lab")) for _ in range(8)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert sum(not isinstance(answer, Exception) for answer in answers) == 1


@pytest.mark.gen_test
async def test_of_groups_that_are_joined_at_once_none_is_lost(tmp_path: Path) -> None:
    async with store_for(f"sqlite:///{tmp_path}/db") as store:
        changes, person = AccountsFactory(store, Times()).changes(), await a_person(store, "Ada")
        names = [f"course {number}" for number in range(8)]
        for name in names:
            await changes.create_group("operator", Group(name=name))
        await asyncio.gather(*(changes.put_in_group("operator", person.id, name) for name in names))
        found = await store.person(person.id)
        assert found is not None
        assert sorted(found.groups) == names


# Who guesses at the administrator's key where nobody needs one to ask


@pytest.mark.gen_test
async def test_without_a_gatekeeper_a_wrong_key_on_an_administrator_s_door_counts_as_a_failure(tmp_path: Path) -> None:
    async with store_for(f"sqlite:///{tmp_path}/db") as store:
        accounts = Accounts(store, "none", "", PEPPER, clock=lambda: 0.0, admin_key=ADMIN_KEY)
        for _ in range(30):
            caller = await bearer(accounts, "a guess")
            assert isinstance(accounts.denial(caller, "Bearer a guess", None, HOME), InvalidKey)
        assert isinstance(accounts.denial(caller, "Bearer a guess", None, HOME), RateLimited)
        assert isinstance(accounts.denial(caller, None, "a guess", HOME), RateLimited)
        assert isinstance(accounts.denial(caller, None, None, HOME), PermissionDenied), (
            "who says nothing guesses nothing"
        )
        sessions = Sessions(store, PEPPER, lambda: 0, 12)
        with pytest.raises(RateLimited):
            await login_with_token(accounts, store, sessions, "a guess", HOME)
        assert await bearer(accounts, ADMIN_KEY) == OPERATOR


@pytest.mark.gen_test
async def test_whom_a_token_makes_no_administrator_is_denied_and_not_counted(tmp_path: Path) -> None:
    async with store_for(f"sqlite:///{tmp_path}/db") as store:
        accounts = AccountsFactory(store, Times())()
        _, secret = await ada(accounts, terms=ANY)
        caller = await bearer(accounts, secret)
        for _ in range(40):
            assert isinstance(accounts.denial(caller, f"Bearer {secret}", None, HOME), PermissionDenied)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_the_31st_guess_over_the_wire_is_told_to_slow_down() -> None:
    async with (
        FakeUpstream() as fake,
        gateway(fake, gatekeeper="none", admin_key=Secret(ADMIN_KEY)) as it,
        aiohttp.ClientSession() as session,
    ):
        url, statuses = f"{it.url}/create_api_key/eve", []
        for _ in range(31):
            async with session.get(url, headers=basic("a guess")) as answer:
                statuses.append(answer.status)
        assert statuses == [401] * 30 + [429]
        async with session.get(url, headers=basic(ADMIN_KEY)) as answer:
            assert answer.status == 200
