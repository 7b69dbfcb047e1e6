"""A child process of the supervisor, and the channel to it."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

from server.workers.channel import Channel, Document
from server.workers.role import Role

log = logging.getLogger("fairgate")

Command = Callable[[Role], Sequence[str]]
NOT_STARTED = 127  # its exit code, as a shell has it


class Listener(Protocol):
    """Hears of children, each by its life."""

    def heard(self, life: int, document: Document) -> None: ...

    def ended(self, life: int, code: int) -> None: ...


class Process:
    """A child. `role.control` is not known before it starts."""

    def __init__(self, role: Role, listener: Listener) -> None:
        self.role = role
        self.figures: list[Any] = []  # as it said them last
        self._process: asyncio.subprocess.Process | None = None
        self._listener = listener
        self._channel = Channel(lambda document: listener.heard(role.life, document))
        self._signals: list[signal.Signals] = []  # that came before it ran

    async def run(self, command: Command) -> None:
        """Start it, and say when it has ended."""
        try:
            code = await self._run(command)
        except OSError as error:
            log.error("%s cannot be started: %s", self.role.name, error.strerror)
            code = NOT_STARTED
        self._listener.ended(self.role.life, code)

    async def _run(self, command: Command) -> int:
        ours, theirs = socket.socketpair()
        inherited = {each for sockets in self.role.listening for each in sockets}
        with theirs:
            arguments = command(replace(self.role, control=theirs.fileno()))
            self._process = process = await asyncio.create_subprocess_exec(
                *arguments, pass_fds=(*inherited, theirs.fileno()), stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # a terminal's Ctrl-C is the supervisor's alone
            )  # fmt: skip
        for each in self._signals:
            self.signal(each)
        reading = asyncio.create_task(self._channel.listen(ours))
        try:
            code = await process.wait()
            await reading  # what it said before it ended
        finally:
            reading.cancel()
            if process.returncode is None:
                process.kill()
                await process.wait()
        return code

    @property
    def pid(self) -> int | None:
        """Its number in the system; None before it runs."""
        return None if self._process is None else self._process.pid

    def say(self, **document: Any) -> None:
        """Let it do something (`channel.py`)."""
        self._channel.say(document)

    def signal(self, number: signal.Signals) -> None:
        if self._process is None:
            self._signals.append(number)
            return
        with suppress(ProcessLookupError):
            self._process.send_signal(number)


def command_of(given: Sequence[str]) -> Command:
    """The command line of children: this Python and this program, with the same options."""
    python = [sys.executable, *(["-P"] if sys.flags.safe_path else []), "-m", "server"]
    return lambda role: [*python, *given, "--child", role.text()]
