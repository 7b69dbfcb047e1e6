"""The processes that share the tests run each file of them, and `make test` starts them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.beside import LEFT, NUMBER, OPTIONS, ROOT, SAYS, files


def test_every_file_of_tests_is_among_them_once_and_the_slow_ones_come_first() -> None:
    found = files()
    assert sorted(found) == sorted(str(file.relative_to(ROOT)) for file in (ROOT / "tests").glob("*/**/test_*.py"))
    slow = ["mark.slow" in (ROOT / file).read_text() for file in found]
    assert slow == sorted(slow, reverse=True)


@pytest.mark.slow
def test_a_process_runs_file_after_file_and_the_fixtures_of_a_folder_stay() -> None:
    wanted = [
        "tests/store/test_issued_contract.py",
        "tests/policy/test_groups.py",
        "tests/store/test_invitation_contract.py",
    ]
    left, fill = os.pipe()
    os.write(fill, b"".join(files().index(name).to_bytes(NUMBER, "big") for name in wanted))
    os.close(fill)
    command = (sys.executable, "-m", "pytest", *OPTIONS, "-vv", "-k", "not mongodb and not motor and not pymongo")
    environ = {**os.environ, LEFT: str(left), SAYS: "1"}
    done = subprocess.run(command, cwd=ROOT, env=environ, pass_fds=(left,), capture_output=True, text=True, timeout=60)
    os.close(left)
    assert done.returncode == 0, done.stdout
    ran = [line for line in done.stdout.splitlines() if line.endswith("PASSED")]
    assert len(ran) == len(set(ran))
    assert {line.partition("::")[0] for line in ran} == set(wanted), done.stdout
