"""Names for models: set and removed by a program, audited, undone, and followed by the running gateway."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.admin.changes import Changes
from server.admin.commands.undo import undo
from server.policy.aliases import Alias
from server.policy.commands import AlreadyThere, NotThere
from tests.admin.test_changes import BOSS, opened

MAIN = Alias("main", "gpt-5")


@pytest.mark.gen_test
async def test_a_name_comes_and_goes_and_a_removal_is_undone(tmp_path: Path) -> None:
    async with opened(tmp_path) as (changes, _):
        await changes.set_alias(BOSS, MAIN, new=True)
        with pytest.raises(AlreadyThere):
            await changes.set_alias(BOSS, MAIN, new=True)
        assert await changes.aliases() == [MAIN]
        await changes.remove_alias(BOSS, "main")
        with pytest.raises(NotThere):
            await changes.remove_alias(BOSS, "main")
        await _undone(changes)


async def _undone(changes: Changes) -> None:
    removal = (await changes.audits(None, 1))[0]
    assert (removal.action, removal.target, removal.before) == (
        "alias.remove",
        "main",
        {"model": "gpt-5", "listed": True},
    )
    await undo(changes, BOSS, removal.id)
    assert await changes.aliases() == [MAIN]
