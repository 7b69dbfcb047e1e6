"""Which children hang: their event loop has not said for a while that it turns. Pure; `now` is monotonic seconds.

A child says it every `ALIVE_SECONDS` from its start on. One of a version that never does is never judged. No child is
judged by the first look alone: the supervisor, too, may have been held up, and then what children said meanwhile is
read right after that look. So who was silent for long is doubted first, and hangs if nothing comes for
`DOUBT_SECONDS`.
"""

from __future__ import annotations

from dataclasses import dataclass

ALIVE_SECONDS = 2.0  # between two words of a child
SILENT_SECONDS = 25.0  # no request, no collection of garbage and no encoding holds a loop for so long
DOUBT_SECONDS = 5.0
NEVER = float("inf")


@dataclass(slots=True)
class _Heard:
    at: float
    hangs_at: float = NEVER  # once it is doubted


class Silence:
    """The children that have said a word, by their lives."""

    def __init__(self, silent_seconds: float = SILENT_SECONDS, doubt_seconds: float = DOUBT_SECONDS) -> None:
        self._silent, self._doubt = silent_seconds, doubt_seconds
        self._heard: dict[int, _Heard] = {}

    def heard(self, life: int, now: float) -> None:
        """A child's loop turns."""
        self._heard[life] = _Heard(now)

    def gone(self, life: int) -> None:
        """A child has ended, or is not judged any more."""
        self._heard.pop(life, None)

    def look(self, now: float) -> list[int]:
        """Who hangs; who was silent for long is doubted from now on."""
        for each in self._heard.values():
            if each.hangs_at == NEVER and each.at + self._silent <= now:
                each.hangs_at = now + self._doubt
        return [life for life, each in self._heard.items() if each.hangs_at <= now]

    def next_look(self) -> float:
        """When the next one may hang or be doubted."""
        times = (each.at + self._silent if each.hangs_at == NEVER else each.hangs_at for each in self._heard.values())
        return min(times, default=NEVER)
