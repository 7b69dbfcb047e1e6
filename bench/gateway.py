"""The gateway as it really runs: with everything switched on, or with one key that all share and no limits."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench import children
from bench.children import MODEL
from bench.load import LoadError, Target
from bench.process import pss_kib
from server.config.settings import SETTINGS

COMMAND = f"{shlex.quote(sys.executable)} -m server"
SHARED_KEY = "bench-shared-key-0123456789"
PEPPER = "bench-pepper-0123456789abcdef0123456789abcdef"
TLS_MODEL = f"{MODEL}-tls"
PERSON = "bench"
LIMITS = "10000000 requests/minute, 1000000 usd/month"  # they apply to each request, and no run comes near them
UPSTREAM = """
  - name: {model}
    dialect: openai
    base_url: {scheme}://127.0.0.1:{port}/v1
    keys: [{key}-{model}-1, {key}-{model}-2]
    models: [{model}]
    slots: 10000
"""
PRICES = "prices:\n  - {model: bench*, input: 1.25, output: 10}\n"


@dataclass(frozen=True, slots=True)
class Subject:
    """A gateway under test: how it is asked, and the process whose CPU and memory count."""

    name: str
    target: Target
    pid: int
    tls: Target | None = None  # the same gateway by an upstream over TLS
    idle_mib: float = 0.0  # after its start


@dataclass(frozen=True, slots=True)
class Backing:
    """What stands behind a gateway: the mock, the same over TLS with its authority, and the cores to run on."""

    plain: Target
    cores: set[int]  # of the gateways
    own_cores: set[int]  # of all that is not measured
    tls: Target | None = None
    authority: Path | None = None
    command: Sequence[str] = field(default_factory=lambda: shlex.split(COMMAND))


@contextlib.asynccontextmanager
async def everything_on(
    backing: Backing, place: Path, store: str = "", name: str = "all on", more: Mapping[str, str] | None = None
) -> AsyncIterator[Subject]:
    """A token from the store, limits in requests and money, ledger, journal, metrics, access log.

    `store`: the URL of another store than SQLite; `more`: what else stands in its environment.
    """
    place.mkdir()
    settings = {"GATEKEEPER": "user_token", "LIMITS": LIMITS, "STORE_URL": store or f"sqlite:///{place}/bench.db"}
    settings |= _settings(backing, place) | dict(more or {})
    token = await _token(settings, place)
    async with _gateway(name, token, settings, backing, place) as subject:
        yield subject


@contextlib.asynccontextmanager
async def shared_key(backing: Backing, place: Path) -> AsyncIterator[Subject]:
    """One key that all share, and no limits."""
    place.mkdir()
    settings = {"GATEKEEPER": "shared", "PROXY_KEY": SHARED_KEY, "STORE_URL": f"sqlite:///{place}/bench.db"}
    settings |= _settings(backing, place)
    async with _gateway("shared key", SHARED_KEY, settings, backing, place) as subject:
        yield subject


@contextlib.asynccontextmanager
async def _gateway(
    name: str, token: str, settings: dict[str, str], backing: Backing, place: Path
) -> AsyncIterator[Subject]:
    port = children.unused_port()
    settings = settings | {"PORT": str(port)}
    async with children.child(backing.command, settings, backing.cores, place, "gateway.log") as process:
        await children.until(lambda: children.answers(port, "/healthz"), process, place / "gateway.log")
        target = Target(port, token, MODEL)
        tls = target.asking(TLS_MODEL) if backing.tls else None
        yield await settled(Subject(name, target, process.pid, tls))


async def settled(subject: Subject) -> Subject:
    """The same with its idle memory, once its start is behind it."""
    await asyncio.sleep(1.0)
    return replace(subject, idle_mib=pss_kib(subject.pid) / 1024)


def _settings(backing: Backing, place: Path) -> dict[str, str]:
    (place / "upstreams.yaml").write_text(upstreams(backing.plain, backing.tls))
    (place / "prices.yaml").write_text(PRICES)
    settings = {
        "PYTHONPATH": str(Path.cwd()),
        "HOST": "127.0.0.1",
        "UPSTREAMS_FILE": str(place / "upstreams.yaml"),
        "PRICES_FILE": str(place / "prices.yaml"),
        "JOURNAL": str(place / "journal"),
        "TOKEN_PEPPER": PEPPER,
        "STORE_SECONDS": "5",  # a busy disk makes a run slow, and is no outage
        "METRICS": "on",
        "ACCESS_LOG": "on",
        "MAX_CONNECTIONS": "30000",
        "MAX_CONNECTIONS_PER_ADDRESS": "30000",  # all of the clients are here
        "QUEUE_TOTAL": "30000",
        "QUEUE_PER_PERSON": "30000",  # and they are one person
        "DEMO": "off",
    }
    if backing.authority:
        own = any(setting.name == "UPSTREAM_CA_FILE" for setting in SETTINGS)
        settings["UPSTREAM_CA_FILE" if own else "SSL_CERT_FILE"] = str(backing.authority)
    return settings


def upstreams(plain: Target, tls: Target | None) -> str:
    """The file of upstreams: the mock, and if it is there the one over TLS, as a model of its own."""
    named = [("http", plain, MODEL)] + ([("https", tls, TLS_MODEL)] if tls else [])
    return "upstreams:" + "".join(
        UPSTREAM.format(scheme=scheme, port=target.port, key=target.token, model=model)
        for scheme, target, model in named
    )


async def _token(settings: dict[str, str], place: Path) -> str:
    """A new token of a new person, made as an operator makes it."""
    if settings["STORE_URL"].startswith("sqlite:"):
        await _verb(settings, place, "store", "create")
    await _verb(settings, place, "user", "create", PERSON)
    return (await _verb(settings, place, "token", "create", PERSON)).split()[0]


async def _verb(settings: dict[str, str], place: Path, *words: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "server", *words],
        env={"PATH": os.environ.get("PATH", "")} | settings,
        cwd=place,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complaint = await asyncio.wait_for(process.communicate(), children.PATIENCE_SECONDS)
    if process.returncode:
        raise LoadError(f"`server {' '.join(words)}` failed: {complaint.decode(errors='replace')[-1000:]}")
    return said.decode()
