"""Programs that some tests need and that are no Python packages."""

from __future__ import annotations

import os
import shutil

import pytest


def program(*names: str) -> str:
    """Where the first of these is that is there.

    Without any the test is skipped. Where `CI` is set it fails: `.ci/run` installs them all, and a skipped proof proves
    nothing.
    """
    for name in names:
        if (path := shutil.which(name)) is not None:
            return path
    assert "CI" not in os.environ, f"CI has no {names[0]}"
    pytest.skip(f"{names[0]} is not installed here, so this was not tried")
