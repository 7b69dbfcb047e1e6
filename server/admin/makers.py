"""The maker of a token or a pass, and whether that credential may make it. `server.policy.authority` decides.

A gateway learns of a limit that another one has set within seconds. Here it counts at once: the store is asked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from server.admin.changes import Changes
from server.auth.token_format import budget_id
from server.ledger.limits import Scope
from server.policy.authority import OPERATOR, Authority
from server.policy.commands import CommandError
from server.store.base import Token


@dataclass(frozen=True, slots=True)
class Maker:
    """The credential that makes another one. `token_id`: the token that it is, or that began its session."""

    authority: Authority
    token_id: str | None = None


THE_OPERATOR = Maker(OPERATOR)  # at the command line


async def insist_on_making(changes: Changes, by: Maker, ends_at: int | None) -> None:
    """Raises CommandError unless this credential makes one that ends then (UTC milliseconds, None is never)."""
    _insist((await _authority(changes, by)).against_making(ends_at))


async def insist_on_renewing(changes: Changes, by: Maker, token: Token) -> None:
    """Raises CommandError unless this credential gives a token a new secret."""
    itself = by.token_id is not None and budget_id(by.token_id) == budget_id(token.id)
    _insist((await _authority(changes, by)).against_renewing(token.expires_at, itself))


async def _authority(changes: Changes, by: Maker) -> Authority:
    if by.token_id is None or by.authority.limited:
        return by.authority
    mine = Scope.TOKEN, budget_id(by.token_id)
    limited = any((limit.scope, limit.subject) == mine for limit in await changes.limits())
    return replace(by.authority, limited=limited)


def _insist(why_not: str | None) -> None:
    if why_not is not None:
        raise CommandError(why_not)
