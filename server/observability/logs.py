"""The gateway's log for its operator: lines for a person to read (`LOG_FORMAT=console`) or one JSON object each.

Every record of every library goes through one handler at the root logger, whose filter redacts it (`redaction.py`). A
line is a line: control characters in a message, which a stranger may have sent, are escaped, so that no one can write
a log entry of their own.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO

import orjson

from server.config.settings_rows import LogFormat, Settings
from server.observability.redaction import redact

_LINE_ENDS = {code: f"\\x{code:02x}" for code in (*range(32), 127, 133)} | {0x2028: "\\u2028", 0x2029: "\\u2029"}
_TRACES = logging.Formatter()


def configure(settings: Settings, process: str = "") -> None:
    """Send all records, from `LOG_LEVEL` up, to the standard error stream. Does nothing where that is done already.

    `process`: its name, where several write into one log.
    """
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler(settings.log_format, process=process)])


def handler(form: LogFormat, stream: TextIO | None = None, process: str = "") -> logging.Handler:
    """The one handler, with its redactor; without a `stream` it writes to the standard error stream."""
    made = logging.StreamHandler(stream)
    made.addFilter(Redactor())
    made.setFormatter(Json(process) if form == "json" else Console(process))
    return made


class Redactor(logging.Filter):
    """Puts a record's words together, traceback included, and redacts them."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()).translate(_LINE_ENDS), None
        if record.exc_info:
            record.exc_text = redact(_TRACES.formatException(record.exc_info))
            record.exc_info = None
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        return True


class Console(logging.Formatter):
    """`2026-11-21 09:30:00.123 WARNING the words`, in UTC; a traceback follows, indented.

    Of several processes' lines the words begin with the process's name.
    """

    def __init__(self, process: str = "") -> None:
        super().__init__()
        self._process = f"{process}: " if process else ""

    def format(self, record: logging.LogRecord) -> str:
        head = f"{moment(record.created * 1000, ' ')} {record.levelname} {self._process}{record.getMessage()}"
        return "\n    ".join([head, *_trace(record)])


class Json(logging.Formatter):
    """One object: time, level, logger, process if there are several, message, and trace if there is one."""

    def __init__(self, process: str = "") -> None:
        super().__init__()
        self._process = process or None

    def format(self, record: logging.LogRecord) -> str:
        said = {
            "time": moment(record.created * 1000),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": self._process,
            "message": record.getMessage(),
        }
        return json_line({**said, "trace": "\n".join(_trace(record)) or None})


def json_line(fields: dict[str, Any]) -> str:
    """One object on one line; what is None is left out."""
    return orjson.dumps({name: value for name, value in fields.items() if value is not None}).decode()


def moment(milliseconds: float, between: str = "T") -> str:
    """A time since 1970 as ISO 8601 has it, in UTC and to the millisecond."""
    seconds, rest = divmod(int(milliseconds), 1000)
    return f"{_second(seconds, between)}.{rest:03d}{'Z' if between == 'T' else ''}"


@lru_cache(maxsize=8)
def _second(seconds: int, between: str) -> str:
    """Hundreds of lines have the same one."""
    return datetime.fromtimestamp(seconds, UTC).strftime(f"%Y-%m-%d{between}%H:%M:%S")


def one_word(text: str) -> str:
    """A value as it stands in a line of words: without blanks and control characters, which end words and lines."""
    if text.isprintable() and " " not in text:
        return text
    return text.translate(_LINE_ENDS).replace(" ", "\\x20")


def _trace(record: logging.LogRecord) -> list[str]:
    return "\n".join(filter(None, (record.exc_text, record.stack_info))).splitlines()
