"""The channel between the supervisor and one child: JSON documents, one on each line, over a socket pair.

A child says `{"ready": true}` when it could serve, with the banner if it made one; `"alive": true` now and then,
while its event loop turns (`silence.py`); `{"figures": [...]}` when it is asked for them, and before it ends; and
`{"all_figures": true}` when it wants those of all. The supervisor says
`{"do": "serve"}` to the pool process whose predecessor has gone, and to a worker `{"do": "accept", "places": [0, 2]}`
or `{"do": "retire"}`. When the supervisor dies, the channel ends: like SIGTERM, that means drain, and end.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from server.workers.silence import ALIVE_SECONDS

LONGEST = 32 << 20  # bytes of a line: the figures of one process
Document = dict[str, Any]


class Channel:
    """One end of it. `hear` gets each document of the other end."""

    def __init__(self, hear: Callable[[Document], None]) -> None:
        self._hear = hear
        self._writer: asyncio.StreamWriter | None = None
        self._early: list[Document] = []  # said before it was open

    async def listen(self, end: socket.socket) -> None:
        """Hear what comes, until the other end has gone."""
        end.setblocking(False)
        reader, self._writer = await asyncio.open_unix_connection(sock=end, limit=LONGEST)
        for document in self._early:
            self.say(document)
        try:
            with suppress(OSError, ValueError):  # it has gone, or speaks no JSON: both are its end
                while line := await reader.readline():
                    self._hear(json.loads(line))
        finally:
            self._writer.close()

    def say(self, document: Document) -> None:
        """Send a document; if the other end has gone, it goes nowhere."""
        if self._writer is None:
            self._early.append(document)
        elif not self._writer.is_closing():
            self._writer.write(json.dumps(document).encode() + b"\n")


class Control:
    """A child's end: what the supervisor wants, as the child may wait for it.

    `ending` is set when the child is to drain and end; `orphaned`, too, if that is because the supervisor has gone.
    """

    def __init__(self) -> None:
        self.ending, self.retiring, self.orphaned = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._figures: Callable[[], list[Any]] = list
        self._accept: Callable[[Sequence[int]], None] = lambda places: None
        self._places: Sequence[int] = ()
        self._workers: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._channel = Channel(self._hear)
        self._answers: list[asyncio.Future[list[Any]]] = []

    async def listen(self, descriptor: int) -> None:
        """Hear what the supervisor says, until it has gone or this is cancelled."""
        alive = asyncio.create_task(self._say_alive())
        try:
            await self._channel.listen(socket.socket(fileno=descriptor))
        finally:
            alive.cancel()
            self._lost()

    def ready(self, banner: str = "") -> None:
        """Say that this child could serve. `banner`: what the operator is to see when all are."""
        self._channel.say({"ready": True, "banner": banner, "alive": True})

    def show(self, figures: Callable[[], list[Any]]) -> None:
        """`figures` gives what `/metrics` shows of this process (`figures.py`)."""
        self._figures = figures

    def accept_by(self, accept: Callable[[Sequence[int]], None]) -> None:
        """`accept` gets the numbers of the workers whose connections are this one's, now and when they change."""
        self._accept = accept
        accept(self._places)

    async def served(self) -> int:
        """Wait until this pool process may accept workers; returns how many there are that will come.

        It returns 0 when this child is to end before.
        """
        ending = asyncio.create_task(self.ending.wait())
        await asyncio.wait((self._workers, ending), return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        return self._workers.result() if self._workers.done() else 0

    def part(self) -> None:
        """Say the last figures: what this process counted stays in the sums."""
        self._say_figures()

    async def all_figures(self) -> list[Any]:
        """What every process of this machine shows, this one included. Raises OSError when the supervisor is gone."""
        if self.orphaned.is_set():
            raise ConnectionError("the supervisor has gone")
        answer: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._answers.append(answer)
        if len(self._answers) == 1:  # one answer is for all who wait
            self._channel.say({"all_figures": True})
        return await answer

    async def _say_alive(self) -> None:
        while True:
            await asyncio.sleep(ALIVE_SECONDS)
            self._channel.say({"alive": True})

    def _say_figures(self) -> None:
        self._channel.say({"figures": self._figures()})

    def _hear(self, document: Document) -> None:
        match document.get("do"):
            case "serve":
                self._workers.set_result(document["workers"])
            case "retire":
                self.retiring.set()
            case "accept":
                self._places = document["places"]
                self._accept(self._places)
            case "figures":
                self._say_figures()
            case "answer":
                waiting, self._answers = self._answers, []
                for each in waiting:
                    if not each.done():
                        each.set_result(document["figures"])

    def _lost(self) -> None:
        self.orphaned.set()
        self.ending.set()
        waiting, self._answers = self._answers, []
        for each in waiting:
            if not each.done():
                each.set_exception(ConnectionError("the supervisor has gone"))
