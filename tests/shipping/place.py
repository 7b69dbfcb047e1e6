"""A machine that is a folder: where guides and the image's recipe name absolute paths, these lie below it.

Commands run as they are written, but for those paths, and for users and groups, which a test must not make.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from tornado.testing import bind_unused_port

ROOT = Path(__file__).parent.parent.parent
SHIPPED = ("setup.py", "pyproject.toml", "server", "keypool", "web", "deploy")
_PATHS = re.compile(r"(?<![\w.])/(?=(?:opt/fairgate|src|data|etc/fairgate|etc/systemd|usr/local/bin/fairgate|var)\b)")
LAST_WORDS = b".message.content)\n"  # of the banner
_USERS = re.compile(r"(?:runuser -u fairgate -- | -o fairgate\b| -g fairgate\b)")


@dataclass
class Place:
    """A folder that stands for the root of a machine. `environ` is what its commands see."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        """Where an absolute path of the machine really lies."""
        return self.root / name.lstrip("/")

    def here(self, text: str) -> str:
        """A text with its paths where they really lie, and without users."""
        return _USERS.sub("", _PATHS.sub(f"{self.root}/", text))

    def check_out(self, folder: str) -> None:
        """The repository's files as a clone has them, its deployment files with paths of this place."""
        for name in SHIPPED:
            copy(ROOT / name, self.path(folder) / name)
        for file in filter(Path.is_file, (self.path(folder) / "deploy").rglob("*")):
            file.write_text(self.here(file.read_text()))

    async def run(self, script: str, folder: str = "/") -> str:
        """Run a script of a shell, every line of which has to succeed; returns what it printed."""
        self.path(folder).mkdir(parents=True, exist_ok=True)
        child = await asyncio.create_subprocess_exec(
            "sh",
            "-euc",
            self.here(script),
            cwd=self.path(folder),
            env=self.environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await child.communicate()
        assert child.returncode == 0, f"{script}\n{output.decode()}{errors.decode()}"
        return output.decode()


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def inherited(*paths: Path) -> dict[str, str]:
    """An environment with these folders first in its path, and with nothing else but what pip needs of ours."""
    names = [name for name in os.environ if name.startswith(("PIP_", "SSL_", "REQUESTS_", "HTTP", "HTTPS", "NO_PROXY"))]
    kept = {name: os.environ[name] for name in (*names, "HOME") if name in os.environ}
    # Compiling everything that is installed takes longer than all the rest, and is of no use to a test.
    return {**kept, "PIP_NO_COMPILE": "1", "PATH": ":".join((*map(str, paths), os.environ["PATH"]))}


def unused_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago."""
    socket, port = bind_unused_port(address="127.0.0.1")
    socket.close()
    return port


@asynccontextmanager
async def serving(command: list[str], folder: Path, environ: Mapping[str, str]) -> AsyncIterator[str]:
    """A gateway as a process of its own; gives what it said until it was ready. It has to stop well at SIGTERM."""
    child = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=dict(environ), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert child.stdout is not None
    try:
        said = (await asyncio.wait_for(child.stdout.readuntil(LAST_WORDS), 30)).decode()
        yield said
    except asyncio.IncompleteReadError as error:
        raise AssertionError(error.partial.decode()) from None
    finally:
        if child.returncode is None:
            child.send_signal(signal.SIGTERM)
        rest, _ = await asyncio.wait_for(child.communicate(), 30)
    assert child.returncode == 0, rest.decode()


async def status(url: str) -> int:
    """The status of a page."""
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status


async def asked(url: str, token: str) -> str:
    """What a chat's first answer says."""
    headers = {"Authorization": f"Bearer {token}"}
    question = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{url}/v1/chat/completions", json=question) as answer,
    ):
        assert answer.status == 200, await answer.text()
        return str((await answer.json())["choices"][0]["message"]["content"])
