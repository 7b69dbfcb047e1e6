"""A removal is undone from the audit log, and refused with a reason where another thing has taken the place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from server.admin.changes import Changes
from server.admin.commands.undo import is_undoable, undo
from server.ledger.limits import Limit, LimitWindow, Scope, Unit
from server.ledger.prices import Price, Rates
from server.policy.commands import AlreadyThere, CommandError, NotThere
from server.policy.groups import Group
from server.store.base import PENDING, Audit
from tests.admin.estate import Estate
from tests.admin.test_changes import BOSS, opened
from tests.store.samples import ADA

LIMIT = Limit("lim_1", Scope.GROUP, "lab", Unit.USD, LimitWindow.DAY, 5_000_000, extra=3, extra_until=9_000)
PRICE = Price("own:gpt-5", "gpt-5", 0, Rates(input=1, output=2))
LAB = Group(name="lab", weight=2.0, models=("gpt-5*",), teachers=(ADA.id,), join="c0ffee", guests=True)


async def removed(changes: Changes, action: str) -> Audit:
    (entry,) = [each for each in await changes.audits(None, 50) if each.action == action][:1]
    return entry


@pytest.mark.gen_test
async def test_a_group_a_limit_and_a_price_are_there_again_as_they_were(tmp_path: Path) -> None:
    async with opened(tmp_path) as (changes, _):
        await changes.create_group(BOSS, LAB)
        await changes.set_limit(BOSS, LIMIT)
        await changes.set_price(BOSS, PRICE)
        await changes.remove_price(BOSS, PRICE.id)
        await changes.remove_limit(BOSS, LIMIT.id)
        await changes.remove_group(BOSS, LAB.name)
        for kind in ("group", "limit", "price"):
            await undo(changes, BOSS, (await removed(changes, f"{kind}.remove")).id)
        assert await changes.groups() == [replace(LAB, join="")], "the log never had the code"
        assert (await changes.limits(), await changes.prices()) == ([LIMIT], [PRICE])
        assert [entry.action for entry in await changes.audits(None, 3)] == ["price.undo", "limit.undo", "group.undo"]


@pytest.mark.gen_test
async def test_what_has_a_successor_is_not_put_over_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as (changes, _):
        await changes.create_group(BOSS, LAB)
        await changes.set_limit(BOSS, LIMIT)
        await changes.remove_limit(BOSS, LIMIT.id)
        entry = await removed(changes, "limit.remove")
        other = await changes.set_limit(BOSS, replace(LIMIT, id="new", amount=7))
        with pytest.raises(AlreadyThere):
            await undo(changes, BOSS, entry.id)
        assert await changes.limits() == [other]
        await changes.remove_limit(BOSS, other.id)
        await changes.remove_group(BOSS, "lab")
        with pytest.raises(NotThere, match="no such group"):
            await undo(changes, BOSS, entry.id)
        gone = await removed(changes, "group.remove")
        await undo(changes, BOSS, gone.id)
        with pytest.raises(AlreadyThere):
            await undo(changes, BOSS, gone.id)
        assert len([each for each in await changes.audits(None, 50) if each.action == "group.undo"]) == 1


@pytest.mark.gen_test
async def test_only_removals_that_were_made_are_undone(tmp_path: Path) -> None:
    async with opened(tmp_path) as (changes, _):
        await changes.create_group(BOSS, LAB)
        with pytest.raises(NotThere):
            await undo(changes, BOSS, "aud_99")
        with pytest.raises(CommandError, match="only removals"):
            await undo(changes, BOSS, (await removed(changes, "group.create")).id)
        done = Audit("a", 1, BOSS, "limit.remove", "l", {}, None)
        assert is_undoable(done)
        assert not is_undoable(replace(done, outcome=PENDING))
        assert not is_undoable(replace(done, before=None))


@pytest.mark.gen_test
async def test_a_program_undoes_a_removal_and_reads_what_a_removal_does(place: Estate) -> None:
    await place.ask("POST", "/api/admin/groups", body={"name": "choir", "weight": 2})
    ada = place.ids["ada"]
    assert (await place.ask("PUT", f"/api/admin/groups/choir/members/{ada}")).status == 204
    gone = await place.ask("DELETE", "/api/admin/groups/choir")
    consequences = gone.json["consequences"]
    assert (gone.status, consequences["people"], consequences["limits"]) == (200, 1, 0)
    (entry, *_) = (await place.ask("GET", "/api/admin/audit")).json["data"]
    assert (entry["action"], entry["outcome"]) == ("group.remove", "done")
    address = f"/api/admin/audit/{entry['id']}/undo"
    assert (await place.ask("POST", address)).status == 204
    (again,) = [each for each in (await place.ask("GET", "/api/admin/groups")).json["data"] if each["name"] == "choir"]
    assert again["weight"] == 2
    assert (await place.ask("POST", address)).refusal == (409, "already_exists", None)
    assert (await place.ask("POST", "/api/admin/audit/nothing/undo")).refusal == (404, "unknown_id", None)
    assert (await place.ask("POST", address, "ada")).status == 403


@pytest.mark.gen_test
async def test_a_program_reads_what_an_act_that_hurts_did(place: Estate) -> None:
    made = (await place.ask("POST", f"/api/admin/people/{place.ids['bob']}/tokens", body={"name": "robot"})).json
    revoked = (await place.ask("DELETE", f"/api/admin/tokens/{made['id']}")).json["consequences"]
    assert revoked["requests"] == 0
    assert revoked["sentences"][0] == "The token opens nothing any more, for good."
    await place.person("dora")
    path = f"/api/admin/people/{place.ids['dora']}"
    closed = (await place.ask("PATCH", path, body={"disabled": True})).json["consequences"]
    assert (closed["tokens"], closed["requests"]) == (1, 0)
    assert "consequences" not in (await place.ask("PATCH", path, body={"disabled": False})).json
    promoted = (await place.ask("PATCH", path, body={"admin": True})).json["consequences"]
    assert promoted["administrators"] == 2
    ended = (await place.ask("DELETE", "/api/admin/queue")).json["consequences"]
    assert (ended["running"], ended["waiting"], ended["people"]) == (0, 0, 0)
    assert ended["sentences"] == ["0 running requests and 0 waiting of 0 people end."]
