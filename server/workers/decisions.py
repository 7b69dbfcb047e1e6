"""What the supervisor's rules decide, and the supervisor carries out. A `life` is the number of one child."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Start:
    """Start a child for a place. `first`: it makes the first token and the banner."""

    life: int
    place: int
    first: bool = False


@dataclass(frozen=True, slots=True)
class Serve:
    """Let the pool process accept workers: its predecessor has gone."""

    life: int


@dataclass(frozen=True, slots=True)
class Accept:
    """Let a worker accept the connections of these places, and of no others."""

    life: int
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Retire:
    """Let a worker end when its connections have gone."""

    life: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Let a child drain and end."""

    life: int


@dataclass(frozen=True, slots=True)
class Kill:
    """End a child at once."""

    life: int


@dataclass(frozen=True, slots=True)
class Opened:
    """All children serve for the first time."""


@dataclass(frozen=True, slots=True)
class Say:
    """A line for the log."""

    text: str
    wrong: bool = False


@dataclass(frozen=True, slots=True)
class End:
    """All children have ended, and so does the supervisor, with this exit code."""

    code: int


Decision = Start | Serve | Accept | Retire | Stop | Kill | Opened | Say | End
