"""One line for each request, written once a second: a write of its own for each would cost a quarter of the request.

A line holds what an operator needs and nothing that identifies a person or repeats what was sent: no query, no address,
no header, no body. A person is their id, a key its fingerprint. The figures are those of the request's row on the
ledger; a request that was refused before it was sent upstream has none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from server.config.settings_rows import LogFormat
from server.ledger.usage import UsageRow
from server.observability.logs import json_line, moment, one_word
from server.observability.redaction import redact
from server.wire.records import made_quickly

INTERVAL = 1.0  # seconds between two writes
MOST = 10_000  # lines kept for one write; what is more is counted instead
LONGEST_MODEL = 100  # characters of a model's name, which is the caller's own text until a key has it
LONGEST_PATH = 100  # characters of a path that is none of ours, which is the caller's own text
LOGGER = "fairgate.access"

_shown = lru_cache(maxsize=1024)(redact)


def unknown_path(path: str) -> str:
    """How a path that leads nowhere stands in the log: without what looks like a secret, and not for ever."""
    shown = redact(path[: 10 * LONGEST_PATH])  # cut behind it: half a secret may not look like one
    return shown if len(shown) <= LONGEST_PATH else f"{shown[:LONGEST_PATH]}..."


@made_quickly
@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """A request that is over.

    `at` is UTC milliseconds, `duration_ms` counts from its first byte. `error` is the code of what refused it or
    broke it off. `left`: the client did not wait for the end. `person_id`: None if the caller was not authenticated.
    """

    request_id: str
    at: int
    endpoint: str
    dialect: str
    http: int
    duration_ms: int
    error: str | None = None
    left: bool = False
    person_id: str | None = None
    model: str | None = None

    def fields(self, row: UsageRow | None) -> dict[str, Any]:
        """The line's values in their order; what is not known is None."""
        return {
            "request": self.request_id,
            "http": self.http,
            "ended": self._ended(row),
            "error": self.error,
            "endpoint": self.endpoint,
            "dialect": self.dialect,
            "person": self.person_id,
            "model": None if self.model is None else _shown(self.model[:LONGEST_MODEL]),
            **_figures(row),
            "duration_ms": self.duration_ms,
        }

    def _ended(self, row: UsageRow | None) -> str:
        """How it ended: as on the ledger (`ledger.usage.Outcome`) if it is there."""
        if row is not None:
            return str(row.status)
        if self.error is not None:
            return "refused"
        return "left" if self.left else "answered"


def _figures(row: UsageRow | None) -> dict[str, Any]:
    if row is None:
        return {}
    used = row.usage
    return {
        "served": None if row.model_served == row.model_asked else _shown(row.model_served[:LONGEST_MODEL]),
        "group": row.group,
        "upstream": row.upstream,
        "key": row.key,
        "stream": row.streamed,
        "attempts": row.attempts,
        "wait_ms": row.queue_ms,
        "first_byte_ms": row.first_byte_ms,
        "input": used.input,
        "cached": used.cached,
        "output": used.output,
        "estimated": used.estimated or None,
        "cost_micro_usd": row.cost_micro_usd,
    }


def as_json(access: Access, row: UsageRow | None) -> str:
    """One object."""
    return json_line({"time": moment(access.at), "level": "info", "logger": LOGGER, **access.fields(row)})


def as_words(access: Access, row: UsageRow | None) -> str:
    """`2026-11-21 09:30:00.123 req_1 http=200 ended=completed ... model=gpt-5 ...`, for a person to read."""
    fields = access.fields(row)
    request = fields.pop("request")
    known = [f"{name}={value}" for name, value in fields.items() if value is not None]
    line = " ".join([moment(access.at, " "), request, *known])
    if line.isprintable() and line.count(" ") == len(known) + 2:  # all are single words, as nearly always
        return line
    known = [f"{name}={one_word(str(value))}" for name, value in fields.items() if value is not None]
    return " ".join([moment(access.at, " "), request, *known])


def more_as_json(count: int) -> str:
    """The line for requests that have no line of their own."""
    return json_line({"level": "warning", "logger": LOGGER, "message": more_as_words(count), "more": count})


def more_as_words(count: int) -> str:
    return f"{count} more requests"


class AccessLog:
    """Collects lines and hands them to `write` in batches.

    It hears of a request twice: of its row when that is on the ledger (`observe`), and when it is over (`note`).
    """

    def __init__(self, write: Callable[[str], object], form: LogFormat = "console") -> None:
        self._write = write
        self._line, self._more = (as_json, more_as_json) if form == "json" else (as_words, more_as_words)
        self._rows: dict[str, UsageRow] = {}  # of requests that are not quite over yet
        self._lines: list[str] = []
        self._dropped = 0
        self._timer: asyncio.TimerHandle | None = None

    def observe(self, row: UsageRow) -> None:
        """A request is on the ledger, and over soon."""
        self._rows[row.request_id] = row
        if len(self._rows) > MOST:
            del self._rows[next(iter(self._rows))]

    def note(self, access: Access) -> None:
        """A request is over."""
        self.add(self._line(access, self._rows.pop(access.request_id, None)))

    def add(self, line: str) -> None:
        if len(self._lines) >= MOST:
            self._dropped += 1
            return
        self._lines.append(line)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(INTERVAL, self.flush)

    def flush(self) -> None:
        """Write what was collected."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._dropped:
            self._lines.append(self._more(self._dropped))
        if self._lines:
            self._write("\n".join(self._lines) + "\n")
        self._lines, self._dropped = [], 0
