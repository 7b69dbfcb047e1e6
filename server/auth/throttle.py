"""How often an address or a person may fail to authenticate before further attempts are refused for a while.

`Failures` counts failures of any kind. `Guesses` counts guesses at the secrets that an operator has chosen, `ADMIN_KEY`
and `PROXY_KEY`.

Such a secret is shorter than a token, so it must not be tried thousands of times a second. Wrong ones are counted by
address, and in all. Past the bound even the right one opens nothing, and hears the same as a wrong one, so that nothing
is learnt from the answer.

What is counted are *different* wrong secrets: a script that repeats its old one learns nothing by that, and does not
lock out the campus whose address it shares. And where the right one was shown within the hour, the guesses of all the
others do not count: who guesses from everywhere at once does not lock out who knows it.
"""

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


MOST, MOST_IN_ALL = 30, 300  # wrong secrets in a window
WINDOW = 60.0  # seconds
TRUSTED = 3600.0  # seconds after the right one
WATCHED = 10_000  # addresses


class Guesses:
    """`address` is what counts as one address, `digest` what is kept of a guess; `now` is seconds, monotonic."""

    def __init__(self) -> None:
        self._windows: dict[str, tuple[float, set[bytes]]] = {}  # by address: when it began, what was tried
        self._all = (float("-inf"), 0)  # when it began, how many
        self._right: dict[str, float] = {}  # by address: when the right one was shown last

    def wrong(self, address: str, digest: bytes, now: float) -> None:
        """Count a wrong one, if it is a new one."""
        began, tried = self._windows.pop(address, (now, set()))
        if now - began >= WINDOW:
            began, tried = now, set()
        self._windows[address] = began, tried
        if digest not in tried and len(tried) <= MOST:
            tried.add(digest)
            self._all = (self._all[0], self._all[1] + 1) if now - self._all[0] < WINDOW else (now, 1)
        if len(self._windows) > WATCHED:
            del self._windows[next(iter(self._windows))]

    def right(self, address: str, now: float) -> None:
        """Note that the right one was shown, and counted."""
        self._right.pop(address, None)
        self._right[address] = now
        if len(self._right) > WATCHED:
            del self._right[next(iter(self._right))]

    def wait(self, address: str, now: float) -> float | None:
        """Seconds until a secret counts again from there; None if it does now."""
        began, tried = self._windows.get(address, (now, set()))
        if len(tried) > MOST and now - began < WINDOW:
            return began + WINDOW - now
        began, number = self._all
        if number <= MOST_IN_ALL or now - began >= WINDOW or now - self._right.get(address, float("-inf")) < TRUSTED:
            return None
        return began + WINDOW - now
