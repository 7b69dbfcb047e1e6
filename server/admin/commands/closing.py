"""Three acts that once were one: an announcement, maintenance that is scheduled, and closing the gateway now.

An announcement or an incident is words, and closes nothing. Scheduled maintenance has a beginning that lies ahead and
an end; all people read it from the moment it is set, and between the two only administrators are served. Closing now
turns new requests away until the gateway is opened again; requests that run or wait by then are served. Opening ends
the closure of now and leaves maintenance that is scheduled for later.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from keypool.live import LiveRequest
from server.admin.changes import Changes
from server.policy.commands import CommandError, words_of
from server.policy.notices import Notice, NoticeKind, notice_of
from web.wording import Wording

AT_WORK = "The operator is at work; new requests are turned away."


@dataclass(frozen=True, slots=True)
class Hit:
    """The requests that run and wait when the gateway is closed now, and the number of their people."""

    running: int = 0
    waiting: int = 0
    people: int = 0

    def lines(self) -> list[str]:
        """The effects of closing now, in sentences."""
        return [
            Wording("New requests are turned away until you open the gateway again. Administrators are still served."),
            Wording(
                "Running now: %(running)s. Waiting: %(waiting)s. People they belong to: %(people)s. "
                "All these are still served.",
                running=self.running,
                waiting=self.waiting,
                people=self.people,
            ),
        ]


def hit(live: Iterable[LiveRequest]) -> Hit:
    """In numbers, of all requests of this moment."""
    seen = list(live)
    waiting = sum(each.key is None for each in seen)
    return Hit(len(seen) - waiting, waiting, len({each.person for each in seen}))


async def announce(changes: Changes, actor: str, notice: Notice, new: bool = False) -> None:
    """Publish a notice. Raises CommandError for maintenance: words never close the gateway."""
    if notice.kind is NoticeKind.MAINTENANCE:
        raise CommandError(Wording("a notice closes nothing: schedule the maintenance, or close the gateway now"))
    await changes.set_notice(actor, notice, new)


async def schedule(changes: Changes, actor: str, notice: Notice, now: int) -> None:
    """Set maintenance that begins later and ends; `now` is UTC ms. Raises CommandError."""
    if notice.since <= now:
        raise CommandError(Wording("scheduled maintenance begins later than now: to close at once is another act"))
    if notice.until is None:
        raise CommandError(Wording("scheduled maintenance has an end"))
    await changes.set_notice(actor, notice)


async def close(changes: Changes, actor: str, now: int, text: str = "", until: int | None = None) -> Notice:
    """Turn new requests away from now on, until then or until it is opened. Raises CommandError."""
    body = {"kind": NoticeKind.MAINTENANCE, "text": text or AT_WORK, "since": now, "until": until}
    try:
        notice = notice_of(changes.new_id(), body)
    except ValueError as error:
        raise CommandError(words_of(error)) from None
    await changes.set_notice(actor, notice)
    return notice


async def reopen(changes: Changes, actor: str, now: int) -> int:
    """End all maintenance that holds now; gives how many notices of it there were."""
    holding = [each for each in await changes.notices() if each.kind is NoticeKind.MAINTENANCE and each.holds_at(now)]
    for notice in holding:
        await changes.remove_notice(actor, notice.id)
    return len(holding)
