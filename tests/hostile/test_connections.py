"""More connections than there may be: others go on, nobody is turned away at the bound, and nothing spins."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from tornado.web import Application

from server.bootstrap.serve import carrier
from server.config.settings import Settings
from server.connection_budget import ConnectionBudget
from server.http.connections import Acceptor
from tests.hostile.http_raw import Reply, Wire, request
from tests.hostile.site import CHAT, TRANSPORTS, Site, site
from tests.hostile.test_held_bytes import BODY

HEALTH = request("GET", "/healthz", {})
ROOT = Path(__file__).parents[2]


def health(wire: Wire) -> int | None:
    wire.send(HEALTH)
    reply = wire.reply()
    return None if reply is None else reply.status


def open_now(services: Site) -> int:
    async def count() -> int:
        return services.services.occupancy.connections.open

    return services.do(count)


@pytest.fixture(scope="module", params=TRANSPORTS)
def narrow(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A gateway with five connections."""
    with site(transport=request.param, max_connections=5, max_connections_per_address=100) as built:
        yield built


def test_who_comes_when_all_is_taken_waits_until_somebody_has_gone(narrow: Site) -> None:
    there = [Wire(narrow.url) for _ in range(5)]
    assert [health(wire) for wire in there] == [200] * 5
    late = [Wire(narrow.url) for _ in range(3)]
    for wire in late:
        wire.send(HEALTH)
        assert not wire.closes_within(0.05), "it is neither answered nor closed"
    assert open_now(narrow) == 5
    assert [health(wire) for wire in there] == [200] * 5
    for wire in there:
        wire.close()
    for wire in late:
        wire.waits_again()
        reply = wire.reply()
        assert reply is not None
        assert reply.status == 200
        wire.close()
    assert narrow.services.occupancy.connections.full_times >= 1


@pytest.fixture(scope="module", params=TRANSPORTS)
def capped(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A gateway without proxies, where an address has three connections."""
    with site(transport=request.param, max_connections_per_address=3, trusted_proxy_hops=0) as built:
        yield built


def test_an_address_with_enough_connections_is_told_so(capped: Site) -> None:
    there = [Wire(capped.url) for _ in range(3)]
    assert [health(wire) for wire in there] == [200] * 3
    with Wire(capped.url) as more:
        reply = more.reply()
        assert reply is not None
        assert (reply.status, b"too_many_requests" in reply.body) == (429, True)
        assert more.rest() == b""
    for wire in there:
        wire.close()
    for _ in range(1000):
        if not open_now(capped):
            break
    with Wire(capped.url) as again:
        assert health(again) == 200


@pytest.fixture(scope="module", params=TRANSPORTS)
def proxied(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A gateway behind a proxy, where an address has two requests under way."""
    with site(transport=request.param, max_connections_per_address=2, linger_seconds=0.5) as built:
        yield built


def test_behind_a_proxy_the_callers_address_counts_and_never_the_proxys(proxied: Site) -> None:
    here = proxied.headers()
    wires = [Wire(proxied.url) for _ in range(3)]
    replies = [begin(wire, here) for wire in wires]
    assert [reply.status for reply in replies] == [100, 100, 429]
    assert b"too_many_requests" in replies[2].body
    elsewhere = proxied.post(CHAT, BODY)
    assert elsewhere is not None
    assert elsewhere.status == 200
    for wire in wires:
        wire.close()
    proxied.rest()
    for _ in range(3):  # those that have ended count no more
        reply = proxied.ask(request("POST", CHAT, here, BODY))
        assert reply is not None
        assert reply.status == 200
        proxied.rest()
    assert len(proxied.services.occupancy.connections.addresses) == 0


def begin(wire: Wire, headers: dict[str, str]) -> Reply:
    wire.send(request("POST", CHAT, headers | {"Content-Length": "1000", "Expect": "100-continue"}))
    reply = wire.reply()
    assert reply is not None
    return reply


# The system has no more files


class Scarce(socket.socket):
    """A listening socket of a system that has no more files, for a while."""

    tries = 0
    scarce = True

    def accept(self) -> tuple[socket.socket, Any]:
        self.tries += 1
        if self.scarce:
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.gen_test(timeout=30)
async def test_without_files_accepting_rests_and_goes_on_afterwards(
    caplog: pytest.LogCaptureFixture, transport: Literal["own", "tornado"]
) -> None:

    listening = Scarce()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    listening.setblocking(False)
    budget, server = ConnectionBudget(10), carrier(Application(), Settings(transport=transport))
    acceptor = Acceptor([listening], server, budget, rest_seconds=0.05)
    acceptor.start()
    with socket.create_connection(listening.getsockname()):
        for _ in range(1000):
            await asyncio.sleep(0)
            if listening.tries >= 2:
                break
            await asyncio.sleep(0.001)
        assert (listening.tries, budget.open) == (2, 0), "it was tried again, after a rest"
        assert budget.short_times == 2
        assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
            "no connection can be accepted at the moment: EMFILE"
        ]
        listening.scarce = False
        while not budget.open:
            await asyncio.sleep(0.001)
    acceptor.close()
    await server.close_all_connections()
    while budget.open:
        await asyncio.sleep(0.001)


@pytest.mark.slow
@pytest.mark.parametrize("hard", [200, 4096])
def test_a_gateway_takes_the_files_that_the_system_gives_and_no_more(tmp_path: Path, hard: int) -> None:
    """A whole one, in a process that begins with few files: the soft limit is raised, and is never reached."""
    environ = {"PATH": os.environ["PATH"], "PORT": "0", "DEMO": "off", "MAX_CONNECTIONS_PER_ADDRESS": "10000"}
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (128, {hard}))"
    script = f"{limit}; from server.cli.main import main; main()"
    child = subprocess.Popen(
        [sys.executable, "-c", script], cwd=tmp_path, env={**environ, "PYTHONPATH": str(ROOT)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    there: list[Wire] = []
    try:
        assert child.stdout is not None
        said = ""
        while not (found := re.search(r"http://127\.0\.0\.1:\d+", said)):
            line = child.stdout.readline()
            assert line, said
            said += line
        most = (hard - 64) // 2
        asked = min(most + 100, 400)
        there = [Wire(found[0]) for _ in range(asked)]
        answered = [wire for wire in there[: min(most, asked)] if health(wire) == 200]
        assert len(answered) == min(most, asked)
        for wire in there[most:]:
            wire.send(HEALTH)
            assert not wire.closes_within(0.001)
        files = len(list(Path(f"/proc/{child.pid}/fd").iterdir()))
        assert files < hard
        for wire in there[:most]:
            wire.close()
        for wire in there[most:]:
            wire.waits_again()
            reply = wire.reply()
            assert reply is not None
            assert reply.status == 200
            wire.close()
    finally:
        for wire in there:
            wire.close()
        child.terminate()
        rest, _ = child.communicate(timeout=20)
    assert len(rest) < 2000, "nothing is said again and again"
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 400, "this test itself needs some"
