"""Asks every process of a machine for its figures: whichever worker is scraped shows those of all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from server.single_flight import SingleFlight
from server.workers.figures import Departed, Family, total

ANSWER_SECONDS = 1.0  # for a process to answer; one that is slower is shown as it was the last time
KEPT_SECONDS = 0.5  # of an answer: `/metrics` is public, and may be asked by many at once


class Asked(Protocol):
    """A process, as it is asked for its figures."""

    figures: list[Family]

    def say(self, *, do: str) -> None: ...


class MachineFigures:
    """`processes`: those whose figures count, by their lives. `own`: what the supervisor itself shows."""

    def __init__(
        self,
        processes: Callable[[], Mapping[int, Asked]],
        own: Callable[[], list[Family]],
        clock: Callable[[], float] = time.monotonic,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._processes, self._own, self._answer_seconds = processes, own, answer_seconds
        self._departed = Departed()
        self._waiting: dict[int, asyncio.Event] = {}
        self._made = SingleFlight(self._collect, KEPT_SECONDS, clock)

    async def all(self) -> list[Family]:
        """The figures of the machine."""
        return await self._made.get("all")

    def answered(self, life: int, process: Asked, figures: list[Family]) -> None:
        """A process has said its figures."""
        process.figures = figures
        self._heard(life)

    def departed(self, life: int, process: Asked) -> None:
        """A process has ended: what it counted stays counted."""
        self._departed.add(process.figures)
        self._heard(life)

    def _heard(self, life: int) -> None:
        if life in self._waiting:
            self._waiting[life].set()

    async def _collect(self, name: str) -> list[Family]:
        self._waiting = {life: asyncio.Event() for life in self._processes()}
        waits = [asyncio.create_task(event.wait()) for event in self._waiting.values()]
        for process in self._processes().values():
            process.say(do="figures")
        if waits:
            await asyncio.wait(waits, timeout=self._answer_seconds)
        for each in waits:
            each.cancel()
        return self._total(self._processes().values())

    def _total(self, processes: Iterable[Asked]) -> list[Family]:
        return total((self._own(), self._departed.figures, *(each.figures for each in processes)))
