"""The supervisor of one machine's processes: it carries out what `supervision.py` decides.

It serves no request itself. It holds the listening sockets, starts the pool process and the workers, and passes on what
they show in `/metrics` (`machine_figures.py`).
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any

from server.workers.channel import Document
from server.workers.decisions import Accept, Decision, End, Kill, Opened, Retire, Say, Serve, Start, Stop
from server.workers.listening import Listening
from server.workers.machine_figures import MachineFigures
from server.workers.process_metrics import process_figures
from server.workers.processes import Command, Process
from server.workers.role import Role
from server.workers.supervision import POOL, Supervision

log = logging.getLogger("fairgate")


class Supervisor:
    """The processes of one machine. `command` starts a child; `announce` gets the banner when all serve."""

    def __init__(
        self, supervision: Supervision, listening: Listening, command: Command, announce: Callable[[str], None]
    ) -> None:
        self._supervision, self._listening = supervision, listening
        self._command, self._announce = command, announce
        self._loop = asyncio.get_running_loop()
        self._processes: dict[int, Process] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._figures = MachineFigures(self._shown, partial(process_figures, supervision))
        self._banner = ""
        self._code: asyncio.Future[int] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None

    async def run(self) -> int:
        """Keep all children running until a signal or a crash loop ends them; returns the exit code."""
        signals = {signal.SIGTERM: self.stop, signal.SIGINT: self.stop, signal.SIGHUP: self.reload}
        for number, event in signals.items():
            self._loop.add_signal_handler(number, event)
        try:
            self._carry_out(self._supervision.begin(self._now()))
            return await self._code
        finally:
            for number in signals:
                self._loop.remove_signal_handler(number)
            await self._close()

    async def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()  # a child that runs still is killed
        if self._tasks:
            await asyncio.wait(self._tasks)

    def stop(self) -> None:
        """Drain and end; the second time at once."""
        self._carry_out(self._supervision.stop(self._now()))

    def reload(self) -> None:
        """Replace all children, one after the other."""
        self._carry_out(self._supervision.reload(self._now()))

    def pid_of(self, life: int) -> int | None:
        """A child's number in the system; None before it runs."""
        return self._processes[life].pid

    # What children say

    def heard(self, life: int, document: Document) -> None:
        """A child has said something."""
        if document.get("ready"):
            self._banner = document.get("banner") or self._banner
            self._carry_out(self._supervision.ready(life, self._now()))
        if document.get("alive"):
            self._carry_out(self._supervision.alive(life, self._now()))
        elif "figures" in document:
            self._figures.answered(life, self._processes[life], document["figures"])
        elif document.get("all_figures"):
            self._task(self._answer(self._processes[life]))

    def ended(self, life: int, code: int) -> None:
        """A child has ended."""
        self._figures.departed(life, self._processes.pop(life))
        self._carry_out(self._supervision.ended(life, code, self._now()))

    async def _answer(self, process: Process) -> None:
        process.say(do="answer", figures=await self._figures.all())

    # What is to be done

    def _carry_out(self, decisions: Iterable[Decision]) -> None:
        for decision in decisions:
            self._do(decision)
        if self._timer is not None:
            self._timer.cancel()
        at = self._supervision.next_wakeup()
        self._timer = None if at is None else self._loop.call_at(at, self._ring)

    def _do(self, decision: Decision) -> None:
        match decision:
            case Start():
                self._start(decision)
            case Serve(life):
                self._processes[life].say(do="serve", workers=self._supervision.workers_alive)
            case Accept(life, places):
                self._processes[life].say(do="accept", places=places)
            case Retire(life):
                self._processes[life].say(do="retire")
            case Stop(life):
                self._processes[life].signal(signal.SIGTERM)
            case Kill(life):
                self._processes[life].signal(signal.SIGKILL)
            case Say(text, wrong):
                log.log(logging.ERROR if wrong else logging.INFO, "%s", text)
            case Opened():
                self._announce(self._banner)
            case End(code):
                self._code.set_result(code)

    def _start(self, start: Start) -> None:
        is_pool = start.place == POOL
        role = Role(
            kind="pool" if is_pool else "worker",
            number=max(start.place, 0),
            life=start.life,
            folder=str(self._listening.folder),
            listening=((self._listening.pool.fileno(),),) if is_pool else self._listening.descriptors(),
            control=-1,  # the process has it
            workers=len(self._listening.workers),
            first=start.first,
        )
        process = self._processes[start.life] = Process(role, self)
        self._task(process.run(self._command))

    def _task(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _ring(self) -> None:
        self._timer = None
        self._carry_out(self._supervision.tick(self._now()))

    def _now(self) -> float:
        return self._loop.time()

    # What is shown

    def _shown(self) -> dict[int, Process]:
        """The processes whose figures count: a pool process that does not serve yet has no queue."""
        return {life: self._processes[life] for life in self._supervision.in_service if life in self._processes}
