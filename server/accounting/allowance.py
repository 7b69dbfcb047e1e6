"""What guest passes have spent by way of this process, so that they are bounded while the store is away.

The store knows what a pass has spent everywhere; while it is away nobody does. Then a pass may go on until it has spent
by way of this process, before and during the outage, what it may spend in all. So with n gateways an outage lets it
spend n times its money at worst; all of that is on the ledger afterwards, and its issuer's budgets are charged with it.
These budgets themselves are not asked meanwhile: who issued a pass has promised its money.
"""

from __future__ import annotations

from dataclasses import dataclass

MOST = 10_000  # passes
KEPT_MS = 31 * 86_400_000  # longer than any pass is good


@dataclass(slots=True)
class _Purse:
    spent: int  # micro-USD, of requests that have ended, and kept for those under way
    touched: int


class Purses:
    """`pass_id` is what the caller's token id is; `now` is UTC milliseconds; money is micro-USD."""

    def __init__(self) -> None:
        self._purses: dict[str, _Purse] = {}
        self._kept: dict[str, int] = {}  # by request

    def __len__(self) -> int:
        return len(self._purses)

    def take(self, request_id: str, pass_id: str, cost: int, most: int, now: int) -> bool:
        """Keep what a request may cost, while the store is away; False if the pass may spend no more."""
        purse = self._of(pass_id, now)
        if purse is None or purse.spent + cost > most:
            return False
        purse.spent += cost
        self._kept[request_id] = cost
        return True

    def settle(self, request_id: str, pass_id: str, cost: int, now: int) -> None:
        """A request has ended, whether the store was away or not; what it cost takes the place of what was kept."""
        kept = self._kept.pop(request_id, 0)
        purse = self._of(pass_id, now)
        if purse is not None:
            purse.spent += cost - kept

    def _of(self, pass_id: str, now: int) -> _Purse | None:
        """The purse of a pass; None if there is no room for one more. None that may still be needed is forgotten."""
        purse = self._purses.get(pass_id)
        if purse is None:
            if len(self._purses) >= MOST:
                self._purses = {name: it for name, it in self._purses.items() if now - it.touched < KEPT_MS}
            if len(self._purses) >= MOST:
                return None
            purse = self._purses[pass_id] = _Purse(0, now)
        purse.touched = now
        return purse
