"""An operator who follows the guide for a server line by line gets a gateway: the guide's own lines are run.

A block of a guide that stands under `<!-- tested -->` is run as it is, one under `<!-- tested: while it runs -->` while
the gateway runs as its unit says. What the others need is not here: the machine's package manager, users, systemd.
"""

from __future__ import annotations

import json
import re
import shlex
import sqlite3
import stat
from configparser import ConfigParser
from contextlib import closing
from pathlib import Path

import pytest

from tests.fakes.upstream import FakeUpstream
from tests.shipping.at_hand import PACKAGES, python
from tests.shipping.place import ROOT, Place, asked, inherited, serving, unused_port

GUIDE = ROOT / "docs" / "systemd.md"
BLOCKS = re.compile(r"<!-- tested(: while it runs)? -->\n```sh\n(.*?)```", re.DOTALL)
DOCS = sorted((ROOT / "docs").glob("*.md"))
NAMED = re.compile(r"(?:\]\((?!https?:)|`(?=deploy/))([\w./-]+)(?:#[\w-]+)?[)`]")


def prepared(text: str) -> tuple[list[str], list[str]]:
    """The blocks that are run before the gateway is started, and those while it runs."""
    found = BLOCKS.findall(text)
    return [block for later, block in found if not later], [block for later, block in found if later]


def unit(place: Place) -> dict[str, str]:
    parser = ConfigParser(strict=False, delimiters=("=",), interpolation=None)
    parser.read(place.path("/etc/systemd/system/fairgate.service"))
    return dict(parser["Service"])


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.gen_test(timeout=150)
@pytest.mark.parametrize("packages", PACKAGES)
async def test_the_guide_for_a_server_leads_to_a_gateway_that_answers_and_is_backed_up(
    tmp_path: Path, packages: str
) -> None:
    commands = tmp_path / "commands"
    commands.mkdir()
    place, port = Place(tmp_path / "root", inherited(commands, tmp_path / "root/usr/local/bin")), unused_port()
    place.environ |= python(commands / "python3", packages)
    for folder in ("/etc/systemd/system", "/usr/local/bin", "/var/lib/fairgate"):
        place.path(folder).mkdir(parents=True)
    place.check_out("/opt/fairgate/src")
    install, configure = prepared(GUIDE.read_text())[0]
    ready, people, backup = prepared(GUIDE.read_text())[1]

    async with FakeUpstream() as fake:
        await place.run(install)
        edit(place.path("/etc/fairgate/.env"), PORT=str(port), OPENAI_KEY=f"sk-upstream-one@{fake.url}/v1")
        output = await place.run(configure)
        assert re.search(r" ready +\d+ models", output), output
        assert stat.S_IMODE(place.path("/etc/fairgate/.env").stat().st_mode) == 0o640

        service = unit(place)
        command, folder = shlex.split(service["execstart"]), Path(service["workingdirectory"])
        async with serving(command, folder, place.environ):
            answer = await place.run(ready.replace(":8080", f":{port}"))
            assert json.loads(answer)["status"] == "ready"
            *_, token = (await place.run(people)).split()
            assert await asked(f"http://127.0.0.1:{port}", token) == "You said: Hello"
            await place.run(backup)

    (copy,) = place.path("/var/backups/fairgate").glob("*.db")
    with closing(sqlite3.connect(copy)) as connection:
        assert ("ada",) in connection.execute("SELECT name FROM person").fetchall()


@pytest.mark.gen_test
async def test_the_nightly_backup_keeps_so_many_and_removes_the_oldest(tmp_path: Path) -> None:
    commands, folder = tmp_path / "commands", tmp_path / "kept"
    commands.mkdir()
    (commands / "fairgate").write_text('#!/bin/sh\ntouch "$2" "$2.pepper"\n')
    (commands / "fairgate").chmod(0o755)
    folder.mkdir()
    for day in range(1, 6):
        (folder / f"2026-01-0{day}T000000Z.db").touch()
        (folder / f"2026-01-0{day}T000000Z.db.pepper").touch()
    place = Place(tmp_path, inherited(commands))
    await place.run(f"set -- {folder} 3\n{(ROOT / 'deploy' / 'backup').read_text()}")
    left = sorted(path.name for path in folder.iterdir())
    assert left[:4] == [f"2026-01-0{day}T000000Z.db{end}" for day in (4, 5) for end in ("", ".pepper")]
    assert len(left) == 6


def edit(file: Path, **values: str) -> None:
    """What a person does with an editor: put values behind names that stand there already."""
    text = file.read_text()
    for name, value in values.items():
        text, count = re.subn(rf"(?m)^{name}=.*$", f"{name}={value}", text)
        assert count == 1, name
    file.write_text(text)


@pytest.mark.parametrize("page", [ROOT / "README.md", *DOCS], ids=lambda page: page.name)
def test_what_a_page_points_at_is_there(page: Path) -> None:
    for name in NAMED.findall(page.read_text()):
        assert (page.parent / name).exists() or (ROOT / name).exists(), name


def test_the_guide_is_tested_where_it_says_so() -> None:
    before, while_it_runs = prepared(GUIDE.read_text())
    assert (len(before), len(while_it_runs)) == (2, 3)
