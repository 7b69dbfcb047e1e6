"""Failures by address or by person, so that guesses are slowed down."""

from __future__ import annotations

FAILURES_ALLOWED = 30
FAILURE_SECONDS = 60.0
WATCHED = 10_000  # names


class Failures:
    """Windows of `FAILURE_SECONDS` that begin with a name's first failure. `now` is seconds, monotonic."""

    def __init__(self) -> None:
        self._windows: dict[str, tuple[float, int]] = {}  # by name: when it began, how many

    def __len__(self) -> int:
        return len(self._windows)

    def count(self, name: str, now: float) -> float | None:
        """Count one more. None while that is tolerated, else the seconds until it will be again."""
        began, failures = self._windows.pop(name, (now, 0))
        if now - began >= FAILURE_SECONDS:
            began, failures = now, 0
        self._windows[name] = (began, failures + 1)
        if len(self._windows) > WATCHED:
            del self._windows[next(iter(self._windows))]
        return None if failures < FAILURES_ALLOWED else began + FAILURE_SECONDS - now

    def wait(self, name: str, now: float) -> float | None:
        """Seconds until a failure would be tolerated again; None if it is now. Nothing is counted."""
        began, failures = self._windows.get(name, (now, 0))
        if failures < FAILURES_ALLOWED or now - began >= FAILURE_SECONDS:
            return None
        return began + FAILURE_SECONDS - now
