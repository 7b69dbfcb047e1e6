"""Where peers are installed: a folder of the user's cache, so that a second run begins at once."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from bench.load import LoadError

INSTALL_SECONDS = 900.0


def folder(peer: str) -> Path:
    """A peer's own folder; it is made."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = base / "fairgate-peers" / peer
    path.mkdir(parents=True, exist_ok=True)
    return path


def program(name: str) -> str | None:
    """Where a program of this machine is."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")


async def program_of_debian(name: str, package: str) -> str:
    """The same; where it is missing, Debian's package is installed first. LoadError if it is missing still."""
    if program(name) is None:
        await _run(["apt-get", "update", "-q"], Path.cwd())
        await _run(["apt-get", "install", "-q", "-y", "--no-install-recommends", package], Path.cwd())
    if (path := program(name)) is None:
        raise LoadError(f"{name} is not installed here")
    return path


async def install(stamp: Path, version: str, *commands: Sequence[str]) -> None:
    """Run the commands in the stamp's folder, unless the stamp says that this version is there.

    LoadError with the end of what they said if one fails.
    """
    if stamp.exists() and stamp.read_text() == version:
        return
    for command in commands:
        await _run(command, stamp.parent)
    stamp.write_text(version)


async def _run(command: Sequence[str], place: Path) -> None:
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=place,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError as error:
        raise LoadError(f"{command[0]} cannot be run: {error.strerror}") from None
    try:
        said, _ = await asyncio.wait_for(process.communicate(), INSTALL_SECONDS)
    except TimeoutError:
        raise LoadError(f"{command[0]} takes longer than {INSTALL_SECONDS:.0f} seconds") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise LoadError(f"`{' '.join(command)}` failed: {said.decode(errors='replace').strip()[-500:]}")
