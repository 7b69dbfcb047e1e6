"""Portkey's open gateway, from npm. A request names its provider and its address in headers."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

from bench import children
from bench.gateway import Backing, Subject, settled
from bench.load import Target
from bench.peers.cache import folder, install, program_of_debian

NAME = "Portkey"
GATEWAY = "1.15.2"
SERVER = "1.13.8"  # with a newer @hono/node-server each stream ends with "TypeError: immutable" (Portkey's #1389)
START = "node_modules/@portkey-ai/gateway/build/start-server.js"


def package() -> str:
    """The package.json that installs it."""
    wanted = {"dependencies": {"@portkey-ai/gateway": GATEWAY}, "overrides": {"@hono/node-server": SERVER}}
    return json.dumps({"private": True} | wanted, indent=2)


def headers(upstream: int) -> dict[str, str]:
    """What sends a request to the mock."""
    return {"x-portkey-provider": "openai", "x-portkey-custom-host": f"http://127.0.0.1:{upstream}/v1"}


@contextlib.asynccontextmanager
async def portkey(backing: Backing, place: Path) -> AsyncIterator[Subject]:
    """One process, without its console."""
    home = folder("portkey")
    node, npm = await program_of_debian("node", "nodejs"), await program_of_debian("npm", "npm")
    (home / "package.json").write_text(package())
    command = [npm, "install", "--no-audit", "--no-fund", "--loglevel=error"]
    await install(home / "installed", f"{GATEWAY} {SERVER}", command)
    place.mkdir()
    port = children.unused_port()
    command = [node, str(home / START), f"--port={port}", "--headless"]
    environment = {"NODE_ENV": "production", "HOME": os.environ.get("HOME", str(place))}
    async with children.child(command, environment, backing.cores, place, "portkey.log") as process:
        await children.until(lambda: children.answers(port, "/"), process, place / "portkey.log")
        target = Target(port, backing.plain.token, backing.plain.model, headers(backing.plain.port))
        yield await settled(Subject(NAME, target, process.pid))
