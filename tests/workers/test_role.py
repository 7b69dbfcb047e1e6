"""What a child is started with."""

from __future__ import annotations

import json

import pytest

from server.config.settings import Settings
from server.workers.role import Role, workers_of

ROLE = Role(kind="worker", number=1, life=7, folder="/tmp/x", listening=((3, 4), (5,)), control=9, workers=2)


def test_a_role_is_read_as_it_was_written() -> None:
    assert Role.read(ROLE.text()) == ROLE
    assert (ROLE.name, ROLE.pool_path.name) == ("worker 1", "pool.sock")


def test_a_child_of_a_newer_version_ignores_what_it_does_not_know_and_an_older_supervisor_may_leave_out() -> None:
    said = {**json.loads(ROLE.text()), "more": True}
    del said["first"]
    assert Role.read(json.dumps(said)) == ROLE


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": "worker"}'])
def test_anything_else_is_no_role(text: str) -> None:
    with pytest.raises(ValueError):
        Role.read(text)


def test_the_demo_and_few_workers_are_one_process() -> None:
    named = {"demo": "off"}
    assert [workers_of(Settings(workers=count, **named)) for count in (0, 1, 4)] == [1, 1, 4]  # type: ignore[arg-type]
    assert workers_of(Settings(workers=4, demo="on")) == 1
