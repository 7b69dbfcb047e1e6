"""The facts that people may read of themselves: their profile, their rights, and their usage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.http.api.usage import UsageHandler
from server.http.reports import ReportHandler
from server.ledger.export import Fields, sum_fields
from server.ledger.reports import Days
from server.ledger.when import iso
from server.policy.authority import Power
from server.store.base import Caller


class MeHandler(ReportHandler):
    """`GET /api/me`: the caller, the token that was presented, and the limits with what is left of them."""

    async def answer(self, caller: Caller, asked: Mapping[str, str]) -> None:
        rights = self.services.book.rights(caller.groups, self.services.wall())
        self.tell(
            {
                "name": caller.person_name,
                "admin": self.services.authority(caller).may(Power.ADMINISTER),
                "groups": rights.groups,
                "token": await self._token(caller),
                "limits": [_limit(each) for each in await self.services.reservations.standing(caller)],
                "content_logging": rights.content_days > 0,
                "content_days": rights.content_days,
                "content_readers": rights.content_readers,
            }
        )

    async def _token(self, caller: Caller) -> dict[str, str | None] | None:
        """The token that was presented; None where no personal one is asked for."""
        for token in await self.services.store.tokens(caller.person_id):
            if token.id == caller.token_id:
                return {
                    "id": token.id,
                    "name": token.name,
                    "hint": token.hint,
                    "created_at": iso(token.created_at),
                    "expires_at": _iso(token.expires_at),
                }
        return None


class MyUsageHandler(UsageHandler):
    """`GET /api/me/usage`: like `/api/usage`, of the caller alone; with today and this month so far."""

    known = UsageHandler.known - {"user"}

    async def whose(self, caller: Caller, asked: Mapping[str, str]) -> str:
        return caller.person_id

    async def names(self, caller: Caller) -> Mapping[str, str]:
        return {caller.person_id: caller.person_name}

    async def more(self, caller: Caller) -> dict[str, object]:
        today = self.services.calendar.day(self.services.wall())
        return {
            "today": await self._since(caller, today, today),
            "this_month": await self._since(caller, f"{today[:7]}-01", today),
        }

    async def _since(self, caller: Caller, first: str, today: str) -> Fields:
        days = Days(person_id=caller.person_id, first=first, last=today)
        (found,) = await self.services.store.sums(days, ())
        return sum_fields(found)


def _limit(standing: Mapping[str, Any]) -> dict[str, Any]:
    return {**standing, "resets_at": _iso(standing["resets_at"])}


def _iso(ms: int | None) -> str | None:
    return None if ms is None else iso(ms)
