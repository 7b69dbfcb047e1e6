"""A backup is whole, though the gateway runs on; and what is restored goes on where it was."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from server.bootstrap.serve import listen, open_services
from server.cli.backup import add_verb, back_up
from server.cli.main import main
from server.config.settings import Settings
from server.config.specs import Secret
from server.store.base import StoreError
from tests.fakes.upstream import FakeUpstream
from tests.gateways import gateway

QUESTION: Any = {"model": "gpt-5", "messages": [{"role": "user", "content": "Hello"}]}


async def ask(url: str, token: str, times: int = 1) -> list[int]:
    """The statuses of so many requests."""
    headers = {"Authorization": f"Bearer {token}"}

    async with aiohttp.ClientSession(headers=headers) as session:

        async def once() -> int:
            async with session.post(f"{url}/v1/chat/completions", json=QUESTION) as answer:
                await answer.read()
                return answer.status

        return await asyncio.gather(*(once() for _ in range(times)))


@pytest.mark.slow
@pytest.mark.gen_test(timeout=30)
async def test_a_backup_of_a_busy_gateway_is_restored_by_copying_it_back(tmp_path: Path) -> None:
    target, home = tmp_path / "copy.db", tmp_path / "elsewhere"
    async with FakeUpstream() as fake:
        async with gateway(fake) as running:
            token = running.token
            assert await ask(running.url, token, 20) == [200] * 20
            await running.services.pipeline.quiet(5.0)
            busy = asyncio.create_task(ask(running.url, token, 40))
            made = await asyncio.to_thread(back_up, running.services.settings, target)
            assert await busy == [200] * 40
        assert made == [target, tmp_path / "copy.db.pepper"]

        home.mkdir()
        for path, name in zip(made, ("fairgate.db", "fairgate.db.pepper"), strict=True):
            shutil.copy(path, home / name)
        again = replace(running.services.settings, store_url=f"sqlite:///{home / 'fairgate.db'}")
        async with open_services(again) as services, listen(services) as url:
            assert len(await services.store.usage_rows(0, 1000)) >= 20
            assert await ask(url, token) == [200]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The settings of a house whose store has a person."""
    url = f"sqlite:///{tmp_path / 'fairgate.db'}"
    assert main(["--store", url, "store", "create"]) == 0
    assert main(["--store", url, "user", "create", "ada"]) == 0
    return Settings(store_url=url)


def test_its_files_are_for_their_owner_only_and_need_nothing_beside_them(settings: Settings, tmp_path: Path) -> None:
    made = back_up(settings, tmp_path / "copy.db")
    assert [stat.S_IMODE(path.stat().st_mode) for path in made] == [0o600, 0o600]
    assert made[1].read_bytes() == (tmp_path / "fairgate.db.pepper").read_bytes()
    assert sorted(path.name for path in tmp_path.glob("copy*")) == ["copy.db", "copy.db.pepper"]
    with closing(sqlite3.connect(made[0])) as copy:
        assert copy.execute("SELECT name FROM person").fetchall() == [("ada",)]


def test_a_pepper_that_is_a_setting_is_not_copied(settings: Settings, tmp_path: Path) -> None:
    peppered = Settings(store_url=settings.store_url, token_pepper=Secret("p" * 32))
    assert back_up(peppered, tmp_path / "copy.db") == [tmp_path / "copy.db"]


@pytest.mark.parametrize("name", ["copy.db", "copy.db.pepper"])
def test_nothing_is_overwritten(settings: Settings, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(StoreError, match="there is a file already"):
        back_up(settings, tmp_path / "copy.db")
    assert [path.read_text() for path in tmp_path.glob("copy*")] == ["mine"]


def test_what_a_killed_backup_left_is_in_nobodys_way(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "copy.db.part").write_text("half")
    assert back_up(settings, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db.part").exists()


def test_a_damaged_database_gives_no_backup(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "fairgate.db").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    with pytest.raises(StoreError, match="the backup failed"):
        back_up(settings, tmp_path / "copy.db")
    assert not list(tmp_path.glob("copy*"))


def test_without_a_database_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store at"):
        back_up(Settings(store_url=f"sqlite:///{tmp_path / 'fairgate.db'}"), tmp_path / "copy.db")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_missing_is_named(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"there is no folder .*/nowhere: make it first"):
        back_up(settings, tmp_path / "nowhere" / "copy.db")


def test_mongodb_has_tools_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="mongodump"):
        back_up(Settings(store_url="mongodb://127.0.0.1/fairgate"), tmp_path / "copy.db")


def test_the_verb_says_what_it_made(settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    parser = argparse.ArgumentParser()
    add_verb(parser)
    options = parser.parse_args([str(tmp_path / "copy.db")])
    assert options.verb(settings, options) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "copy.db"), str(tmp_path / "copy.db.pepper")]
