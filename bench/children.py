"""Child processes of a run: each is pinned to its cores, leads its own group, and ends with us however we end."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from bench.load import LoadError, Target

T = TypeVar("T")
PATIENCE_SECONDS = 60.0
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)
MODEL = "bench"
UPSTREAM_KEY = "sk-bench-upstream"


@contextlib.asynccontextmanager
async def child(
    command: Sequence[str], environment: Mapping[str, str], cores: set[int], place: Path, log: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A child process in `place`, whose output is the file `log` there. It sees nothing of our own environment."""
    with (place / log).open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            env={"PATH": os.environ.get("PATH", "")} | dict(environment),
            cwd=place,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=lambda: _prepare(cores),
        )
    try:
        yield process
    finally:
        await _end(process)


def _prepare(cores: set[int]) -> None:
    """In the child, before it becomes its program."""
    os.sched_setaffinity(0, cores)
    ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGTERM)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask the child's group to end, and end what is left of it after a while."""
    for word, patience in ((signal.SIGTERM, 8.0), (signal.SIGKILL, 8.0)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, word)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), patience)


async def until(condition: Callable[[], Awaitable[bool]], process: asyncio.subprocess.Process, log: Path) -> None:
    """Return when the condition holds; a LoadError with the end of its log if the child ends before, or is too slow."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        if process.returncode is not None:
            raise LoadError(f"it ended with status {process.returncode}: {_end_of(log)}")
        if await condition():
            return
        await asyncio.sleep(0.1)
    raise LoadError(f"it did not start in {PATIENCE_SECONDS:.0f} seconds: {_end_of(log)}")


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace").strip()[-1000:]


async def answers(port: int, path: str) -> bool:
    """Whether GET is answered with 200."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
        line = await asyncio.wait_for(reader.readline(), 2)
    except (OSError, TimeoutError):
        return False
    finally:
        writer.close()
    return b" 200 " in line


def unused_port() -> int:
    """A port of the loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextlib.asynccontextmanager
async def mock_upstream(cores: set[int], place: Path, *certificate: Path) -> AsyncIterator[Target]:
    """The mock; it takes any key. With a certificate and its key it speaks TLS."""
    port = unused_port()
    command = [sys.executable, "-m", "bench.mock", str(port), *map(str, certificate)]
    log = f"mock-{port}.log"
    async with child(command, {"PYTHONPATH": str(Path.cwd())}, cores, place, log) as process:
        await until(lambda: _listens(port), process, place / log)
        yield Target(port, UPSTREAM_KEY, MODEL)


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def cores() -> tuple[set[int], set[int]]:
    """The core of the load and the mock, and that of the gateways; with only one they share it."""
    ours = sorted(os.sched_getaffinity(0))
    return {ours[0]}, {ours[-1]}


def move_to(cores: set[int]) -> None:
    """Run ourselves on these cores from here on."""
    os.sched_setaffinity(0, cores)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run on uvloop. SIGTERM cancels, so that the children end as they do at Ctrl-C."""
    import uvloop

    async def cancellable() -> T:
        task = asyncio.ensure_future(main)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await task

    return uvloop.run(cancellable())
