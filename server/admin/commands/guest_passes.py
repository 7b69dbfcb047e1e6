"""The verbs that issue and revoke guest passes (`server.auth.guest_passes`).

A member issues passes for a group of theirs whose members may have guests; all that are good at the same time may spend
`PROMISED` together. An administrator issues them in any person's name, for any of that person's groups or for none.
Every pass is on record until it has expired, and so is its revocation. Both are audited, without the pass itself.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from server.admin.changes import Changes
from server.admin.makers import Maker, insist_on_making
from server.auth.guest_passes import KIND, LONGEST_MS, REVOKED, Pass, Passes, pass_body, recorded
from server.auth.token_terms import checked_models
from server.ledger.money import MOST, usd
from server.policy.commands import CommandError, NotThere, words_of
from server.store import acts
from server.store.base import Person, Record, Store
from web.wording import Wording

PROMISED = 50_000_000  # micro-USD, that the passes of a member may spend together
MOST_LIVE = 100  # passes of one person, at the same time


class PassError(CommandError):
    """This pass cannot be issued; the text says why, without repeating what was typed."""


class NoSuchPass(PassError, NotThere):
    """There is no pass of this id that still opens something."""


@dataclass(frozen=True, slots=True)
class WantedPass:
    """A pass to be issued. `usd` is micro-USD in all; `models` are names or patterns, empty is all of the group's."""

    seconds: int
    usd: int
    group: str = ""
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IssuedPass:
    """A pass that has not expired yet."""

    what: Pass
    revoked: bool


class GuestPassCommands:
    """The verbs. `wall` gives UTC milliseconds. All raise CommandError, of which PassError is one, and StoreError.

    `by` is the credential that asks: nothing is made that lasts longer.
    """

    def __init__(self, store: Store, changes: Changes, passes: Passes, wall: Callable[[], int]) -> None:
        self._store, self._changes, self._passes, self._wall = store, changes, passes, wall
        self._issuing = asyncio.Lock()  # what has been promised is looked at, and then there is one pass more

    async def issue(self, by: Maker, issuer: Person, wanted: WantedPass) -> tuple[Pass, str]:
        """Issue a pass as a member; the text is the pass, which is shown now and never again."""
        await self._insist(by, wanted)
        async with self._issuing:
            return await self._issue_as_member(issuer, wanted)

    async def _issue_as_member(self, issuer: Person, wanted: WantedPass) -> tuple[Pass, str]:
        now = self._wall()
        groups = {group.name: group for group in await self._changes.groups()}
        group = groups.get(wanted.group)
        if group is None or not group.guests or not group.lasts_at(now) or not _is_in(issuer, group.name):
            raise PassError(Wording("expected a group of yours whose members may have guests"))
        live = [each.what for each in await self.issued(issuer.id) if not each.revoked]
        if sum(each.usd for each in live) + wanted.usd > PROMISED:
            raise PassError(
                Wording("all your passes together may spend %(promised)s USD at most", promised=usd(PROMISED))
            )
        return await self._issue(issuer.id, issuer, wanted)

    async def issue_for(self, by: Maker, actor: str, issuer: Person, wanted: WantedPass) -> tuple[Pass, str]:
        """Issue a pass in a person's name as an administrator."""
        await self._insist(by, wanted)
        if wanted.group and not _is_in(issuer, wanted.group):
            raise PassError(Wording("expected a group of the person in whose name it is issued"))
        return await self._issue(actor, issuer, wanted)

    async def issued(self, person_id: str | None = None) -> list[IssuedPass]:
        """The passes of one person, or all, that have not expired; the oldest first."""
        revoked = {record.id for record in await self._store.records(REVOKED)}
        found = [recorded(record) for record in await self._store.records(KIND)]
        mine = [it for it in found if person_id in (None, it.issuer) and it.expires_at > self._wall()]
        return [IssuedPass(it, it.id in revoked) for it in sorted(mine, key=lambda it: (it.issued_at, it.id))]

    async def revoke(self, actor: str, pass_id: str, owner: str | None = None) -> None:
        """Make a pass good for nothing. With `owner`, a person's id, only if it is theirs."""
        for each in await self.issued(owner):
            if each.what.id == pass_id:
                mark = acts.put_record(Record(REVOKED, pass_id, {"expires_at": each.what.expires_at}))
                before = {"revoked": each.revoked}
                await self._changes.change(actor, "pass.revoke", pass_id, before, {"revoked": True}, mark)
                self._changes.changed()
                return
        raise NoSuchPass(Wording("there is no such pass, or it has expired"))

    async def _issue(self, actor: str, issuer: Person, wanted: WantedPass) -> tuple[Pass, str]:
        await self._forget_expired()
        live = [each for each in await self.issued(issuer.id) if not each.revoked]
        if len(live) >= MOST_LIVE:
            raise PassError(
                Wording("no person has more than %(most_live)s passes at the same time", most_live=MOST_LIVE)
            )
        what = _made(issuer.id, wanted, self._wall())
        issuing = acts.put_record(Record(KIND, what.id, pass_body(what)))
        await self._changes.change(actor, "pass.issue", what.id, None, pass_body(what), issuing)
        return what, self._passes.signed(what)

    async def _insist(self, by: Maker, wanted: WantedPass) -> None:
        """Raises CommandError unless this credential makes a pass that lasts as long."""
        await insist_on_making(self._changes, by, self._wall() + wanted.seconds * 1000)

    async def _forget_expired(self) -> None:
        for kind in (KIND, REVOKED):
            for record in await self._store.records(kind):
                if record.body["expires_at"] <= self._wall():
                    await self._store.remove_record(kind, record.id)


def _made(issuer: str, wanted: WantedPass, now: int) -> Pass:
    if not 0 < wanted.seconds * 1000 <= LONGEST_MS:
        raise PassError(Wording("a pass is good for %(longest_ms)s days at most", longest_ms=LONGEST_MS // 86400000))
    if not 0 < wanted.usd <= MOST:
        raise PassError(Wording("expected how much the pass may spend"))
    try:
        models = checked_models(wanted.models)
    except ValueError as error:
        raise PassError(words_of(error)) from None
    issued_at = now // 1000 * 1000
    expires_at = issued_at + wanted.seconds * 1000
    return Pass(secrets.token_hex(8), issuer, wanted.group, models, wanted.usd, issued_at, expires_at)


def _is_in(person: Person, group: str) -> bool:
    return group in (*person.groups, *person.claimed)
