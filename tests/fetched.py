"""What the tests fetch by npm and pip is kept in the environment that they run in, until `make clean`.

To install the clients of the snippets takes more than all of their programs together.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.needs import program

KEPT = Path(sys.prefix) / "fetched"
NPM = ("npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", ".")
PIP = (sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-compile", "--target", ".")


def by_npm(*packages: str) -> Path:
    """The folder whose `node_modules` has these packages."""
    program("npm")
    return _fetched(*NPM, *packages)


def by_pip(*packages: str) -> Path:
    """A folder for `PYTHONPATH` that has these packages and all that they need."""
    return _fetched(*PIP, *packages)


def _fetched(*command: str) -> Path:
    """The folder in which the command has run, once. Where two processes run it, that of the first one stays."""
    folder = KEPT / sha256("\0".join(command).encode()).hexdigest()[:16]
    if not folder.exists():
        KEPT.mkdir(exist_ok=True)
        with TemporaryDirectory(dir=KEPT, ignore_cleanup_errors=True) as place:
            made = Path(place) / "made"
            made.mkdir()
            subprocess.run(command, cwd=made, check=True, timeout=300, capture_output=True)
            with suppress(OSError):
                made.rename(folder)
    return folder
