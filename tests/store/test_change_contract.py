"""A change and its entry in the audit log are one step, on every store: also where the log fails, or the change does.

The embedded store is made to fail by triggers of the database itself, the one in MongoDB verb by verb.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from server.config.specs import UpstreamSpec
from server.policy.notifications import Channel, Delivery, EventKind, begun
from server.store import acts
from server.store.acts import Act, Outdated
from server.store.base import DONE, FAILED, PENDING, AddedKey, Audit, KeyTaken, NameTaken, Record, Store, StoreError
from server.store.mongo.store import MongoStore
from server.store.sqlite.changes import _WRITES
from tests.store.conftest import Fresh, sqlite
from tests.store.mongo_kinds import forget, mongo_url
from tests.store.samples import ADA, BOB, token

ENTRY = Audit("a1", 1_000, "usr_boss", "some.change", "it", None, {"x": 1})
LIMIT = Record("limit", "l1", {"amount": 5})
KEY = AddedKey(
    id="f1",
    spec=UpstreamSpec(name="u", dialects=("openai",), base_url="https://u", keys=()),
    hint="…1",
    encrypted=b"e",
    added_at=1,
)
LAPTOP = token("laptop")
MESSAGE = Delivery("msg_1", EventKind.BUDGET, 1, Channel.MAIL, "usr_ada", {}, 1, None)
MADE: dict[str, tuple[Act, ...]] = {
    "a person": (acts.create_person(BOB),),
    "rights": (acts.update_person(ADA.id, {"admin": True}), acts.close_sessions_of(ADA.id)),
    "a token": (acts.add_token(b"new", replace(LAPTOP, id="tok_new")),),
    "a successor": (
        acts.add_token(b"new", replace(LAPTOP, id="tok_new")),
        acts.revoke_token(LAPTOP.id, 5),
    ),
    "a revocation": (acts.revoke_token(LAPTOP.id, 5),),
    "narrower terms": (acts.narrow_token(LAPTOP, replace(LAPTOP, expires_at=9)),),
    "a limit": (acts.swap_record(None, LIMIT),),
    "a pass": (acts.put_record(LIMIT), acts.drop_record("limit", "l0")),
    "a key": (acts.add_key(KEY),),
    "a pause": (acts.set_key_paused("f1", True),),
    "a check": (acts.ask_key_recheck("f1", 5),),
    "a test message": (acts.add_deliveries([replace(MESSAGE, id="msg_2")]),),
    "a message": (acts.swap_delivery(MESSAGE, begun(MESSAGE, 5)),),
}


async def state(store: Store) -> tuple[Any, ...]:
    """All that these changes can change."""
    return (
        await store.people(),
        await store.tokens(),
        await store.token_by_hash(b"new"),
        await store.records("limit"),
        await store.added_keys(),
        await store.key_wishes(),
        await store.deliveries_before(None, None, 9),
    )


async def furnished(store: Store) -> tuple[Any, ...]:
    await store.create_person(ADA)
    await store.add_token(b"digest", LAPTOP)
    await store.add_deliveries([MESSAGE])
    return await state(store)


@pytest.mark.gen_test
@pytest.mark.parametrize("change", MADE.values(), ids=MADE)
async def test_a_change_is_made_and_noted(fresh: Fresh, change: tuple[Act, ...]) -> None:
    async with fresh() as store:
        before = await furnished(store)
        await store.change(ENTRY, change)
        assert await store.audits(None, 10) == [ENTRY]
        assert (await store.audit(ENTRY.id), await store.audit("a9")) == (ENTRY, None)
        assert await state(store) != before


REFUSED: dict[str, tuple[type[Exception], Act]] = {
    "a name that is taken": (NameTaken, acts.create_person(replace(ADA, id="usr_2"))),
    "a person who is not there": (Outdated, acts.update_person("usr_9", {"admin": True})),
    "a name of another person": (NameTaken, acts.update_person(BOB.id, {"name": ADA.name})),
    "a token that is not there": (Outdated, acts.revoke_token("tok_9", 5)),
    "terms that another one has changed": (Outdated, acts.narrow_token(replace(LAPTOP, expires_at=7), LAPTOP)),
    "a record that is there already": (Outdated, acts.swap_record(None, LIMIT)),
    "a record that is another one now": (Outdated, acts.swap_record(replace(LIMIT, body={"amount": 4}), LIMIT)),
    "a removal of what is another one now": (Outdated, acts.swap_record(replace(LIMIT, body={"amount": 4}), None)),
    "a key that is there already": (KeyTaken, acts.add_key(KEY)),
    "a key that is not there": (Outdated, acts.remove_key("f9")),
    "a message that another one has taken": (Outdated, acts.swap_delivery(begun(MESSAGE, 5), begun(MESSAGE, 6))),
}


@pytest.mark.gen_test
@pytest.mark.parametrize(("error", "act"), REFUSED.values(), ids=REFUSED)
async def test_what_is_refused_is_neither_made_nor_noted(fresh: Fresh, error: type[Exception], act: Act) -> None:
    async with fresh() as store:
        await furnished(store)
        await store.create_person(BOB)
        await store.put_record(LIMIT)
        await store.add_key(KEY)
        before = await state(store)
        with pytest.raises(error):
            await store.change(ENTRY, (act, acts.put_record(replace(LIMIT, id="l2"))))
        assert await store.audits(None, 10) == []
        assert await state(store) == before


@pytest.mark.gen_test
async def test_a_record_is_swapped_for_what_was_read_and_can_be_removed(fresh: Fresh) -> None:
    async with fresh() as store:
        assert await store.swap_record(None, LIMIT)
        raised = replace(LIMIT, body={"amount": 6, "of": [1.5, None]})
        assert await store.swap_record(LIMIT, raised)
        assert not await store.swap_record(LIMIT, raised)
        version = await store.book_version()
        assert await store.swap_record((await store.records("limit"))[0], None)
        assert await store.records("limit") == []
        assert await store.book_version() > version


TABLES = {
    "a person": "person",
    "rights": "person",
    "a token": "token",
    "a successor": "token",
    "a revocation": "token",
    "narrower terms": "token",
    "a limit": "record",
    "a pass": "record",
    "a key": "added_key",
    "a pause": "key_wish",
    "a check": "key_wish",
    "a test message": "delivery",
    "a message": "delivery",
}


@pytest.mark.gen_test
@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("fails", ["the log", "the change"])
async def test_the_embedded_store_makes_and_notes_or_does_neither(tmp_path: Path, name: str, fails: str) -> None:
    async with sqlite(tmp_path) as store:
        before = await furnished(store)
        _let_writes_fail(tmp_path / "fairgate.db", "audit" if fails == "the log" else TABLES[name])
        with pytest.raises(StoreError):
            await store.change(ENTRY, MADE[name])
        assert await store.audits(None, 10) == []
        assert await state(store) == before


def _let_writes_fail(path: Path, *tables: str) -> None:
    """Those of these tables, and of no others."""
    connection = sqlite3.connect(path)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    for table in tables:
        for verb in ("INSERT", "UPDATE", "DELETE"):
            refusal = "BEGIN SELECT RAISE(ABORT, 'disk'); END"
            connection.execute(f"CREATE TRIGGER fail_{table}_{verb} BEFORE {verb} ON {table} {refusal}")
    connection.commit()
    connection.close()


class Failing(MongoStore):
    """Fails at these verbs; with `after` the verb's work is done and the answer is lost."""

    verbs: frozenset[str] = frozenset()
    after = False

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        return _failing(found, self.after) if name in type(self).verbs else found


