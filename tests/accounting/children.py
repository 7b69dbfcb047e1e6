"""`python -m server` as a process of its own, which can be killed."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


@dataclass
class Child:
    """A gateway that is ready, and its address."""

    process: asyncio.subprocess.Process
    url: str

    async def kill(self) -> None:
        """As a power cut would, to this process."""
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def child(settings: Mapping[str, str], log: Path) -> AsyncIterator[Child]:
    """A gateway with these settings, until the block ends."""
    environment = {"PORT": "0", "ACCESS_LOG": "off", "PATH": os.environ["PATH"], **settings}
    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "server", cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE, stderr=file
        )
    try:
        yield Child(process, await _address(process))
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(30):
        while line := await process.stdout.readline():
            if found := re.search(rb"is ready: (http://[^/]+)/", line):
                return found[1].decode()
    raise AssertionError("the gateway ended before it was ready")
