"""The unit is right as far as systemd itself can tell, and as patient as the gateway."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from server.bootstrap.serve import LAST_WORDS_SECONDS
from server.config.settings import Settings, load
from tests.shipping.place import ROOT

UNIT = ROOT / "deploy" / "fairgate.service"
EXPOSED = 2.0  # of 10, in systemd's own reckoning
PR_SET_MDWE, NO_WRITABLE_CODE = 65, 1
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None and "CI" not in os.environ, reason="systemd is not installed"
)


def service() -> dict[str, str]:
    parser = ConfigParser(strict=False, delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # the names have capitals
    parser.read_string(UNIT.read_text())
    return dict(parser["Service"])


def analyze(folder: Path, *verb: str) -> subprocess.CompletedProcess[str]:
    """Ask systemd about the unit, with a command and a folder that are on this machine."""
    unit = folder / UNIT.name
    text = UNIT.read_text().replace("/opt/fairgate/venv/bin/python", sys.executable)
    unit.write_text(text.replace("WorkingDirectory=/etc/fairgate", f"WorkingDirectory={folder}"))
    return subprocess.run(["systemd-analyze", *verb, str(unit)], capture_output=True, text=True, check=False)


@needs_systemd
def test_systemd_finds_nothing_wrong_with_it(tmp_path: Path) -> None:
    found = analyze(tmp_path, "verify", "--man=no")
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


@needs_systemd
def test_systemd_thinks_it_well_shut_in(tmp_path: Path) -> None:
    found = analyze(tmp_path, "security", "--offline=yes", f"--threshold={round(EXPOSED * 10)}", "--no-pager")
    assert found.returncode == 0, found.stdout
    level = re.search(r"exposure level for fairgate.service: ([0-9.]+)", found.stdout)
    assert level, found.stdout
    assert float(level[1]) <= EXPOSED


def test_it_waits_for_the_drain_before_it_kills() -> None:
    assert int(service()["TimeoutStopSec"]) > Settings().drain_seconds + LAST_WORDS_SECONDS
    assert (service()["KillSignal"], service()["KillMode"]) == ("SIGTERM", "mixed")


def test_all_that_it_writes_lies_in_its_state_directory() -> None:
    settings = load(environ={}, dotenv=ROOT / "deploy" / "fairgate.env")
    state = Path("/var/lib") / service()["StateDirectory"]
    assert Path(settings.store_url.removeprefix("sqlite:///")).parent == state
    assert settings.journal_folder.parent == state


def test_the_example_of_its_settings_is_right_and_stays_behind_a_proxy() -> None:
    settings = load(environ={}, dotenv=ROOT / "deploy" / "fairgate.env")
    assert (settings.host, settings.trusted_proxy_hops, settings.demo) == ("127.0.0.1", 1, "off")


@pytest.mark.slow
def test_nothing_that_it_imports_needs_memory_that_is_written_and_run() -> None:
    """`MemoryDenyWriteExecute`, as the kernel itself has it since Linux 6.3; an older one does not know the word."""
    program = (
        f"import ctypes; ctypes.CDLL(None).prctl({PR_SET_MDWE}, {NO_WRITABLE_CODE}, 0, 0, 0);"
        "import server.bootstrap.serve, server.cli.main, server.store.mongo.store, uvloop, re2, tiktoken, jwt;"
        "from cryptography.hazmat.primitives.asymmetric import rsa; rsa.generate_private_key(65537, 2048)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
