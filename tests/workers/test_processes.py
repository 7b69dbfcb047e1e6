"""`python -m server --workers 2`: whole processes are killed and replaced, and no request is lost."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp

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
        self.statuses: list[int] = []

    async def read_banner(self) -> None:
        banner = ""
        async with asyncio.timeout(40):
            while not (self.url and self.token):
                assert self.process.stdout is not None
                line = (await self.process.stdout.readline()).decode()
                assert line, f"it ended: {banner} {self.log}"
                banner += line
                self.url = self.url or "".join(re.findall(r"http://127\.0\.0\.1:\d+", line)[:1])
                self.token = self.token or "".join(re.findall(r"fg_\S+", line)[:1])

    async def read_log(self) -> None:
        assert self.process.stderr is not None
        while line := await self.process.stderr.readline():
            self.log.append(line.decode().rstrip())

    async def logged(self, words: str, times: int = 1) -> None:
        async with asyncio.timeout(40):
            while sum(words in line for line in self.log) < times:
                await asyncio.sleep(0.02)

    async def ask(self) -> int:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        ask = conversation("openai", "Hello", stream=len(self.statuses) % 2 == 0)
        async with self.session.post(self.url + ask.path, data=ask.body, headers=headers) as answer:
            body = await answer.read()
            ended = b"[DONE]" in body or b'"choices"' in body
            self.statuses.append(answer.status if ended or answer.status != 200 else 0)
        return answer.status

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
async def machine(folder: Path, fake: FakeUpstream, workers: int = 2) -> AsyncIterator[Machine]:
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
    async with aiohttp.ClientSession() as session:
        stands = Machine(folder, process, session)
        reading = asyncio.create_task(stands.read_log())
        try:
            await stands.read_banner()
            stands.drained = asyncio.create_task(process.stdout.read())  # type: ignore[attr-defined, union-attr]
            yield stands
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            await reading
