"""The supervisor with real processes, sockets and signals. The children are small ones (`stub.py`)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from server.workers.listening import Listening, listen
from server.workers.role import Role
from server.workers.silence import Silence
from server.workers.supervision import POOL, Supervision
from server.workers.supervisor import Supervisor

STUB = Path(__file__).with_name("stub.py")


def command_of_stub(role: Role) -> list[str]:
    return [sys.executable, "-S", "-E", str(STUB), role.text()]


class House:
    """A supervisor that runs, and how the world sees it."""

    def __init__(self, supervision: Supervision, listening: Listening) -> None:
        self.supervision, self.port, self.folder = supervision, listening.port, listening.folder
        self.banners: list[str] = []
        self.supervisor = Supervisor(supervision, listening, command_of_stub, self.banners.append)

    async def greeting(self) -> dict[str, int]:
        """Who answers a new connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        said = await reader.read()
        writer.close()
        return dict(json.loads(said))

    def pids(self) -> set[int]:
        return {self.pid(place) for place in self.supervision.places}

    def pid(self, place: int) -> int:
        incumbent = self.supervision.places[place].incumbent
        assert incumbent is not None
        pid = self.supervisor.pid_of(incumbent.life)
        assert pid is not None
        return pid

    @property
    def whole(self) -> bool:
        return all(place.served for place in self.supervision.places.values())


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def house(broken: bool = False) -> AsyncIterator[tuple[House, asyncio.Task[int]]]:
    """Two workers and a pool process; `broken`: no child can start."""
    with listen(2, "127.0.0.1", 0) as listening:
        stands = House(Supervision(2, 5.0, Silence(2.0, 1.0)), listening)
        if broken:
            (stands.folder / "broken").touch()
        task = asyncio.create_task(stands.supervisor.run())
        try:
            await until(lambda: stands.banners or task.done())
            yield stands, task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@pytest.mark.slow
@pytest.mark.gen_test(timeout=40)
async def test_children_are_started_again_and_no_connection_is_lost() -> None:
    async with house() as (stands, _):
        assert stands.banners == ["it stands"]
        before = {place: stands.pid(place) for place in (POOL, 0, 1)}
        for place in (1, POOL):
            os.kill(before[place], signal.SIGKILL)
            for _ in range(20):
                await stands.greeting()
            await until(lambda: stands.whole and before[place] not in stands.pids())  # noqa: B023 - now
        assert stands.pid(0) == before[0]
        assert stands.supervision.restarts == {POOL: 1, 0: 0, 1: 1}


@pytest.mark.slow
@pytest.mark.gen_test(timeout=40)
async def test_a_child_that_hangs_is_replaced_and_the_others_stay() -> None:
    async with house() as (stands, _):
        before = {place: stands.pid(place) for place in (POOL, 0, 1)}
        os.kill(before[1], signal.SIGSTOP)
        await until(lambda: stands.whole and stands.pid(1) != before[1])
        assert [stands.pid(POOL), stands.pid(0)] == [before[POOL], before[0]]
        assert stands.supervision.restarts == {POOL: 0, 0: 0, 1: 1}


@pytest.mark.slow
@pytest.mark.gen_test(timeout=40)
async def test_sighup_replaces_all_children_under_a_trickle_of_connections_and_loses_none() -> None:
    async with house() as (stands, _):
        before = stands.pids()
        os.kill(os.getpid(), signal.SIGHUP)
        seen = [await stands.greeting() for _ in range(50)]
        await until(lambda: stands.whole and not before & stands.pids())
        seen += [await stands.greeting() for _ in range(20)]
        assert not {each["pid"] for each in seen[-20:]} & before
        assert set(stands.supervision.restarts.values()) == {0}


@pytest.mark.slow
@pytest.mark.gen_test(timeout=40)
async def test_settings_with_which_no_child_starts_leave_the_old_ones(caplog: pytest.LogCaptureFixture) -> None:
    async with house() as (stands, task):
        before = stands.pids()
        (stands.folder / "broken").touch()
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: "the reload ends: the new pool ended with exit code 2" in caplog.text)
        assert stands.pids() == before
        await stands.greeting()
        assert not task.done()


@pytest.mark.slow
@pytest.mark.gen_test(timeout=40)
async def test_a_first_start_that_fails_ends_with_the_exit_code_of_the_child() -> None:
    async with house(broken=True) as (stands, task):
        assert await task == 2
        assert stands.banners == []


@pytest.mark.slow
@pytest.mark.gen_test(timeout=40)
async def test_sigterm_ends_all_children() -> None:
    async with house() as (stands, task):
        pids = stands.pids()
        os.kill(os.getpid(), signal.SIGTERM)
        assert await task == 0
        assert not any(is_alive(pid) for pid in pids)


@pytest.mark.slow
@pytest.mark.gen_test(timeout=40)
async def test_a_worker_learns_what_all_count_those_that_died_included() -> None:
    async with house() as (stands, _):
        answer = stands.folder / "answer"
        seen = 0
        for _ in range(2):
            answer.unlink(missing_ok=True)
            while not (text := answer.read_text() if answer.exists() else ""):  # it may be written anew at any time
                await stands.greeting()
                seen += 1
            shown = {family[0]: family[3] for family in json.loads(text)}
            ((_, _, count),) = shown["stub_connections"]
            assert 1 <= count <= seen
            assert sum(value for _, _, value in shown["fairgate_process_serving_count"]) >= 2
            os.kill(stands.pid(0), signal.SIGKILL)
            await until(lambda: stands.supervision.restarts[0] and stands.whole)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
