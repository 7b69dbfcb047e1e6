"""The pool process's socket and a worker's link, on the loops that a gateway runs on."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvloop

from keypool.estimates import Tokens
from keypool.pool import Pool
from server.workers.frames import frame, packed
from server.workers.link import Link
from server.workers.pool_server import PoolServer
from server.workers.remote import RemoteDispatcher, WrongVersion
from tests.keypool.making import a_key, an_ask
from tests.workers.wires import nothing

Runs = Callable[[Coroutine[Any, Any, None]], None]
both_loops = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


class Place:
    """A pool process's server at a path, in this loop."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "pool.sock"
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.path))
        self._listening.listen()

    async def __aenter__(self) -> Place:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        self._listening.close()

    async def start(self, workers: int = 0) -> None:
        loop = asyncio.get_running_loop()
        self.server = PoolServer(Pool([a_key("k1", slots=3)]), loop.time)
        self._serving = asyncio.create_task(self.server.serve(self._listening.dup(), workers))

    async def stop(self) -> None:
        self._serving.cancel()
        with suppress(asyncio.CancelledError):
            await self._serving

    async def worker(self) -> RemoteDispatcher:
        loop = asyncio.get_running_loop()
        worker = RemoteDispatcher(partial(Link, self.path), loop.time, (0, 1), lambda key: True, nothing)
        await worker.open(5.0)
        return worker


@both_loops
def test_many_requests_go_through_and_nothing_is_left(run: Runs, tmp_path: Path) -> None:
    async def go() -> None:
        async with Place(tmp_path) as place:
            worker = await place.worker()

            async def ask(number: int) -> None:
                async with worker.lease(an_ask(f"r{number}", f"p{number % 5}")) as lease:
                    await asyncio.sleep(0)
                    lease.finish(Tokens(100, 0, 5), complete=True)

            await asyncio.gather(*map(ask, range(50)))
            assert len(await worker.live()) == 0
            await worker.close()
            await asyncio.sleep(0.01)
            assert (place.server.members, place.server.dispatcher.idle) == (0, True)

    run(go())


@both_loops
def test_a_worker_comes_back_by_itself(run: Runs, tmp_path: Path) -> None:
    async def go() -> None:
        async with Place(tmp_path) as place:
            worker = await place.worker()
            async with worker.lease(an_ask("r1", "ann")):
                await place.stop()
                await asyncio.sleep(0.01)
                assert not worker.connected
                await place.start(workers=1)
                async with worker.lease(an_ask("r2", "bob")):
                    assert set(place.server.dispatcher.pool.tickets) == {"r1", "r2"}
            await worker.close()

    run(go())


def test_one_who_says_what_cannot_be_understood_is_cut_off_and_no_other(tmp_path: Path) -> None:
    async def go() -> None:
        async with Place(tmp_path) as place:
            worker = await place.worker()
            for said in (b"GET / HTTP/1.1\r\n\r\n", frame([packed(["hello", 1])]), frame([packed(["submit"])])):
                reader, writer = await asyncio.open_unix_connection(str(place.path))
                writer.write(said)
                with suppress(ConnectionResetError):
                    assert await reader.read() == b""
                writer.close()
            assert (worker.connected, place.server.members) == (True, 1)
            await worker.close()

    asyncio.run(go())


def test_a_worker_of_another_version_does_not_begin(tmp_path: Path) -> None:
    async def go() -> None:
        path = tmp_path / "pool.sock"

        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(frame([packed(["refused", 2])]))
            await reader.read()
            writer.close()

        async with await asyncio.start_unix_server(refuse, str(path)):
            worker = RemoteDispatcher(partial(Link, path), lambda: 0.0, (0, 1), lambda key: True, nothing)
            with pytest.raises(WrongVersion):
                await worker.open(5.0)
            assert not worker.connected
            await worker.close()

    asyncio.run(go())
