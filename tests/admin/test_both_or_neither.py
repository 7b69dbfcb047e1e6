"""No command leaves a change that is not in the log, or an entry for what did not happen: on both stores.

Once the audit log cannot be written, and once nothing but the log can. Each command is asked by its own function, as
the pages, the API, the command line, a login and a trusted header ask it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from server.admin.changes import NEW, Changes
from server.admin.commands import closing
from server.admin.commands.courses import THE_OPERATOR as OPERATOR_PERSON
from server.admin.commands.courses import CourseCommands, Plan
from server.admin.commands.guest_passes import GuestPassCommands, WantedPass
from server.admin.commands.keys import KeyCommands
from server.admin.commands.people import PeopleCommands
from server.admin.commands.tokens import TokenCommands, WantedToken
from server.admin.makers import THE_OPERATOR
from server.auth.accounts import Accounts
from server.auth.guest_passes import Passes
from server.auth.oidc.provisioning import Profile, Provisioning
from server.config.specs import Secret, UpstreamSpec
from server.keys.encryption import KeyEncryption
from server.keys.prober import Check
from server.keys.registry import UpstreamRegistry
from server.keys.wishes import KeyWishes
from server.ledger.limits import Limit, LimitWindow, Scope, Unit
from server.ledger.prices import Price, Rates
from server.policy.groups import Group
from server.policy.notices import Notice, NoticeKind
from server.store import acts
from server.store.base import PENDING, Store
from server.store.mongo.store import MongoStore
from tests.store.conftest import secantus_server, sqlite
from tests.store.samples import ADA
from tests.store.test_change_contract import _let_writes_fail, failing, url

__all__ = ["secantus_server", "url"]  # fixtures

BOSS, NOW = "usr_boss", 5_000
CONFIGURED = Secret("sk-of-the-configuration")
SPEC = UpstreamSpec(name="fake", dialects=("openai",), base_url="https://u", keys=(CONFIGURED,))
DAILY = Limit(NEW, Scope.PERSON, ADA.id, Unit.USD, LimitWindow.DAY, 5_000_000)


async def let_in(spec: UpstreamSpec, secret: Secret) -> Check:
    """Every key is."""
    return Check("ready", "let in")


@dataclass
class Town:
    """All commands over one store; `token`: the id of one of Ada's."""

    store: Store
    token: str = ""

    def __post_init__(self) -> None:
        store, wall = self.store, lambda: NOW
        numbers = iter(range(10**6))
        self.changes = Changes(store, wall, lambda: f"aud_{id(self)}_{next(numbers)}")
        self.accounts = Accounts(store, "user_token", "", b"pepper", wall=wall)
        self.people = PeopleCommands(store, self.changes, self.accounts)
        self.tokens = TokenCommands(store, self.changes, self.accounts, wall)
        self.passes = GuestPassCommands(store, self.changes, Passes(b"pepper"), wall)
        wishes = KeyWishes(
            store, KeyEncryption([Secret("a master key of 32 letters or more")]), UpstreamRegistry([SPEC]), wall
        )
        self.keys = KeyCommands(wishes, 4, let_in)
        self.courses = CourseCommands(store, self.changes, b"pepper", lambda: 0.0, wall)
        self.logins = Provisioning(store, wall)


