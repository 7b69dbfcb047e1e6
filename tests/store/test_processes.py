"""The embedded store among several processes, and after the sudden death of one."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def settler(path: Path, *ids: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.store.settler", f"sqlite:///{path}", *ids]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_of_two_processes_that_settle_the_same_requests_each_is_written_once(tmp_path: Path) -> None:
    ids = [f"r{number}" for number in range(300)]
    path = tmp_path / "fairgate.db"
    with settler(path, *ids) as one, settler(path, *reversed(ids)) as other:
        written = one.communicate()[0].split() + other.communicate()[0].split()
    assert (one.returncode, other.returncode) == (0, 0)
    assert sorted(written) == sorted(ids)


@pytest.mark.slow
def test_of_a_thousand_that_two_processes_reserve_ten_are_admitted(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.store.reserver", f"sqlite:///{tmp_path}/fairgate.db"]
    processes = [
        subprocess.Popen([*command, prefix, "500", "10"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for prefix in "ab"
    ]
    admitted = [int(process.communicate()[0]) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sum(admitted) == 10


@pytest.mark.slow
def test_a_killed_process_loses_no_acknowledged_settlement(tmp_path: Path) -> None:
    path = tmp_path / "fairgate.db"
    acknowledged: list[str] = []
    for _ in range(3):
        with settler(path) as process:
            assert process.stdout is not None
            acknowledged += [process.stdout.readline().strip() for _ in range(300)]
            process.kill()
            # The last line may have been cut short by the kill.
            acknowledged += [line.strip() for line in process.stdout if line.endswith("\n")]
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        written = {request_id for (request_id,) in db.execute("SELECT request_id FROM usage")}
    assert len(acknowledged) >= 900
    assert written.issuperset(acknowledged)
