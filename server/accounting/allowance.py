"""The spending of guest passes by way of this process, so that they are bounded while the store is away.

The store knows what a pass has spent everywhere; while it is away, it cannot say. Then a pass may go on until it has
spent by way of this process, before and during the outage, what it may spend in all. So with n gateways an outage lets
it spend n times its money at worst; all of that is on the ledger afterwards, and its issuer's budgets are charged with
it. These budgets themselves are not asked meanwhile: the issuer of a pass has promised its money.
"""

from __future__ import annotations

from dataclasses import dataclass

MOST = 10_000  # passes
KEPT_MS = 31 * 86_400_000  # longer than any pass is good


@dataclass(slots=True)
class _GuestBudget:
    spent: int  # micro-USD, of requests that have ended, and kept for those under way
    touched: int


class GuestBudgets:
    """`pass_id` is what the caller's token id is; `now` is UTC milliseconds; money is micro-USD."""

    def __init__(self) -> None:
        self._guest_budgets: dict[str, _GuestBudget] = {}
        self._kept: dict[str, int] = {}  # by request

    def __len__(self) -> int:
        return len(self._guest_budgets)

    def take(self, request_id: str, pass_id: str, cost: int, most: int, now: int) -> bool:
        """Keep what a request may cost, while the store is away; False if the pass may spend no more."""
        budget = self._of(pass_id, now)
        if budget is None or budget.spent + cost > most:
            return False
        budget.spent += cost
        self._kept[request_id] = cost
        return True

    def settle(self, request_id: str, pass_id: str, cost: int, now: int) -> None:
        """A request has ended, whether the store was away or not; what it cost takes the place of what was kept."""
        kept = self._kept.pop(request_id, 0)
        budget = self._of(pass_id, now)
        if budget is not None:
            budget.spent += cost - kept

    def _of(self, pass_id: str, now: int) -> _GuestBudget | None:
        """A pass's allowance; None if there is no room for one more. None that may still be needed is forgotten."""
        budget = self._guest_budgets.get(pass_id)
        if budget is None:
            if len(self._guest_budgets) >= MOST:
                self._guest_budgets = {
                    name: it for name, it in self._guest_budgets.items() if now - it.touched < KEPT_MS
                }
            if len(self._guest_budgets) >= MOST:
                return None
            budget = self._guest_budgets[pass_id] = _GuestBudget(0, now)
        budget.touched = now
        return budget
