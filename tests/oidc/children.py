"""Other people's identity providers, each as a child process that is stopped afterwards."""

from __future__ import annotations

import asyncio
import re
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path


@asynccontextmanager
async def child(command: Sequence[str], says: str, folder: Path | None = None) -> AsyncIterator[str]:
    """Run a program; gives the first group of `says` once it has written it."""
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=STDOUT, cwd=folder)
    assert process.stdout is not None
    written = ""
    try:
        while (found := re.search(says, written)) is None:
            line = await process.stdout.readline()
            assert line, f"it ended: {written}"
            written += line.decode()
        yield found[1]
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
