"""Prompts and answers, kept where a group wants that and a header of every answer says so.

Off unless a group switches it on. A text is kept beside the ledger, never in a log, for as many days as the group says
and then forgotten. A text that is too long is kept up to its bound.
"""

from __future__ import annotations

from collections.abc import Mapping

from server.relay.context import Sink

LONGEST = 1 << 20  # bytes of a prompt, and of an answer
LOGGED_HEADER = {"X-Content-Logged": "yes"}


class ContentRecorder:
    """A sink that passes everything on and remembers the beginning."""

    def __init__(self, sink: Sink) -> None:
        self._sink, self.started = sink, sink.started
        self._pieces: list[bytes] = []
        self._length = 0

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        self._sink.start(status, headers)

    async def send(self, chunk: bytes) -> None:
        self._record(chunk)
        await self._sink.send(chunk)

    def send_now(self, chunk: bytes) -> bool:
        sent = self._sink.send_now(chunk)
        if sent:
            self._record(chunk)
        return sent

    def _record(self, chunk: bytes) -> None:
        if self._length < LONGEST:
            self._pieces.append(chunk)
            self._length += len(chunk)
        self.started = True

    def end(self) -> None:
        self._sink.end()

    def recorded(self) -> bytes:
        return b"".join(self._pieces)[:LONGEST]