ASKED: dict[str, Callable[[Town], Awaitable[object]]] = {
    "a person": lambda town: town.people.create(BOSS, "cleo", "cleo@example.org", note="a queen"),
    "a name by a trusted header": lambda town: town.accounts.person_named("dora"),
    "a login": lambda town: town.logins.welcome(Profile("idp x", "eve", None, ("staff",), True), NOW),
    "another note": lambda town: town.people.change(BOSS, ADA.id, {"note": "x"}),
    "an administrator": lambda town: town.changes.set_admin(BOSS, ADA.id, True),
    "a closed access": lambda town: town.changes.set_disabled(BOSS, ADA.id, True),
    "a nickname": lambda town: town.people.set_nickname(ADA, "countess"),
    "a membership": lambda town: town.changes.put_in_group(BOSS, ADA.id, "lab"),
    "a token with a budget": lambda town: town.tokens.create(
        THE_OPERATOR, BOSS, ADA.id, WantedToken("robot", budget=5_000_000)
    ),
    "a rotation": lambda town: town.tokens.rotate(THE_OPERATOR, BOSS, town.token),
    "a rotation with a grace": lambda town: town.tokens.rotate(THE_OPERATOR, BOSS, town.token, grace_seconds=60),
    "narrower terms": lambda town: town.tokens.narrow(BOSS, town.token, {"models": ("gpt-5",)}),
    "a revocation": lambda town: town.tokens.revoke(BOSS, town.token),
    "a pass": lambda town: town.passes.issue_for(THE_OPERATOR, BOSS, ADA, WantedPass(60, 1_000)),
    "a limit": lambda town: town.changes.set_limit(BOSS, DAILY),
    "a removed limit": lambda town: town.changes.remove_limit(BOSS, "lim_1"),
    "a group": lambda town: town.changes.create_group(BOSS, Group(name="choir")),
    "a changed group": lambda town: town.changes.change_group(BOSS, Group(name="lab", weight=2.0)),
    "a removed group": lambda town: town.changes.remove_group(BOSS, "lab"),
    "a course": lambda town: town.courses.create(
        OPERATOR_PERSON, Plan(name="algebra", teachers=(ADA.id,), since=0, until=9_000, pot=1_000, per_head=10)
    ),
    "a price": lambda town: town.changes.set_price(BOSS, Price("p", "gpt-5", 0, Rates(input=1, output=2))),
    "a notice": lambda town: town.changes.set_notice(BOSS, Notice("n", NoticeKind.INCIDENT, "Slow", 0)),
    "a closed gateway": lambda town: closing.close(town.changes, BOSS, NOW),
    "a key": lambda town: town.keys.add(BOSS, "sk-another-key", {"upstream": "fake"}),
    "a paused key": lambda town: town.keys.pause(BOSS, CONFIGURED.fingerprint),
}
TABLES = ("person", "token", "record", "added_key", "key_wish")
KINDS = ("limit", "group", "price", "notice", "joined", "pass", "retiring", "revoked-pass")


async def founded(store: Store) -> Town:
    await store.create_person(ADA)
    town = Town(store)
    await town.changes.create_group(BOSS, Group(name="lab"))
    await town.changes.set_limit(BOSS, Limit("lim_1", Scope.GROUP, "lab", Unit.USD, LimitWindow.DAY, 5))
    town.token = (await town.accounts.create_token("Ada", "laptop"))[0].id
    return town


async def state(store: Store) -> tuple[Any, ...]:
    """Everything but the log."""
    records = [await store.records(kind) for kind in KINDS]
    return await store.people(), await store.tokens(), records, await store.added_keys(), await store.key_wishes()


@pytest.mark.gen_test
@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
async def test_every_command_is_carried_out_and_noted(tmp_path: Path, ask: Callable[[Town], Awaitable[object]]) -> None:
    async with sqlite(tmp_path) as store:
        town = await founded(store)
        before, known = await state(store), len(await store.audits(None, 99))
        await ask(town)
        assert await state(store) != before
        assert len(await store.audits(None, 99)) > known


@pytest.mark.gen_test
@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
async def test_the_embedded_store_does_both_or_neither(
    tmp_path: Path, ask: Callable[[Town], Awaitable[object]]
) -> None:
    async with sqlite(tmp_path) as store:
        town = await founded(store)
        before, noted = await state(store), await store.audits(None, 99)
        for tables in (("audit",), TABLES):
            _let_writes_fail(tmp_path / "fairgate.db", *tables)
            with pytest.raises(Exception):  # noqa: B017 - an outage, in the words of each
                await ask(town)
            assert (await state(store), await store.audits(None, 99)) == (before, noted)


@pytest.mark.gen_test
@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
async def test_mongodb_changes_nothing_without_its_entry_and_claims_nothing(
    url: str, ask: Callable[[Town], Awaitable[object]]
) -> None:
    async with MongoStore(url) as whole:
        token = (await founded(whole)).token
        before, noted = await state(whole), await whole.audits(None, 99)
        for names in (("append_audit",), tuple(acts.VERBS)):
            async with failing(url, *names) as broken:
                with pytest.raises(Exception):  # noqa: B017 - an outage, in the words of each
                    await ask(Town(broken, token))
            assert await state(whole) == before
            claimed = [each for each in await whole.audits(None, 99) if each not in noted]
            assert {each.outcome for each in claimed} <= {PENDING}
