"""`python -m server --workers 2`: whole processes are killed and replaced, and no request is lost."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from server.ledger.usage import Outcome
from server.store import store_for
from tests.fakes.upstream import FakeUpstream
from tests.faults.asks import conversation

ROOT = Path(__file__).parent.parent.parent


class Machine:
    """A gateway of several processes: its address, a token, its log, and what it has answered."""

    def __init__(self, folder: Path, process: asyncio.subprocess.Process, session: aiohttp.ClientSession) -> None:
        self.folder, self.process, self.session = folder, process, session
        self.url = self.token = ""
        self.log: list[str] = []
        self.said = ""  # on the standard output: the banner, and a line for each request
        self.statuses: list[int] = []  # 0: the connection broke

    async def read_out(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            self.said += line.decode()

    async def read_log(self) -> None:
        assert self.process.stderr is not None
        while line := await self.process.stderr.readline():
            self.log.append(line.decode().rstrip())

    async def begun(self) -> None:
        """Wait for the banner."""
        await self.until(lambda: re.search(r"fg_\S+", self.said) and "http://" in self.said)
        self.url = re.findall(r"http://127\.0\.0\.1:\d+", self.said)[0]
        self.token = re.findall(r"fg_\S+", self.said)[0]

    async def until(self, holds: Callable[[], object], seconds: float = 60) -> None:
        async with asyncio.timeout(seconds):
            while not holds():
                assert self.process.returncode is None, self.log
                await asyncio.sleep(0.02)

    async def logged(self, words: str) -> None:
        await self.until(lambda: any(words in line for line in self.log))

    async def ask(self) -> int:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        ask = conversation("openai", "Hello", stream=len(self.statuses) % 2 == 0)
        status = 0
        with suppress(aiohttp.ClientError):
            async with self.session.post(self.url + ask.path, data=ask.body, headers=headers) as answer:
                body = await answer.read()
                if answer.status != 200 or b"[DONE]" in body or b'"choices"' in body:
                    status = answer.status
        self.statuses.append(status)
        return status

    async def metric(self, name: str) -> float:
        """The sum of a figure, of whatever worker answers."""
        async with self.session.get(f"{self.url}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

    @asynccontextmanager
    async def trickle(self, askers: int = 3) -> AsyncIterator[None]:
        """Some who ask all the time, each over connections of their own."""
        over = asyncio.Event()

        async def go_on() -> None:
            while not over.is_set():
                await self.ask()
                await asyncio.sleep(0.02)

        tasks = [asyncio.create_task(go_on()) for _ in range(askers)]
        yield
        over.set()
        await asyncio.gather(*tasks)

    def end(self) -> None:
        """Kill all of it."""
        if self.process.returncode is None:
            for pid in (*self.children("pool"), *self.children("worker")):
                os.kill(pid, signal.SIGKILL)
            self.process.kill()

    def children(self, name: str) -> list[int]:
        """The process ids of the pool process ("pool") or of the workers ("worker")."""
        found = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdigit() and f'"kind": "{name}"' in (entry / "cmdline").read_text():
                    status = (entry / "status").read_text()
                    if f"PPid:\t{self.process.pid}\n" in status:
                        found.append(int(entry.name))
        return sorted(found)

    async def rows(self) -> list[tuple[str, Outcome]]:
        async with store_for(f"sqlite:///{self.folder / 'test.db'}") as store:
            return [(row.request_id, row.status) for row in await store.usage_rows(0, 10_000)]


@asynccontextmanager
async def machine(folder: Path, fake: FakeUpstream, workers: int = 2, kept: bool = True) -> AsyncIterator[Machine]:
    settings = {
        "OPENAI_KEY": f"sk-upstream-one@{fake.base_url}",
        "OPENAI_MODELS": "gpt-4o",
        "STORE_URL": f"sqlite:///{folder / 'test.db'}",
        "PORT": "0",
        "KEEP_ALIVE_SECONDS": "2",
        "LIMITS": "1000000 requests/minute",
        "PATH": os.environ["PATH"],
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "server", "--workers", str(workers), cwd=ROOT, env=settings,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    connector = aiohttp.TCPConnector(force_close=not kept)
    async with aiohttp.ClientSession(connector=connector) as session:
        stands = Machine(folder, process, session)
        reading = [asyncio.create_task(stands.read_out()), asyncio.create_task(stands.read_log())]
        try:
            await stands.begun()
            yield stands
        finally:
            stands.end()
            await process.wait()
            await asyncio.gather(*reading)


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.gen_test(timeout=60)
async def test_two_workers_are_one_gateway_and_a_pool_process_that_dies_costs_no_request(tmp_path: Path) -> None:
    async with FakeUpstream() as fake, machine(tmp_path, fake, kept=False) as made:
        assert (len(made.children("pool")), len(made.children("worker"))) == (1, 2)
        async with made.trickle():
            await made.until(lambda: len(made.statuses) > 10)
            pool = made.children("pool")
            os.kill(pool[0], signal.SIGKILL)
            await made.logged("pool was ended by signal 9")
            await made.until(lambda: len(made.children("pool")) == 1)
            seen = len(made.statuses)
            await made.until(lambda: len(made.statuses) > seen + 10)
        assert set(made.statuses) == {200}
        assert await made.metric('fairgate_requests_ended_total{dialect="openai"') == len(made.statuses)
        made.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(made.process.wait(), 20) == 0
        rows = await made.rows()
        assert len({request_id for request_id, _ in rows}) == len(rows) == len(made.statuses)
        assert {outcome for _, outcome in rows} == {Outcome.COMPLETED}
        assert made.said.count("is ready: http") == 1
        lines = [line for line in made.said.splitlines() if " http=" in line]
        assert len(lines) == len(made.statuses)
        assert all(line.count(" http=200 ") == 1 for line in lines)


@pytest.mark.soak
@pytest.mark.alone
@pytest.mark.timeout(300)
@pytest.mark.gen_test(timeout=300)
@pytest.mark.parametrize("kept", [True, False])
async def test_a_worker_is_killed_and_all_are_replaced_and_the_books_are_right(tmp_path: Path, kept: bool) -> None:
    async with FakeUpstream() as fake, machine(tmp_path, fake, kept=kept) as made:
        async with made.trickle():
            os.kill(made.children("worker")[0], signal.SIGKILL)
            await made.until(lambda: len(made.statuses) > 20)
            await made.until(lambda: len(made.children("worker")) == 2)
        assert made.statuses.count(0) <= 3, "of those who asked the worker that was killed"
        counted, before = await made.metric("fairgate_requests_ended_total"), len(made.statuses)
        async with made.trickle():
            old = {*made.children("pool"), *made.children("worker")}
            made.process.send_signal(signal.SIGHUP)
            await made.logged("the reload is done")
            await made.until(lambda: not old & {*made.children("pool"), *made.children("worker")})
        assert set(made.statuses[before:]) == {200}, "a reload costs no request"
        assert await made.metric("fairgate_requests_ended_total") - counted == len(made.statuses) - before
        answered = made.statuses.count(200)
        made.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(made.process.wait(), 20) == 0
        rows = await made.rows()
        assert len({request_id for request_id, _ in rows}) == len(rows)
        assert answered <= sum(outcome is Outcome.COMPLETED for _, outcome in rows)
        assert len(rows) <= len(made.statuses)
