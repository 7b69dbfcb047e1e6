"""A faster service costs more than the price lists say: it is refused unless the operator allows it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.asks import Ask, chat, error_in, messages
from tests.faults.conftest import Opener, io_loop, open_stage
from tests.faults.stage import Stage
from tests.waiting.services import ask

__all__ = ["io_loop", "open_stage"]

ASKS = [chat("q", stream=False), messages("q", stream=True)]
asks = pytest.mark.parametrize("what", ASKS, ids=["chat", "messages stream"])


@pytest.fixture(scope="module")
def stage(open_stage: Opener) -> Stage:
    return open_stage()


@pytest.fixture(scope="module")
def generous(open_stage: Opener) -> Stage:
    return open_stage(allow_service_tier=True)


def with_field(what: Ask, name: str, value: Any) -> Ask:
    return Ask(what.dialect, what.path, {**what.document, name: value})


@asks
@pytest.mark.gen_test
@pytest.mark.parametrize(("name", "value"), [("service_tier", "priority"), ("service_tier", "fast"), ("speed", "fast")])
async def test_it_is_refused_by_the_name_of_its_field(stage: Stage, what: Ask, name: str, value: str) -> None:
    await stage.set()
    heard = await ask(stage, with_field(what, name, value))
    assert heard.status == 400
    assert error_in(heard.body)["message"] == f"Invalid value for '{name}'."
    assert stage.records == []
    assert await stage.rows() == []


@asks
@pytest.mark.gen_test
@pytest.mark.parametrize("tier", ["auto", "default", "flex", "standard_only", None])
async def test_a_service_at_the_list_price_is_passed_on_as_it_is(stage: Stage, what: Ask, tier: str | None) -> None:
    await stage.set()
    asked = with_field(what, "service_tier", tier)
    assert (await ask(stage, asked)).status == 200
    assert b'"service_tier"' in stage.records[-1].body


@asks
@pytest.mark.gen_test
async def test_an_operator_may_allow_it(generous: Stage, what: Ask) -> None:
    await generous.set()
    assert (await ask(generous, with_field(what, "service_tier", "priority"))).status == 200
    assert b'"priority"' in generous.records[-1].body
