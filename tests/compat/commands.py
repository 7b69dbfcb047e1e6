"""The commands that the older projects' READMEs tell their users to type, typed here."""

from __future__ import annotations

import asyncio
import json
import shlex
from dataclasses import dataclass
from typing import Any

ADMIN = "an-administrators-key"


@dataclass(frozen=True)
class Said:
    """What a command printed."""

    status: int
    headers: dict[str, str]  # names in lower case
    body: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def curl(command: str) -> Said:
    """Run a `curl ...` as it stands in a README; its answer's head is read from what `-i` adds."""
    name, *arguments = shlex.split(command)
    assert name == "curl"
    process = await asyncio.create_subprocess_exec(
        name, "-sS", "-i", "--max-time", "20", *arguments, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()
    head, _, body = printed.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return Said(int(first.split()[1]), headers, body.decode())
