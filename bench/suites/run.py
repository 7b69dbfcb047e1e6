"""A suite, run: the mock from a provider's OpenAPI document, the gateway before it, and what became of each test."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from bench import children
from bench.gateway import SHARED_KEY
from bench.load import LoadError
from bench.peers.cache import folder, install, program_of_debian
from bench.suites.sdk import Sdk

STEADY = "0.22.2"  # @stdy/cli, with which the providers run these suites themselves
AS_THE_PROVIDERS_RUN_IT = [
    f"--validator-{place}-{kind}-format=brackets" for place in ("query", "form") for kind in ("array", "object")
]
SUITE_SECONDS = 900.0
TEST_SECONDS = 30
UPSTREAM = """upstreams:
  - name: mock
    dialect: {dialect}
    base_url: http://127.0.0.1:{port}{base}
    keys: [sk-mock]
    slots: 100
    models: {models}
"""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one test. `why`: the first line of what it says; empty where it passed or was left out."""

    passed: bool
    why: str = ""


@contextlib.asynccontextmanager
async def mock(sdk: Sdk, place: Path) -> AsyncIterator[int]:
    """The mock of a provider, on this port: it checks each request by the document and makes an answer of it."""
    home = folder("suite-mock")
    npm = await program_of_debian("npm", "npm")
    await install(home / "installed", STEADY, [npm, "install", "--no-audit", "--no-fund", f"@stdy/cli@{STEADY}"])
    port, log = children.unused_port(), f"mock-{sdk.name}.log"
    address = ["--host", "127.0.0.1", "-p", str(port)]
    command = [str(home / "node_modules/.bin/steady"), *address, *AS_THE_PROVIDERS_RUN_IT, str(sdk.document)]
    async with children.child(command, {"HOME": str(place)}, os.sched_getaffinity(0), place, log) as process:
        await children.until(lambda: children.answers(port, "/_x-steady/health"), process, place / log)
        yield port


@contextlib.asynccontextmanager
async def gateway(sdk: Sdk, mock_port: int, place: Path) -> AsyncIterator[int]:
    """The gateway before it, on this port, with the settings that it has by default."""
    file = place / f"upstreams-{sdk.name}.yaml"
    models = json.dumps(sdk.models)
    file.write_text(UPSTREAM.format(dialect=sdk.name, port=mock_port, base=sdk.base, models=models), encoding="utf-8")
    port, log = children.unused_port(), f"gateway-{sdk.name}.log"
    settings = {
        "PYTHONPATH": str(Path.cwd()),
        **{"HOST": "127.0.0.1", "PORT": str(port), "GATEKEEPER": "shared", "PROXY_KEY": SHARED_KEY, "DEMO": "off"},
        **{"UPSTREAMS_FILE": str(file), "UNPRICED_MODELS": "free", "LOG_LEVEL": "INFO"},
        **{"STORE_URL": f"sqlite:///{place}/{sdk.name}.db", "JOURNAL": str(place / f"journal-{sdk.name}")},
    }
    command = [sys.executable, "-m", "server"]
    async with children.child(command, settings, os.sched_getaffinity(0), place, log) as process:
        await children.until(lambda: children.answers(port, "/healthz"), process, place / log)
        yield port


async def results(sdk: Sdk, base_url: str, place: Path) -> dict[str, Result]:
    """What becomes of each test against this address, by its name. LoadError if the suite does not run to its end."""
    report = place / "report.xml"
    tests = [f"tests/api_resources/{each}" for each in sdk.tests]
    options = ["-q", "-p", "no:cacheprovider", f"--junitxml={report}", f"--timeout={TEST_SECONDS}", "--tb=line"]
    own = ["--override-ini", f"addopts={sdk.options}", "--override-ini", "filterwarnings=", "-o", "asyncio_mode=auto"]
    environment = {"TEST_API_BASE_URL": base_url, "TEST_API_KEY": SHARED_KEY, "HOME": str(place)}
    command = [str(sdk.python), "-m", "pytest", *options, *own, *tests]
    log = place / "suite.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            env={"PATH": os.environ.get("PATH", "")} | environment,
            cwd=sdk.sources,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            status = await asyncio.wait_for(process.wait(), SUITE_SECONDS)
        finally:
            if process.returncode is None:
                process.kill()
    if status not in (0, 1):  # passed, or some failed
        raise LoadError(f"`{shlex.join(command)}` ended with status {status}: {log.read_text(errors='replace')[-500:]}")
    return read(report)


def read(report: Path) -> dict[str, Result]:
    """The results in a report of pytest's."""
    cases = ElementTree.parse(report).getroot().iter("testcase")
    return {
        f"{case.get('classname')}::{case.get('name')}".removeprefix("tests.api_resources."): _of(case) for case in cases
    }


def _of(case: ElementTree.Element) -> Result:
    failed = next((each for each in case if each.tag in ("failure", "error")), None)
    if failed is None:
        return Result(passed=not any(each.tag == "skipped" for each in case))
    return Result(passed=False, why=" ".join((failed.get("message") or "").split())[:300])
