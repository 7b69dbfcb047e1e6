"""Limits, prices and notices: what exists can be refused, and nobody writes over it unaware."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from server.admin.changes import NEW
from server.ledger.limits import Limit, LimitWindow, Scope, Unit
from server.policy.commands import AlreadyThere, NotThere
from tests.admin.estate import Estate
from tests.admin.test_changes import BOSS, NOTICE, PRICE, opened
from tests.store.samples import ADA

DAILY = Limit(NEW, Scope.PERSON, ADA.id, Unit.USD, LimitWindow.DAY, 5_000_000)


@pytest.mark.gen_test
async def test_a_limit_of_the_same_purpose_takes_the_place_and_keeps_id_and_increase(tmp_path: Path) -> None:
    async with opened(tmp_path) as (changes, _):
        first = await changes.set_limit(BOSS, DAILY)
        assert first.id.startswith("lim_")
        await changes.raise_limit(BOSS, first.id, 1_000, 9_000)
        again = await changes.set_limit(BOSS, replace(DAILY, id="other", amount=7))
        assert (again.id, again.amount, again.extra) == (first.id, 7, 1_000)
        assert await changes.limits() == [again]
        with pytest.raises(AlreadyThere):
            await changes.set_limit(BOSS, DAILY, new=True)
        weekly = await changes.set_limit(BOSS, replace(DAILY, window=LimitWindow.WEEK), new=True)
        with pytest.raises(AlreadyThere):
            await changes.set_limit(BOSS, replace(DAILY, id=weekly.id))


@pytest.mark.gen_test
async def test_a_price_and_a_notice_that_exist_can_be_refused(tmp_path: Path) -> None:
    async with opened(tmp_path) as (changes, _):
        await changes.set_price(BOSS, PRICE, new=True)
        await changes.set_notice(BOSS, NOTICE, new=True)
        with pytest.raises(AlreadyThere):
            await changes.set_price(BOSS, PRICE, new=True)
        with pytest.raises(AlreadyThere):
            await changes.set_notice(BOSS, NOTICE, new=True)
        await changes.set_price(BOSS, PRICE)


@pytest.mark.gen_test
async def test_a_limit_for_an_unknown_upstream_is_refused_by_the_command_itself(tmp_path: Path) -> None:
    async with opened(tmp_path) as (changes, _):
        with pytest.raises(NotThere, match="no such upstream"):
            await changes.set_limit(BOSS, Limit(NEW, Scope.UPSTREAM, "nowhere", Unit.USD, LimitWindow.DAY, 1))


@pytest.mark.gen_test
async def test_a_program_may_ask_for_a_new_one_only(place: Estate) -> None:
    wanted = {"scope": "everyone", "unit": "tokens", "window": "week", "amount": 9}
    assert (await place.ask("PUT", "/api/admin/limits/first?new=yes", body=wanted)).status == 200
    assert (await place.ask("PUT", "/api/admin/limits/second?new=yes", body=wanted)).refusal[:2] == (
        409,
        "already_exists",
    )
    again = await place.ask("PUT", "/api/admin/limits/second", body={**wanted, "amount": 8})
    assert (again.json["id"], again.json["amount"]) == ("first", 8)
    unknown = {**wanted, "scope": "upstream", "subject": "nowhere"}
    assert (await place.ask("PUT", "/api/admin/limits/third", body=unknown)).refusal == (404, "unknown_id", None)
