"""The two child processes: the mock upstream, and the gateway as it really runs, with its ledger on a disk."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from bench.load import LoadError, Target

MODEL = "bench"
TOKEN = "bench-shared-key-0123456789"
PATIENCE_SECONDS = 20.0


@contextlib.asynccontextmanager
async def mock_upstream(cores: set[int]) -> AsyncIterator[Target]:
    """The mock, pinned to these cores; it takes any key."""
    async with _child([sys.executable, "-m", "bench.mock"], {}, cores) as process:
        assert process.stdout is not None
        port = int(await asyncio.wait_for(process.stdout.readline(), PATIENCE_SECONDS))
        yield Target(port, "sk-bench-upstream", MODEL)


@contextlib.asynccontextmanager
async def gateway(
    command: Sequence[str], upstream: Target, cores: set[int], place: Path
) -> AsyncIterator[tuple[Target, int]]:
    """The gateway in front of the upstream, pinned, its files in `place`; yields how to ask it and its process id."""
    port = _unused_port()
    try:
        async with _child(command, _settings(port, upstream, place), cores, place) as process:
            await _until_healthy(port, process)
            yield Target(port, TOKEN, MODEL), process.pid
    except LoadError as error:
        log = (place / "gateway.log").read_text(errors="replace")
        raise LoadError(f"{error}\nThe end of the gateway's log:\n{log[-2000:]}") from None


def _settings(port: int, upstream: Target, place: Path) -> dict[str, str]:
    upstreams = place / "upstreams.yaml"
    upstreams.write_text(
        f"upstreams:\n  - name: bench\n    dialect: openai\n    base_url: http://127.0.0.1:{upstream.port}/v1\n"
        f"    keys: [{upstream.token}]\n    models: [{MODEL}]\n    slots: 10000\n"
    )
    return {
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "STORE_URL": f"sqlite:///{place}/bench.db",
        "UPSTREAMS_FILE": str(upstreams),
        "GATEKEEPER": "shared",
        "PROXY_KEY": TOKEN,
        "UNPRICED_MODELS": "free",
        "MAX_CONNECTIONS": "20000",
        "MAX_CONNECTIONS_PER_ADDRESS": "20000",  # all of the clients are here
        "DEMO": "off",
    }


@contextlib.asynccontextmanager
async def _child(
    command: Sequence[str], settings: dict[str, str], cores: set[int], place: Path | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A child process on these cores, ended when we leave. It sees nothing of our environment and of a `.env` here.

    Its output goes to `gateway.log` in its place, or without a place to a pipe.
    """
    environment = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(Path.cwd())} | settings
    with (place / "gateway.log").open("wb") if place else contextlib.nullcontext(asyncio.subprocess.PIPE) as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=environment,
            cwd=place,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT if place else None,
        )
    os.sched_setaffinity(process.pid, cores)
    try:
        yield process
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), 5)
    except TimeoutError:
        process.kill()
        await process.wait()


async def _until_healthy(port: int, process: asyncio.subprocess.Process) -> None:
    """Return when GET /healthz is answered with 200."""
    for _ in range(int(PATIENCE_SECONDS / 0.1)):
        if process.returncode is not None:
            break
        if await _healthy(port):
            return
        await asyncio.sleep(0.1)
    raise LoadError("the gateway did not start")


async def _healthy(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        line = await asyncio.wait_for(reader.readline(), 1)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return b" 200 " in line


def _unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