def _failing(verb: Callable[..., Any], after: bool) -> Callable[..., Any]:
    async def fail(*arguments: Any) -> None:
        if after:
            await verb(*arguments)
        raise StoreError("away")

    return fail


def failing(url: str, *names: str, lost: bool = False) -> Failing:
    kind = type("Failing", (Failing,), {"verbs": frozenset(names), "after": lost})
    return kind(url, "motor")  # type: ignore[no-any-return]  # a class that is made here


@pytest.fixture
def url(secantus_server: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    address = mongo_url(secantus_server, tmp_path)
    request.addfinalizer(lambda: forget(address))
    return address


@pytest.mark.gen_test
@pytest.mark.parametrize("name", MADE)
async def test_mongodb_changes_nothing_that_it_could_not_note(url: str, name: str) -> None:
    async with failing(url, "append_audit") as store:
        before = await furnished(store)
        with pytest.raises(StoreError):
            await store.change(ENTRY, MADE[name])
        assert await store.audits(None, 10) == []
        assert await state(store) == before


@pytest.mark.gen_test
@pytest.mark.parametrize("name", MADE)
async def test_mongodb_does_not_claim_a_change_that_failed(url: str, name: str) -> None:
    async with MongoStore(url) as whole:
        before = await furnished(whole)
        async with failing(url, MADE[name][0].verb) as store:
            with pytest.raises(StoreError):
                await store.change(ENTRY, MADE[name])
        assert await whole.audits(None, 10) == [replace(ENTRY, outcome=PENDING)]
        assert await state(whole) == before


@pytest.mark.gen_test
async def test_mongodb_says_that_a_change_was_made_in_part_or_that_its_end_is_unknown(url: str) -> None:
    async with MongoStore(url) as whole:
        await furnished(whole)
        with pytest.raises(Outdated):
            await whole.change(ENTRY, (acts.put_record(LIMIT), acts.revoke_token("tok_9", 5)))
        async with failing(url, "revoke_token", lost=True) as store:
            with pytest.raises(StoreError):
                await store.change(replace(ENTRY, id="a2"), MADE["a revocation"])
        assert {each.id: each.outcome for each in await whole.audits(None, 10)} == {"a1": FAILED, "a2": PENDING}
        assert [each.revoked_at for each in await whole.tokens()] == [5]
        await whole.change(replace(ENTRY, id="a3"), MADE["a revocation"])
        assert (await whole.audits(None, 1))[0].outcome == DONE


def test_every_verb_of_a_change_is_one_of_both_stores() -> None:
    assert set(_WRITES) == acts.VERBS
    assert all(callable(getattr(MongoStore, name)) for name in acts.VERBS)
    assert {act.verb for change in MADE.values() for act in change} <= acts.VERBS


def test_an_act_shows_nothing_of_what_it_writes() -> None:
    assert repr(acts.add_token(b"digest", LAPTOP)) == "Act(add_token)"
