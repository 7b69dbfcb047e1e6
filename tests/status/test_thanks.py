"""Who shares a key is thanked: as the operator names them, and people only by the nickname that they chose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from server.config.specs import UpstreamSpec
from server.status.thanks import Thanks
from server.store import store_for
from server.store.base import Person
from tests.web.samples import busy_status
from web.custom import custom_html
from web.render import status_html
from web.view_public import CustomView


def owned(name: str, owner: str | None) -> UpstreamSpec:
    return UpstreamSpec(name=name, dialects=("openai",), base_url="https://x.example/v1", keys=(), owner=owner)


@pytest.mark.gen_test
async def test_owners_are_named_once_and_people_by_their_nickname_or_not_at_all(tmp_path: Path) -> None:
    async with store_for(f"sqlite:///{tmp_path / 'test.db'}", "pymongo") as store:
        for name, nickname in (("ada", "night owl"), ("bob", None)):
            await store.create_person(Person(f"usr_{name}", name, False, 0, nickname=nickname))
        owners = ["Physics <b>", "ada", "usr_ada", "bob", None, "Physics <b>"]
        specs = [owned(f"u{number}", owner) for number, owner in enumerate(owners)]
        assert await Thanks(store, specs, lambda: 0.0).owners() == ("Physics <b>", "night owl")
        assert await Thanks(store, [], lambda: 0.0).owners() == ()


def test_the_page_and_a_tag_say_it_escaped() -> None:
    view = replace(busy_status(), thanks=("Physics <b>", "Ada"))
    assert "<bdi>Physics &lt;b&gt;</bdi> · <bdi>Ada</bdi>" in status_html(view).decode()
    assert custom_html("{thanks}", CustomView(view)) == b"Physics &lt;b&gt;, Ada"
